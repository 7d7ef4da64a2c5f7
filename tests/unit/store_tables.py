"""Tables for the tests of the stores: one that counts what is read and written and may die, one at which others are at work."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from codecoach.errors import ItemRefused, StoreUnavailable
from codecoach.store.port import Delete, Item, Key, Page, Put, Table


class Clock:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Died(BaseException):
    """The process is gone; nothing in it runs on."""


class WatchedTable:
    """A real table, with a count of items read and written, and a number of calls after which the process dies."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.dies_after: int | None = None
        self.reset()

    def reset(self) -> None:
        self.read = self.written = self.calls = 0

    def _call(self) -> None:
        self.calls += 1
        if self.dies_after is not None and self.calls > self.dies_after:
            raise Died

    def get(self, key: Key) -> Item | None:
        self._call()
        self.read += 1
        return self.table.get(key)

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self._call()
        self.read += len(keys)
        return self.table.batch_get(keys)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        self._call()
        self.written += 1
        return self.table.put(item, expected_version)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        self._call()
        self.written += 1
        self.table.delete(key, expected_version)

    def query(self, partition: str, sort_prefix: str = "", **options) -> Page:
        self._call()
        page = self.table.query(partition, sort_prefix, **options)
        self.read += len(page.items)
        return page

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        self._call()
        self.written += len(operations)
        self.table.transact(operations)

    def scan(self) -> Iterator[Item]:
        self._call()
        for item in self.table.scan():
            self.read += 1
            yield item

    def restore(self, items: Sequence[Item]) -> None:
        self._call()
        self.written += len(items)
        self.table.restore(items)

    def ping(self) -> str:
        return self.table.ping()


class Meanwhile(WatchedTable):
    """A table at one of whose calls something else happens first."""

    def __init__(self, table: Table, at_call: int, what: Callable[[], object]) -> None:
        super().__init__(table)
        self._at_call, self._what = at_call, what

    def _call(self) -> None:
        super()._call()
        if self.calls == self._at_call:
            self._what()


class Fault(StrEnum):
    """What happens at one call of a table, as its adapters tell it."""

    BEFORE = "throttled, cut off, locked or full: nothing was done"
    AFTER = "timed out after it was done"
    REFUSED = "an item over 400 KB"


class FaultyTable:
    """A real table that fails at its n-th call, the first being 1; `at_call` 0: never, it only counts."""

    def __init__(self, table: Table, at_call: int = 0, fault: Fault = Fault.BEFORE) -> None:
        self.calls = 0
        self.struck = False
        self._table, self._at_call, self._fault = table, at_call, fault

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda *args, **options: self._call(name, *args, **options)

    def _call(self, name: str, *args: object, **options: object) -> object:
        self.calls += 1
        writes = name in ("put", "transact", "restore")
        hit = self.calls == self._at_call and (writes or self._fault is not Fault.REFUSED)
        self.struck = self.struck or hit
        if hit and self._fault is Fault.REFUSED:
            raise ItemRefused(detail="410000 bytes, allowed are 400000")
        if hit and self._fault is Fault.BEFORE:
            raise StoreUnavailable(detail="fault")
        done = getattr(self._table, name)(*args, **options)
        if hit:
            raise StoreUnavailable(detail="time-out")
        return done
