"""When everybody signed in last; kept apart from the sign-ins, which are gone soon after they end."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from codecoach.store import keys
from codecoach.store.port import Item, Table
from codecoach.store.records import from_time, to_time


class LastSignIns:
    """The time of the last good sign-in of each account."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def note(self, username: str) -> None:
        """This user has just signed in."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._table.put(Item(keys.last_sign_in(username), {"at": from_time(now)}))

    def of(self, usernames: Sequence[str]) -> dict[str, datetime]:
        """The times of those of these users who ever signed in."""
        found = self._table.batch_get([keys.last_sign_in(username) for username in usernames])
        return {key.sort: to_time(item.data["at"]) for key, item in found.items()}

    def forget(self, username: str) -> None:
        """Of an account that is deleted."""
        self._table.delete(keys.last_sign_in(username))
