"""The Table port over Amazon DynamoDB.

All reads are strongly consistent. Time to live is lazy, DynamoDB may take days to delete: so every read and every condition
takes what has expired for gone.
"""

import random
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit
from zlib import crc32

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError

from codecoach.errors import ItemRefused, StoreError, StoreUnavailable, VersionConflict
from codecoach.store.dynamodb_rows import ALIVE, Writing, in_partition, item_of, key_attributes, key_of, row_of, seconds
from codecoach.store.items import check_key, check_transaction
from codecoach.store.port import Delete, Item, Key, Page, Put

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, ScanInputTypeDef, WriteRequestTypeDef

T = TypeVar("T")

BATCH_KEYS = 100
BATCH_WRITES = 25
CUT_ANSWERS = 4
ATTEMPTS = 8
LONGEST_PAUSE_S = 1.0

_CONFLICTS = {"ConditionalCheckFailed", "ConditionalCheckFailedException"}
# Two transactions met on one item, or there were too many requests: nothing was written, and it may go well a moment later.
_MEETINGS = {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
_RUSHES = {"ThrottlingError", "ProvisionedThroughputExceeded"}
# The same of a request that is no transaction; boto3 tries those again itself, which is enough for a page.
_THROTTLES = {"ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"}
_REFUSALS = {"ValidationException", "ValidationError", "ItemCollectionSizeLimitExceededException"}


class DynamoTable:
    """A table of DynamoDB, which must exist (`dynamodb_table.ensure`). Any number of threads and processes may use it."""

    def __init__(self, client: "DynamoDBClient", name: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        _take_whole_answers_only(client)
        self._name = name
        self._clock = clock

    def get(self, key: Key) -> Item | None:
        check_key(key)
        with our_errors():
            answer = self._client.get_item(TableName=self._name, Key=key_attributes(key), ConsistentRead=True)
        item = item_of(answer["Item"]) if "Item" in answer else None
        return item if item and self._alive(item) else None

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            check_key(key)
        wanted = list(dict.fromkeys(keys))
        batches = [wanted[start : start + BATCH_KEYS] for start in range(0, len(wanted), BATCH_KEYS)]
        return {item.key: item for batch in batches for item in self._batch(batch) if self._alive(item)}

    def _batch(self, keys: Sequence[Key]) -> Iterator[Item]:
        """Up to 100 items; what DynamoDB leaves unprocessed, for its size or in a rush, is asked for again."""
        in_vain = 0
        while keys:
            wanted = [key_attributes(key) for key in keys]
            with our_errors():
                answer = self._client.batch_get_item(
                    RequestItems={self._name: {"Keys": wanted, "ConsistentRead": True}}
                )
            rows = answer["Responses"].get(self._name, [])
            yield from map(item_of, rows)
            left = answer["UnprocessedKeys"].get(self._name)
            keys = [key_of(key) for key in left["Keys"]] if left else []
            in_vain = 0 if rows else in_vain + 1
            if in_vain > ATTEMPTS:
                raise StoreUnavailable(detail="DynamoDB: reads are throttled")
            if in_vain:
                _pause(in_vain)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        check_key(item.key)
        if expected_version is None:
            replace = self._writing().replace(item)
            answer = _write(lambda: self._client.update_item(**replace, ReturnValues="UPDATED_NEW"))
            version = int(answer["Attributes"]["version"]["N"])
        else:
            put = self._writing().put(item, expected_version)
            version = expected_version + 1
            try:
                _write(lambda: self._client.put_item(**put))
            except VersionConflict as conflict:
                # Where an answer got lost, boto3 repeats the request, and that conflicts with its own first try.
                wanted = Item(item.key, item.data, version, item.expires_at)
                if not (_was_repeated(conflict.__cause__) and self.get(item.key) == wanted):
                    raise
        return Item(item.key, item.data, version, item.expires_at)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        if expected_version is not None:
            # Should an answer get lost, boto3 repeats the request. Repeated, a transaction is still known for the same one;
            # a conditional delete would find nothing there, or worse: an item made since then, at the same version.
            self.transact([Delete(key, expected_version)])
            return
        check_key(key)
        delete = self._writing().delete(key, None)
        _write(lambda: self._client.delete_item(**delete))

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        check_key(Key(partition, sort_prefix or "-"))
        items: list[Item] = []
        start = None if after is None else Key(partition, after)
        at_once = limit + 1  # one more than asked for tells whether anything follows
        while True:
            found, start = self._query(partition, sort_prefix, start, at_once, newest_first)
            items += found
            if start is None or len(items) > limit:
                break
            at_once = min(at_once * 2, 1000)  # most of it had expired
        return Page(tuple(items[:limit]), items[limit - 1].key.sort if len(items) > limit else None)

    def _query(
        self, partition: str, prefix: str, start: Key | None, limit: int, newest_first: bool
    ) -> tuple[list[Item], Key | None]:
        """(items, where to go on): one answer, at most 1 MB of items before those that have expired are left out."""
        condition = in_partition(partition, prefix)
        request: QueryInputTypeDef = {
            "TableName": self._name,
            "KeyConditionExpression": condition.text,
            "FilterExpression": ALIVE,
            "ExpressionAttributeNames": {**condition.names, "#expires_at": "expires_at"},
            "ExpressionAttributeValues": {**condition.values, ":now": seconds(self._clock())},
            "ConsistentRead": True,
            "ScanIndexForward": not newest_first,
            "Limit": limit,
        }
        if start:
            request["ExclusiveStartKey"] = key_attributes(start)
        with our_errors():
            answer = self._client.query(**request)
        last = answer.get("LastEvaluatedKey")
        return [item_of(row) for row in answer["Items"]], key_of(last) if last else None

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        check_transaction(operations)
        steps = [self._writing().step(operation) for operation in operations]
        if steps:
            # One token for all tries: the service carries out one of them, and says so to the others for ten minutes.
            token = str(uuid.uuid4())
            _write(lambda: self._client.transact_write_items(TransactItems=steps, ClientRequestToken=token))

    def scan(self) -> Generator[Item, None, None]:
        request: ScanInputTypeDef = {"TableName": self._name, "ConsistentRead": True}
        while True:
            answer = _patiently(lambda: self._client.scan(**request))
            yield from filter(self._alive, map(item_of, answer["Items"]))
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def restore(self, items: Sequence[Item]) -> None:
        writes: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": row_of(item)}} for item in items]
        for start in range(0, len(writes), BATCH_WRITES):
            self._write_batch(writes[start : start + BATCH_WRITES])

    def _write_batch(self, writes: "Sequence[WriteRequestTypeDef]") -> None:
        """Up to 25 writes; what DynamoDB leaves unprocessed is asked for again, patiently: nobody waits at a page."""
        in_vain = 0
        while writes:
            batch = writes
            answer = _patiently(lambda: self._client.batch_write_item(RequestItems={self._name: batch}))  # noqa: B023
            left = answer["UnprocessedItems"].get(self._name, [])
            in_vain = in_vain + 1 if len(left) == len(writes) else 0
            if in_vain > ATTEMPTS:
                raise StoreUnavailable(detail="DynamoDB: writes are throttled")
            if in_vain:
                _pause(in_vain)
            writes = left  # type: ignore[assignment]

    def ping(self) -> str:
        with our_errors():
            status = self._client.describe_table(TableName=self._name)["Table"].get("TableStatus", "")
        return f"DynamoDB {self._name} ({self._client.meta.region_name}, {status})"

    def _writing(self) -> Writing:
        return Writing(self._name, self._clock())

    def _alive(self, item: Item) -> bool:
        return item.expires_at is None or item.expires_at > self._clock()


def client(region: str, endpoint_url: str | None = None) -> "DynamoDBClient":
    """A client with time-outs that a page can bear. An endpoint on this machine, such as DynamoDB Local, needs no account.

    A call that is throttled ends within 7 s, one that is not answered at all within 23: four tries, pauses of at most 1, 2, 4 s.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=4,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=50,
        tcp_keepalive=True,
    )
    if urlsplit(endpoint_url or "").hostname in ("127.0.0.1", "::1", "localhost"):
        session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local")  # noqa: S106 - nobody checks it
    else:
        session = boto3.Session()
    return session.client("dynamodb", region_name=region, endpoint_url=endpoint_url, config=config)


def _take_whole_answers_only(client: "DynamoDBClient") -> None:
    """Have the client repeat requests whose answer came cut off, and fail in the end.

    boto3 takes half an answer for one that says nothing: an item that is there would be missing, a query would end early.
    """
    # This event's handlers answer, whatever its type says.
    repeat = cast(Callable[..., None], _repeat_where_cut)
    client.meta.events.register("needs-retry.dynamodb", repeat, unique_id="codecoach-whole-answers")


def _repeat_where_cut(response: "tuple[AWSResponse, object] | None", attempts: int, **_more: object) -> float | None:
    """Seconds until the next try, None for none; as botocore's event asks for it."""
    answer = response[0] if response else None
    if answer is None:  # none came at all, which boto3 knows
        return None
    content, headers = answer.content, answer.headers
    length = int(headers.get("Content-Length", len(content)))
    if length == len(content) and int(headers.get("x-amz-crc32", crc32(content))) == crc32(content):
        return None
    if attempts < CUT_ANSWERS:
        return float(0.01 * 2**attempts)
    raise IncompleteReadError(actual_bytes=len(content), expected_bytes=length)


def _write(call: Callable[[], T]) -> T:
    """Carry out a write, again where DynamoDB refused it for the moment only."""
    return _again(call, lambda codes: not codes & _CONFLICTS and bool(codes & (_MEETINGS | _RUSHES)))


def _patiently(call: Callable[[], T]) -> T:
    """Carry out what may be done twice, again and again while there are too many requests."""
    return _again(call, lambda codes: bool(codes & _THROTTLES))


def _again(call: Callable[[], T], passes: Callable[[set[str]], bool]) -> T:
    """The result of a call, which is repeated while it fails with error codes that pass by themselves."""
    attempt = 0
    while True:
        with our_errors():
            try:
                return call()
            except ClientError as error:
                attempt += 1
                if attempt > ATTEMPTS or not passes(_codes(error)):
                    raise
        _pause(attempt)


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.01 * 2**attempt)))  # noqa: S311 - no secret


@contextmanager
def our_errors() -> Iterator[None]:
    """Every error of boto3 leaves the block as one of ours."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise _mapped(error) from error


def _mapped(error: ClientError | BotoCoreError) -> StoreError:
    if isinstance(error, ClientError):
        codes = _codes(error)
        if codes & (_CONFLICTS | _MEETINGS):
            return VersionConflict()
        if codes & _REFUSALS:
            return ItemRefused(detail=error.response["Error"].get("Message", ""))
    return StoreUnavailable(detail=f"DynamoDB: {error}")


def _was_repeated(error: BaseException | None) -> bool:
    """Whether boto3 itself sent the request more than once."""
    return isinstance(error, ClientError) and error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0


def _codes(error: ClientError) -> set[str]:
    """The codes of an error; of a cancelled transaction those of its reasons."""
    reasons = cast(list[dict[str, str]], error.response.get("CancellationReasons", []))
    return {reason.get("Code", "") for reason in reasons} or {error.response["Error"]["Code"]}
