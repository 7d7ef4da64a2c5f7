"""How often a password may be tried: failed sign-ins are counted by username and by address, whether the username exists or not.

    failures   1 to 4   5      6       7       8       9       10       11       12 and more
    wait       none     5 s    10 s    20 s    40 s    80 s    15 min   30 min   1 h

So that nobody can keep an account's owner out by guessing: an address that a username has signed in from counts apart, for that
username alone, and neither its failures from elsewhere nor those of others at the address hold it up there.
"""

import math
import time
from collections.abc import Callable
from typing import Final, cast

from codecoach.store import keys, usernames
from codecoach.store.changing import change
from codecoach.store.port import Item, Json, Key, Table

SLOW_FROM: Final = 5
FIRST_WAIT_S: Final = 5
LOCKED_FROM: Final = 10
FIRST_LOCK_S: Final = 15 * 60
LONGEST_LOCK_S: Final = 3600
# Failures are forgotten this long after the last one.
KEPT_S: Final = 24 * 3600
# An address counts as its username's own this long after the last good sign-in from it.
ADDRESS_KNOWN_S: Final = 90 * 24 * 3600
# So many of the addresses that failures came from are unlocked with the username.
_ADDRESSES: Final = 10


class Failures:
    """The failed sign-ins of all usernames, those that exist and those that do not."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def begin(self, username: str, address: str) -> int:
        """Begin a try. 0: the password may be checked; else the seconds to wait, and nothing is counted.

        It counts as failed until `clear` says otherwise, so that many tries at once gain nothing over one after the other.
        An unknown address ("") is not counted.
        """
        counters = self._counters(username, address)
        if wait_s := self._wait_s(counters):
            return wait_s
        noted = keys.failures(_of_address(address)).partition if len(counters) > 1 else ""
        return max(self._count(counters[0], noted), *(self._count(other) for other in counters[1:]), 0)

    def wait_s(self, username: str, address: str) -> int:
        """Seconds for which no password of this username may be tried from this address; 0: it may."""
        return self._wait_s(self._counters(username, address))

    def clear(self, username: str, address: str) -> None:
        """The try that was begun was good: forget the username's failures counted with it, and that try of the address.

        The address's other failures stay, or one good account would hide them. From now on the username knows the address.
        """
        now = int(self._clock())
        own, *others = self._counters(username, address)
        self._table.delete(own)
        for key in others:
            change(self._table, key, _one_less, expires_at=now + KEPT_S)
        if address:
            known = keys.known_address(_of_username(username), address)
            self._table.put(Item(known, {}, expires_at=now + ADDRESS_KNOWN_S))

    def unlock(self, username: str) -> None:
        """Forget all failures of a username, wherever they came from, and those of the addresses they came from."""
        partition = keys.failures(_of_username(username)).partition
        while found := self._table.query(partition, "count").items:
            for item in found:
                for address in cast(list[str], item.data.get("addresses", [])):
                    self._table.delete(Key(address, keys.failures("").sort))
                self._table.delete(item.key)

    def _wait_s(self, counters: list[Key]) -> int:
        found = self._table.batch_get(counters).values()
        return max([0, *(_remaining_s(item.data, self._clock()) for item in found)])

    def _count(self, counter: Key, address: str = "") -> int:
        """Count a failure, unless somebody else's has just begun a wait: then its seconds."""
        now, wait_s = self._clock(), 0

        def one_more(data: dict[str, Json] | None) -> dict[str, Json] | None:
            nonlocal wait_s
            wait_s = _remaining_s(data, now) if data else 0
            if wait_s:
                return None
            before = data or {}
            addresses = [one for one in cast(list[Json], before.get("addresses", [])) if one != address]
            count = cast(int, before.get("count", 0)) + 1
            noted: list[Json] = [*addresses, address] if address else addresses
            return {"count": count, "failed_at": now, "addresses": noted[-_ADDRESSES:]}

        change(self._table, counter, one_more, expires_at=int(now) + KEPT_S)
        return wait_s

    def _counters(self, username: str, address: str) -> list[Key]:
        """What is counted, the username's own first."""
        of = _of_username(username)
        if not address:
            return [keys.failures(of)]
        if self._table.get(keys.known_address(of, address)):
            return [keys.failures_from(of, address)]
        return [keys.failures(of), keys.failures(_of_address(address))]


def wait_after_s(count: int) -> int:
    """How long nothing may be tried after so many failures; see the table above."""
    if count < SLOW_FROM:
        return 0
    if count < LOCKED_FROM:
        return int(FIRST_WAIT_S * 2 ** (count - SLOW_FROM))
    return int(min(FIRST_LOCK_S * 2 ** min(count - LOCKED_FROM, 8), LONGEST_LOCK_S))


def _remaining_s(data: dict[str, Json], now: float) -> int:
    failed_at = cast(float, data.get("failed_at", 0.0))
    return max(0, math.ceil(failed_at + wait_after_s(cast(int, data["count"])) - now))


def _one_less(data: dict[str, Json] | None) -> dict[str, Json] | None:
    # Only a try that was allowed can have been good, so a wait there is the one its own count began.
    return {**data, "count": max(0, cast(int, data["count"]) - 1), "failed_at": 0.0} if data else None


def _of_username(username: str) -> str:
    return f"username {usernames.folded(username)}"


def _of_address(address: str) -> str:
    return f"address {address}"
