"""Change an item by reading it first, and again where somebody else was quicker."""

import dataclasses
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from codecoach.errors import VersionConflict
from codecoach.store.port import Delete, Item, Json, Key, Put, Table
from codecoach.store.remembering import as_it_is

ATTEMPTS = 30
LONGEST_PAUSE_S = 0.1

T = TypeVar("T")


def again(attempt: Callable[[], T]) -> T:
    """The result of the first attempt that no other writer crosses; raises `VersionConflict` after `ATTEMPTS`."""
    for number in range(ATTEMPTS - 1):
        try:
            return attempt()
        except VersionConflict:
            # A random pause, so that writers that met once do not meet again.
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 0.002 * 2**number)))  # noqa: S311 - no secret
    return attempt()


def change(
    table: Table,
    key: Key,
    how: Callable[[dict[str, Json] | None], dict[str, Json] | None],
    expires_at: int | None = None,
    also: Sequence[Put | Delete] = (),
) -> Item | None:
    """Store what `how` makes of an item's data (None: there is no such item); no change is lost to another writer.

    `how` may run more than once; where it returns None nothing is stored. `also` is done in one transaction with it.
    """
    table = as_it_is(table)

    def attempt() -> Item | None:
        item = table.get(key)
        data = how(None if item is None else item.data)
        if data is None:
            return item
        changed, version = Item(key, data, expires_at=expires_at), item.version if item else 0
        if not also:
            return table.put(changed, expected_version=version)
        table.transact([Put(changed, expected_version=version), *also])
        return dataclasses.replace(changed, version=version + 1)

    return again(attempt)
