"""How each process notices within a second that what it remembers of sign-ins and accounts holds no more.

One item's version rises with every change that must be noticed, in the same transaction as the change. Each process reads it
at most once a second; that is the only read of a page that is merely drawn again:

    this process    version 7, sign-in there -> remembered "as of 7"           version 8 -> forget, read: gone
    another one                                          delete, version 8

With it comes, in the same request, how the table stands: a process whose table has been taken to a newer layout, or is being
filled from a backup, must stop reading and writing it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from codecoach.store import keys, layout
from codecoach.store.layout import Layout
from codecoach.store.port import Item, Put, Table

LOOKED_AT_EVERY_S: Final = 1.0
# The longest that anything is answered from memory, should a revocation ever get lost (a table restored from a backup).
REMEMBERED_S: Final = 60.0
REMEMBERED: Final = 10_000

T = TypeVar("T")


class Revocations:
    """The version of the revocation item, as this process knows it."""

    def __init__(self, table: Table, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._version = -1
        self._layout = Layout(layout.NEWEST)
        self._looked_at = float("-inf")

    def version(self) -> int:
        """The version, at most `LOOKED_AT_EVERY_S` old; one thread reads, the others wait for it.

        Raises `StoreError` as long as the table is not ours to use (`store.layout`).
        """
        with self._lock:
            if self._monotonic() - self._looked_at >= LOOKED_AT_EVERY_S:
                looked_at = self._monotonic()  # before reading, so that what is read is never older than said
                found = self._table.batch_get([keys.REVOCATIONS, keys.LAYOUT])
                self._version = found[keys.REVOCATIONS].version if keys.REVOCATIONS in found else 0
                self._layout = layout.of(found[keys.LAYOUT]) if keys.LAYOUT in found else Layout(layout.NEWEST)
                self._looked_at = looked_at
            layout.demand_ours(self._layout)
            return self._version

    def look_again(self) -> None:
        """Read at the next question: this process has just changed something itself."""
        with self._lock:
            self._looked_at = float("-inf")

    @staticmethod
    def step() -> Put:
        """The part of a transaction by which every process notices the rest of it."""
        return Put(Item(keys.REVOCATIONS, {}))


@dataclass(frozen=True)
class _Known(Generic[T]):
    value: T
    as_of: int
    until: float


class Memory(Generic[T]):
    """What this process has read, by name, as long as it surely holds. What is not there is not remembered."""

    def __init__(self, revocations: Revocations, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._revocations = revocations
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, _Known[T]] = {}

    def recall(self, name: str, read: Callable[[], T | None]) -> T | None:
        """The value of a name, from memory where that still holds, else as `read` gives it."""
        as_of = self._revocations.version()  # before reading: what changes meanwhile is read again
        with self._lock:
            known = self._known.get(name)
        if known and known.as_of == as_of and self._monotonic() < known.until:
            return known.value
        value = read()
        if value is not None:
            self._keep(name, _Known(value, as_of, self._monotonic() + REMEMBERED_S))
        return value

    def replace(self, name: str, value: T) -> None:
        """Another value for a name that is remembered, for as long as the one before would have held."""
        with self._lock:
            if known := self._known.get(name):
                self._known[name] = _Known(value, known.as_of, known.until)

    def forget(self, name: str) -> None:
        """Read it at the next question."""
        with self._lock:
            self._known.pop(name, None)

    def _keep(self, name: str, known: _Known[T]) -> None:
        with self._lock:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = known
