"""Who may sign in."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from codecoach.errors import InputRefused
from codecoach.store import keys, usernames
from codecoach.store.changing import change
from codecoach.store.failures import Failures
from codecoach.store.port import Delete, Item, Json, Key, Put, Table
from codecoach.store.records import from_time, to_time
from codecoach.store.revocations import Memory, Revocations

ROLE_ADMIN = "admin"
ROLE_MY_AWS = "my_aws"
"""Programs of this account may use "my AWS", where the settings leave that to administrators."""


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in.

    username              e-mail address in ASCII and lower case, see `store.usernames`
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
        name = normal(username)
        item = self._table.get(keys.account(name)) if name else None
        return _account(item) if item else None

    def current(self, username: str) -> Account | None:
        """As `get`, at most a second old, and mostly from memory: for whoever is signed in, at every script run."""
        return self._memory.recall(normal(username), lambda: self.get(username))

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
        self,
        username: str,
        password_hash: str,
        roles: tuple[str, ...] = (),
        must_change_password: bool = False,
        along_with: Sequence[Put | Delete] = (),
    ) -> Account:
        """A new account, and in the same transaction what goes along with it.

        Raises `VersionConflict` where there is one of that name, `InputRefused` for no e-mail address.
        """
        name = normal(username)
        if not name:
            raise InputRefused("username_refused")
        data: dict[str, Json] = {
            "password_hash": password_hash,
            "roles": list(roles),
            "must_change_password": must_change_password,
            "disabled": False,
            "created_at": from_time(datetime.fromtimestamp(self._clock(), UTC)),
        }
        item = Item(keys.account(name), data)
        if not along_with:
            return _account(self._table.put(item, expected_version=0))
        self._table.transact([Put(item, expected_version=0), *along_with])
        return _account(replace(item, version=1))

    def set_password(
        self, username: str, password_hash: str, must_change_password: bool = False, checked_hash: str | None = None
    ) -> None:
        """Give an account another password. Raises `InputRefused` where there is no such account.

        checked_hash  of the password that who asks has proved to know; raises `InputRefused` where it is another by now
        """

        def how(data: dict[str, Json] | None) -> dict[str, Json]:
            if data is None:
                raise InputRefused("no_such_account", username=username)
            # Ours may be there already, where the answer to it got lost.
            if checked_hash is not None and data["password_hash"] not in (checked_hash, password_hash):
                raise InputRefused("password_changed_meanwhile")
            return data | {"password_hash": password_hash, "must_change_password": must_change_password}

        self._change_by(username, how)

    def renew_one_time_password(self, username: str, password_hash: str) -> bool:
        """Give an account another one-time password, unless it has chosen its own or is disabled; whether it was given."""

        def how(data: dict[str, Json] | None) -> dict[str, Json] | None:
            waits = data is not None and data["must_change_password"] and not data["disabled"]
            return data | {"password_hash": password_hash} if data is not None and waits else None

        item = self._changed(keys.account(normal(username)), how)
        return item is not None and item.data["password_hash"] == password_hash

    def renew_hash(self, username: str, checked_hash: str, password_hash: str) -> None:
        """Keep the same password under another hash, unless it is another password by now."""

        def how(data: dict[str, Json] | None) -> dict[str, Json] | None:
            same = data is not None and data["password_hash"] == checked_hash
            return data | {"password_hash": password_hash} if data is not None and same else None

        self._changed(keys.account(normal(username)), how)

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
        name = normal(username)
        if not name:
            raise InputRefused("no_such_account", username=username)
        self._changed(keys.account(name), how)

    def _changed(self, key: Key, how: Callable[[dict[str, Json] | None], dict[str, Json] | None]) -> Item | None:
        # In one transaction: a change without a revocation would go unnoticed in the memory of other processes.
        item = change(self._table, key, how, also=[Revocations.step()])
        self._memory.forget(key.sort)
        self._revocations.look_again()
        return item

    def delete(self, username: str) -> None:
        """Delete an account; deleting what is not there is no error. What it owns is the caller's (`store.departures`)."""
        name = normal(username)
        if name:
            self._table.transact([Delete(keys.account(name)), Revocations.step()])
            self._memory.forget(name)
            self._revocations.look_again()

    def unlock(self, username: str) -> None:
        """Forget all failures to sign in of a username, wherever they came from."""
        Failures(self._table, self._clock).unlock(username)


def normal(username: str) -> str:
    """The username as it is kept; empty for what is no e-mail address."""
    return usernames.normal(username)


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
