"""Change an item by reading it first, and again where somebody else was quicker."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from codecoach.errors import VersionConflict
from codecoach.store.port import Item, Json, Key, Table

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
) -> Item | None:
    """Store what `how` makes of an item's data (None: there is no such item); no change is lost to another writer.

    `how` may run more than once; where it returns None nothing is stored.
    """

    def attempt() -> Item | None:
        item = table.get(key)
        data = how(None if item is None else item.data)
        if data is None:
            return item
        return table.put(Item(key, data, expires_at=expires_at), expected_version=item.version if item else 0)

    return again(attempt)
