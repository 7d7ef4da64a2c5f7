"""Which layout a table has; a table is made ready for this code before anything else reads it.

    partition   sort      holds
    layout      current   {"number": its layout, "restoring": digest of the backup that is being restored, or ""}
    layout      lease     who is taking it to the next one; expires unless renewed

    process A   lease ──> step over every item ──> number + 1, over the version read ──> lease goes
    process B   no lease to be had: waits, until the number is right or the lease is free (A was killed: begins the step again)

The lease spares work and no more: should two take a step at once, its conditional writes keep it right. A process that runs on
while a newer one does this, or while a backup is restored, finds that out within a second (`store.revocations`).
"""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from codecoach.errors import StoreError, VersionConflict
from codecoach.store import keys
from codecoach.store.changing import again
from codecoach.store.migrations import STEPS, Step
from codecoach.store.port import Item, Json, Table

OLDEST: Final = 1
NEWEST: Final = STEPS[-1].to
LEASE_S: Final = 30
RENEWED_EVERY_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a table stands.

    number     of its layout; 0: it is empty and has none yet
    restoring  digest of the backup that is being restored into it; empty: none
    version    of the item that says so, 0 where there is none
    """

    number: int
    restoring: str = ""
    version: int = 0


def read(table: Table) -> Layout:
    """How a table stands. One without a number has the first layout, if there is anything in it."""
    item = table.get(keys.LAYOUT)
    if item is None:
        return Layout(0 if is_empty(table) else OLDEST)
    return of(item)


def of(item: Item) -> Layout:
    """What the layout item says."""
    return Layout(cast(int, item.data["number"]), str(item.data["restoring"]), item.version)


def demand_ours(layout: Layout, newest: int = NEWEST) -> None:
    """Raises `StoreError` where a layout is newer than this code, or a backup has not been restored to its end."""
    if layout.restoring:
        raise StoreError("restore_unfinished")
    if layout.number > newest:
        raise StoreError("layout_newer", layout=layout.number, newest=newest)


def write(table: Table, layout: Layout) -> None:
    """Store how a table stands, over what `read` gave. Raises `VersionConflict`."""
    data: dict[str, Json] = {"number": layout.number, "restoring": layout.restoring}
    table.put(Item(keys.LAYOUT, data), expected_version=layout.version)


def is_empty(table: Table) -> bool:
    """Whether there is nothing in a table but the number of its layout."""
    scan = table.scan()
    try:
        return all(item.key.partition == keys.LAYOUT.partition for item in scan)
    finally:
        scan.close()


def make_ready(table: Table, steps: Sequence[Step] = STEPS, clock: Callable[[], float] = time.time) -> Table:
    """Take a table to the newest layout, or wait for another process that does; returns the table.

    Raises `StoreError` where its layout is newer than this code, or a backup has not been restored to its end. Any number of
    processes may do this at once, and each may be killed while it does.
    """
    newest = steps[-1].to if steps else OLDEST
    while True:
        layout = read(table)
        demand_ours(layout, newest)
        if layout.number == newest and layout.version:
            return table
        try:
            if layout.number in (0, newest):
                write(table, Layout(newest, version=layout.version))
            else:
                _take(table, layout, next(step for step in steps if step.to > layout.number), clock)
        except VersionConflict:  # another process was quicker, or is at it
            time.sleep(LOOK_AGAIN_S)


def _take(table: Table, layout: Layout, step: Step, clock: Callable[[], float]) -> None:
    """Take a step under a lease. Raises `VersionConflict` where another process holds that, or took it over from us."""
    lease = _Lease(table, clock)
    log.warning("taking the table from layout %s to %s", layout.number, step.to)
    for item in table.scan():
        again(partial(step.change, table, item))
        lease.renew()
    write(table, Layout(step.to, version=layout.version))
    lease.end()
    log.warning("the table has layout %s", step.to)


class _Lease:
    """Of one process, until it ends or has not been renewed for `LEASE_S`. Raises `VersionConflict` where it is another's."""

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._renewed_at = clock()
        self._version = self._put(0)

    def renew(self) -> None:
        if self._clock() - self._renewed_at >= RENEWED_EVERY_S:
            self._renewed_at = self._clock()
            self._version = self._put(self._version)

    def end(self) -> None:
        self._table.delete(keys.LAYOUT_LEASE, self._version)

    def _put(self, over: int) -> int:
        expires_at = int(self._clock()) + LEASE_S
        held = Item(keys.LAYOUT_LEASE, {"holder": self._holder}, expires_at=expires_at)
        return self._table.put(held, expected_version=over).version
