"""The Table port: one table of items, found by partition and sort key."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, Union

Json: TypeAlias = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]


@dataclass(frozen=True, order=True)
class Key:
    """Partition key and sort key. Both are non-empty; sort keys of a partition order by their UTF-8 bytes."""

    partition: str
    sort: str


@dataclass(frozen=True)
class Item:
    """One item of the table.

    data        a JSON object; empty strings, nulls, half characters and integers of any size survive; NaN is refused
    version     1 after the first put, one more after each; 0 means "not stored yet". Only to be compared: an item that was
                deleted starts at 1 again, one that expired may or may not
    expires_at  Unix seconds after which the item is gone; None: never. Expired items are never returned.
    """

    key: Key
    data: dict[str, Json]
    version: int = 0
    expires_at: int | None = None


@dataclass(frozen=True)
class Put:
    """Part of a transaction. `expected_version`: None puts whatever is there, 0 only where nothing is, n only over version n."""

    item: Item
    expected_version: int | None = None


@dataclass(frozen=True)
class Delete:
    """Part of a transaction. `expected_version` as in `Put`: with None, deleting what is not there is no error; with n it is a
    conflict, so that of several deleters exactly one succeeds."""

    key: Key
    expected_version: int | None = None


@dataclass(frozen=True)
class Page:
    """Part of a query's answer; `next` continues it, None at the end."""

    items: tuple[Item, ...]
    next: str | None = field(default=None)


class Table(Protocol):
    """A table. Every method raises `StoreUnavailable` when the store does not answer."""

    def get(self, key: Key) -> Item | None:
        """The item, or None. Strongly consistent."""
        ...

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Those of the items that exist."""
        ...

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        """Store an item and return it with its new version.

        Raises `VersionConflict` where `expected_version` (see `Put`) does not hold, `ItemRefused` where the item is over
        400 KB, the limit of DynamoDB, which every adapter keeps, or its key is none.
        """
        ...

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        """Delete an item. Raises `VersionConflict`."""
        ...

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        """Items of a partition whose sort key starts with `sort_prefix`, in sort order (or its reverse).

        A page has `limit` items, or fewer at the end; `after` is the `next` of the page before, from the same query.
        """
        ...

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        """All of the operations (at most 100, on different keys) or none. Raises `VersionConflict`, `ItemRefused`."""
        ...

    def scan(self) -> Generator[Item, None, None]:
        """Every item of the table, partition by partition in no order, a page at a time; within one, in sort order.

        For whoever needs all of it, such as a backup: no page does. SQLite tells what there was at one moment. DynamoDB
        reads each item consistently, but one after the other: of what is written meanwhile some is there, some is not.
        Close the iterator where it is not read to its end.
        """
        ...

    def restore(self, items: Sequence[Item]) -> None:
        """Put items as they are, their versions included, whatever is there: for a backup alone, nobody else may set versions.

        Raises `ItemRefused` before anything is written. What fails later may leave some of them written.
        """
        ...

    def ping(self) -> str:
        """Name and version of the store, having talked to it."""
        ...
