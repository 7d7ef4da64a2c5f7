"""Who may sign in, and how often a password may be tried."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from codecoach.errors import InputRefused
from codecoach.store import keys
from codecoach.store.changing import change
from codecoach.store.port import Item, Json, Key, Table
from codecoach.store.records import from_time, to_time
from codecoach.store.revocations import Memory, Revocations

# A username may fail this often, then each failure locks it, twice as long as the one before; see `Accounts._counted`.
FAILURES_PER_USERNAME = 5
# Behind one address there may be a whole office.
FAILURES_PER_ADDRESS = 20
FIRST_LOCK_S = 30
LONGEST_LOCK_S = 15 * 60
# Failures are forgotten this long after the last one.
FAILURES_KEPT_S = 24 * 3600
# An address counts as its username's own this long after the last good sign-in from it.
ADDRESS_KNOWN_S = 90 * 24 * 3600

ROLE_ADMIN = "admin"
ROLE_MY_AWS = "my_aws"
"""Programs of this account may use "my AWS", where the settings leave that to administrators."""

_E_MAIL = re.compile(r"[^\s@\x00-\x1f\ud800-\udfff]+@[^\s@\x00-\x1f\ud800-\udfff]+")


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    username              e-mail address in lower case
    password_hash         bcrypt; empty where its owner signs in through a provider alone
    must_change_password  True: nothing else is allowed before
    disabled              True: signing in is refused; ending the open sign-ins is the caller's (`SignIns.close_all`)
    """

    username: str
    password_hash: str = field(repr=False)
    roles: tuple[str, ...]
    must_change_password: bool
    disabled: bool
    created_at: datetime
    version: int = field(default=0, compare=False)


class Accounts:
    """All accounts. Usernames are taken in any case, and kept in lower case.

    Whatever is changed in an account is noticed by every process within a second (`store.revocations`).
    """

    def __init__(
        self,
        table: Table,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        revocations: Revocations | None = None,
    ) -> None:
        self._table = table
        self._clock = clock
        self._revocations = revocations or Revocations(table, monotonic)
        self._memory: Memory[Account] = Memory(self._revocations, monotonic)

    def get(self, username: str) -> Account | None:
        """The account, or None; also None for what cannot be a username."""
        name = _normal(username)
        item = self._table.get(keys.account(name)) if name else None
        return _account(item) if item else None

    def current(self, username: str) -> Account | None:
        """As `get`, at most a second old, and mostly from memory: for whoever is signed in, at every script run."""
        return self._memory.recall(_normal(username), lambda: self.get(username))

    def all(self) -> tuple[Account, ...]:
        """Every account, by username."""
        found: list[Item] = []
        after: str | None = None
        while True:
            page = self._table.query(keys.ACCOUNTS, limit=500, after=after)
            found += page.items
            after = page.next
            if after is None:
                return tuple(map(_account, found))

    def create(
        self, username: str, password_hash: str, roles: tuple[str, ...] = (), must_change_password: bool = False
    ) -> Account:
        """A new account. Raises `VersionConflict` where there is one of that name, `InputRefused` for no e-mail address."""
        name = _normal(username)
        if not name:
            raise InputRefused("username_refused")
        data: dict[str, Json] = {
            "password_hash": password_hash,
            "roles": list(roles),
            "must_change_password": must_change_password,
            "disabled": False,
            "created_at": from_time(datetime.fromtimestamp(self._clock(), UTC)),
        }
        return _account(self._table.put(Item(keys.account(name), data), expected_version=0))

    def set_password(self, username: str, password_hash: str, must_change_password: bool = False) -> None:
        """Give an account another password. Raises `InputRefused` where there is no such account."""
        self._change(username, {"password_hash": password_hash, "must_change_password": must_change_password})

    def renew_one_time_password(self, username: str, password_hash: str) -> bool:
        """Give an account another one-time password, unless it has chosen its own or is disabled; whether it was given."""

        def how(data: dict[str, Json] | None) -> dict[str, Json] | None:
            waits = data is not None and data["must_change_password"] and not data["disabled"]
            return data | {"password_hash": password_hash} if data is not None and waits else None

        item = self._changed(keys.account(_normal(username)), how)
        return item is not None and item.data["password_hash"] == password_hash

    def set_disabled(self, username: str, disabled: bool) -> None:
        """Refuse an account, or allow it again. Raises `InputRefused` where there is no such account."""
        self._change(username, {"disabled": disabled})

    def set_role(self, username: str, role: str, given: bool) -> None:
        """Give an account a role, or take it. Raises `InputRefused` where there is no such account."""

        def how(data: dict[str, Json] | None) -> dict[str, Json]:
            if data is None:
                raise InputRefused("no_such_account", username=username)
            others = [one for one in cast(list[Json], data["roles"]) if one != role]
            return data | {"roles": [*others, role] if given else others}

        self._change_by(username, how)

    def _change(self, username: str, fields: dict[str, Json]) -> None:
        def how(data: dict[str, Json] | None) -> dict[str, Json]:
            if data is None:
                raise InputRefused("no_such_account", username=username)
            return data | fields

        self._change_by(username, how)

    def _change_by(self, username: str, how: Callable[[dict[str, Json] | None], dict[str, Json]]) -> None:
        name = _normal(username)
        if not name:
            raise InputRefused("no_such_account", username=username)
        self._changed(keys.account(name), how)

    def _changed(self, key: Key, how: Callable[[dict[str, Json] | None], dict[str, Json] | None]) -> Item | None:
        # In one transaction: a change without a revocation would go unnoticed in the memory of other processes.
        item = change(self._table, key, how, also=[Revocations.step()])
        self._memory.forget(key.sort)
        self._revocations.look_again()
        return item

    def locked_for_s(self, username: str, address: str) -> int:
        """Seconds for which no password of this username, or from this address, may be tried; 0: it may."""
        counters = self._table.batch_get([key for key, _ in self._counted(username, address)])
        ends = [cast(float, item.data["locked_until"]) for item in counters.values()]
        return max([0, *(math.ceil(end - self._clock()) for end in ends)])

    def record_failure(self, username: str, address: str) -> None:
        """Count a failed try; unknown usernames count as known ones do, so that nobody learns which exist.

        Calling it before the password is checked, and `clear_failures` when it was right, leaves no gap through which
        many tries at once could slip.
        """
        now = self._clock()
        for key, allowed in self._counted(username, address):
            change(
                self._table,
                key,
                lambda data, allowed=allowed: _one_more(data, allowed, now),  # type: ignore[misc]
                expires_at=int(now) + FAILURES_KEPT_S,
            )

    def clear_failures(self, username: str, address: str) -> None:
        """After a good sign-in: forget the failures counted with it, and the one try counted for its address beforehand.

        The address's other failures stay, or one good account would hide them. From now on the username knows the address.
        """
        now = int(self._clock())
        (own, _), *others = self._counted(username, address)
        self._table.delete(own)
        for key, _ in others:
            change(self._table, key, _one_less, expires_at=now + FAILURES_KEPT_S)
        if address:
            known = keys.known_address(_of_username(username), address)
            self._table.put(Item(known, {}, expires_at=now + ADDRESS_KNOWN_S))

    def unlock(self, username: str) -> None:
        """Forget all failures of a username, wherever they came from."""
        partition = keys.failures(_of_username(username)).partition
        while found := self._table.query(partition, "count").items:
            for item in found:
                self._table.delete(item.key)

    def _counted(self, username: str, address: str) -> list[tuple[Key, int]]:
        """What is counted, and how often it may fail; an unknown address ("") is not.

        Failures from an address that the username has signed in from count apart from those of everywhere else: else
        anybody in the world could keep its owner out by guessing.
        """
        of = _of_username(username)
        if not address:
            return [(keys.failures(of), FAILURES_PER_USERNAME)]
        known = self._table.get(keys.known_address(of, address)) is not None
        own = keys.failures_from(of, address) if known else keys.failures(of)
        return [(own, FAILURES_PER_USERNAME), (keys.failures(f"address {address}"), FAILURES_PER_ADDRESS)]


def _one_more(data: dict[str, Json] | None, allowed: int, now: float) -> dict[str, Json]:
    count = cast(int, data["count"]) + 1 if data else 1
    lock_s = min(FIRST_LOCK_S * 2 ** min(count - allowed, 16), LONGEST_LOCK_S) if count >= allowed else 0
    return {"count": count, "locked_until": now + lock_s}


def _one_less(data: dict[str, Json] | None) -> dict[str, Json] | None:
    # Only a try that was allowed can have been good, so a lock there is the one its own count began.
    return {"count": max(0, cast(int, data["count"]) - 1), "locked_until": 0.0} if data else None


def _of_username(username: str) -> str:
    return f"username {username.strip().lower()}"


def _normal(username: str) -> str:
    """The username as it is kept; empty for what is no e-mail address."""
    name = username.strip().lower()
    return name if len(name) <= 254 and _E_MAIL.fullmatch(name) else ""


def _account(item: Item) -> Account:
    data = item.data
    return Account(
        username=item.key.sort,
        password_hash=str(data["password_hash"]),
        roles=tuple(cast(list[str], data["roles"])),
        must_change_password=bool(data["must_change_password"]),
        disabled=bool(data["disabled"]),
        created_at=to_time(data["created_at"]),
        version=item.version,
    )
