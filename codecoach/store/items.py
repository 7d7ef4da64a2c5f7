"""What every adapter keeps alike: how an item's data becomes text, how large it may be, which operations go together.

Data is kept as one JSON text, in DynamoDB too (one string attribute, not its map type): so `1` and `1.0`, integers of more
than 38 digits, empty strings and nested nulls come back exactly as they went in, from either adapter.
"""

import json
from collections.abc import Iterable, Sequence
from typing import cast

from codecoach.errors import ItemRefused
from codecoach.store.port import Delete, Item, Json, Key, Put

# Limits of DynamoDB. Source: its developer guide, "Service, account, and table quotas".
ITEM_BYTES = 400_000  # DynamoDB's is 409,600; stand-ins for it count a little otherwise
PARTITION_KEY_BYTES = 2048
SORT_KEY_BYTES = 1024
TRANSACTION_OPERATIONS = 100
TRANSACTION_BYTES = 4 * 1024 * 1024
# Attribute names and the two numbers count too; 128 bytes are more than they ever take.
OVERHEAD_BYTES = 128


def encode(data: dict[str, Json]) -> str:
    """The JSON text of an item's data; raises `ItemRefused` for what JSON cannot say (NaN, infinity)."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise ItemRefused(detail=str(error)) from error
    # A lone surrogate (half a character) has no UTF-8; what backslashreplace makes of it is just its JSON escape.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def decode(text: str) -> dict[str, Json]:
    """The inverse of `encode`."""
    return cast(dict[str, Json], json.loads(text))


def encoded_bytes(value: Json) -> int:
    """How many bytes a value takes within an item's JSON text."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"))


def check_key(key: Key) -> None:
    """Raises `ItemRefused` for a key that DynamoDB would not take."""
    for text, limit in ((key.partition, PARTITION_KEY_BYTES), (key.sort, SORT_KEY_BYTES)):
        try:
            size = len(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise ItemRefused(detail=f"key {text!r} is not Unicode") from error
        if not 0 < size <= limit:
            raise ItemRefused(detail=f"key of {size} bytes, allowed are 1 to {limit}")


def encode_checked(item: Item) -> str:
    """The JSON text of an item that may be kept; raises `ItemRefused` for one that may not."""
    check_key(item.key)
    text = encode(item.data)
    size = _item_bytes(item.key, text)
    if size > ITEM_BYTES:
        raise ItemRefused(detail=f"{size} bytes, allowed are {ITEM_BYTES}")
    return text


def check_transaction(operations: Sequence[Put | Delete]) -> None:
    """Raises `ItemRefused` for a transaction that DynamoDB would not take, whichever adapter gets it."""
    keys = [operation.item.key if isinstance(operation, Put) else operation.key for operation in operations]
    for key in keys:
        check_key(key)
    if len(keys) > TRANSACTION_OPERATIONS:
        raise ItemRefused(detail=f"{len(keys)} operations, allowed are {TRANSACTION_OPERATIONS}")
    if len(set(keys)) < len(keys):
        raise ItemRefused(detail="two operations of one transaction on the same item")
    size = sum(_item_bytes(put.item.key, encode_checked(put.item)) for put in _puts(operations))
    if size > TRANSACTION_BYTES:
        raise ItemRefused(detail=f"transaction of {size} bytes, allowed are {TRANSACTION_BYTES}")


def _puts(operations: Iterable[Put | Delete]) -> Iterable[Put]:
    return (operation for operation in operations if isinstance(operation, Put))


def _item_bytes(key: Key, text: str) -> int:
    return sum(len(part.encode("utf-8")) for part in (key.partition, key.sort, text)) + OVERHEAD_BYTES
