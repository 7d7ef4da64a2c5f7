"""How items and conditions are written for DynamoDB.

    partition S (hash key)   sort S (range key)   data S (JSON)   version N   expires_at N (time to live)

Attributes are named through placeholders (`#data`): many of these words are reserved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from codecoach.store.items import decode, encode_checked
from codecoach.store.port import Delete, Item, Key, Put

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        DeleteTypeDef,
        PutTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

Attributes: TypeAlias = "dict[str, AttributeValueTypeDef]"

# True of what has not expired, given `names` and `values` of `now`.
ALIVE = "(attribute_not_exists(#expires_at) OR #expires_at > :now)"
_GONE = "(attribute_not_exists(#partition) OR #expires_at <= :now)"


@dataclass(frozen=True)
class Expression:
    """A condition with the names and values it uses; DynamoDB refuses any that are not used."""

    text: str
    names: dict[str, str]
    values: Attributes


@dataclass(frozen=True)
class Writing:
    """Writes on one table, at one moment in Unix seconds."""

    table: str
    now: float

    def replace(self, item: Item) -> "UpdateTypeDef":
        """Put an item over whatever is there, and count its version up."""
        setting = "SET #data = :data REMOVE #expires_at ADD #version :one"
        values: Attributes = {":data": {"S": encode_checked(item)}, ":one": {"N": "1"}}
        if item.expires_at is not None:
            setting = "SET #data = :data, #expires_at = :expires_at ADD #version :one"
            values[":expires_at"] = {"N": str(item.expires_at)}
        return {
            "TableName": self.table,
            "Key": key_attributes(item.key),
            "UpdateExpression": setting,
            "ExpressionAttributeNames": _names("data", "version", "expires_at"),
            "ExpressionAttributeValues": values,
        }

    def put(self, item: Item, expected_version: int) -> "PutTypeDef":
        """Put an item over this version of it, 0: over nothing."""
        condition = self._condition(expected_version)
        return {
            "TableName": self.table,
            "Item": row_of(Item(item.key, item.data, expected_version + 1, item.expires_at)),
            "ConditionExpression": condition.text,
            "ExpressionAttributeNames": condition.names,
            "ExpressionAttributeValues": condition.values,
        }

    def delete(self, key: Key, expected_version: int | None) -> "DeleteTypeDef":
        """Delete an item, this version of it if one is given."""
        if expected_version is None:
            return {"TableName": self.table, "Key": key_attributes(key)}
        condition = self._condition(expected_version)
        return {
            "TableName": self.table,
            "Key": key_attributes(key),
            "ConditionExpression": condition.text,
            "ExpressionAttributeNames": condition.names,
            "ExpressionAttributeValues": condition.values,
        }

    def step(self, operation: Put | Delete) -> "TransactWriteItemTypeDef":
        """An operation as a step of a transaction."""
        if isinstance(operation, Delete):
            return {"Delete": self.delete(operation.key, operation.expected_version)}
        if operation.expected_version is None:
            return {"Update": self.replace(operation.item)}
        return {"Put": self.put(operation.item, operation.expected_version)}

    def _condition(self, expected_version: int) -> Expression:
        now = seconds(self.now)
        if expected_version == 0:
            return Expression(_GONE, _names("partition", "expires_at"), {":now": now})
        version: AttributeValueTypeDef = {"N": str(expected_version)}
        return Expression(
            f"#version = :version AND {ALIVE}", _names("version", "expires_at"), {":version": version, ":now": now}
        )


def in_partition(partition: str, prefix: str) -> Expression:
    """The items of a partition whose sort key starts with a prefix."""
    values: Attributes = {":partition": {"S": partition}}
    if not prefix:  # DynamoDB takes no empty one
        return Expression("#partition = :partition", _names("partition"), values)
    values[":prefix"] = {"S": prefix}
    return Expression("#partition = :partition AND begins_with(#sort, :prefix)", _names("partition", "sort"), values)


def seconds(moment: float) -> "AttributeValueTypeDef":
    """A moment to compare times of expiry with; those are whole seconds, so the fraction decides nothing."""
    return {"N": str(int(moment))}


def key_attributes(key: Key) -> Attributes:
    return {"partition": {"S": key.partition}, "sort": {"S": key.sort}}


def key_of(row: "Mapping[str, AttributeValueTypeDef]") -> Key:
    return Key(row["partition"]["S"], row["sort"]["S"])


def item_of(row: "Mapping[str, AttributeValueTypeDef]") -> Item:
    expires_at = int(row["expires_at"]["N"]) if "expires_at" in row else None
    return Item(key_of(row), decode(row["data"]["S"]), int(row["version"]["N"]), expires_at)


def row_of(item: Item) -> Attributes:
    """The inverse of `item_of`. Raises `ItemRefused`."""
    row = key_attributes(item.key) | {"data": {"S": encode_checked(item)}, "version": {"N": str(item.version)}}
    if item.expires_at is not None:
        row["expires_at"] = {"N": str(item.expires_at)}
    return row


def _names(*attributes: str) -> dict[str, str]:
    return {f"#{attribute}": attribute for attribute in attributes}
