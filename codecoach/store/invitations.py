"""Invitations: a code with which somebody makes an account of their own, once and within a week.

administrator                          invited
invite: the code, of which the table
has the SHA-256 alone           --->   accept: in one transaction the invitation goes and the account comes,
                                       so that a code is good once, whoever uses it at the same moment
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

from codecoach.errors import InputRefused, VersionConflict
from codecoach.store import keys
from codecoach.store.accounts import ROLE_ADMIN, Accounts, normal
from codecoach.store.paging import everything
from codecoach.store.port import Delete, Item, Json, Table
from codecoach.store.records import from_time, to_time

KEPT_DAYS: Final = 7
KEPT_S: Final = KEPT_DAYS * 24 * 3600
# No letters or digits that look alike: it may be read out or typed.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
# 25 of them are 123 bits.
_GROUPS: Final = 5
_GROUP: Final = 5


@dataclass(frozen=True)
class Invitation:
    """One that is open.

    username    the e-mail address that the account will have
    roles       those it will have
    invited_by  username of an administrator; empty: by the command line
    """

    username: str
    roles: tuple[str, ...]
    invited_by: str
    created_at: datetime
    expires_at: datetime


class Invitations:
    """All open invitations; at most one for each address."""

    def __init__(self, table: Table, accounts: Accounts, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._accounts = accounts
        self._clock = clock

    def invite(self, username: str, roles: tuple[str, ...] = (), invited_by: str = "") -> str:
        """Open an invitation and return its code; one that was open for the address is closed.

        Raises `InputRefused` for what is no e-mail address, and where there is an account of that name.
        """
        name = normal(username)
        if not name:
            raise InputRefused("username_refused")
        if self._accounts.get(name):
            raise InputRefused("account_exists", username=name)
        code = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
        now = self._clock()
        data: dict[str, Json] = {
            "username": name,
            "roles": list(roles),
            "invited_by": invited_by,
            "created_at": from_time(datetime.fromtimestamp(now, UTC)),
        }
        self.discard(name)
        self._table.put(Item(keys.invitation(_plain(code)), data, expires_at=int(now) + KEPT_S), expected_version=0)
        return code

    def open(self) -> tuple[Invitation, ...]:
        """Every open invitation, by address."""
        found = map(_invitation, everything(self._table, keys.INVITATIONS, ""))
        return tuple(sorted(found, key=lambda one: one.username))

    def find(self, code: str) -> Invitation | None:
        """The open invitation with this code, or None. Capitals, blanks and hyphens do not matter."""
        item = self._table.get(keys.invitation(_plain(code)))
        found = _invitation(item) if item else None
        return found if found and self._stands(found) else None

    def accept(self, code: str, password_hash: str) -> str:
        """Make the account, with a password that its owner chose, and return its username.

        Raises `InputRefused` where the code is wrong, used, withdrawn or expired: all the same, nobody learns which.
        """
        item = self._table.get(keys.invitation(_plain(code)))
        if item is None:
            raise refused()
        invitation = _invitation(item)
        if not self._stands(invitation):
            raise refused()
        used = Delete(item.key, expected_version=item.version)
        try:
            self._accounts.create(invitation.username, password_hash, invitation.roles, along_with=[used])
        except VersionConflict as error:
            raise refused() from error
        return invitation.username

    def _stands(self, invitation: Invitation) -> bool:
        """Whether who invited may still do so: else somebody who is dismissed could have let himself in again beforehand."""
        if not invitation.invited_by:
            return True
        inviter = self._accounts.get(invitation.invited_by)
        return inviter is not None and not inviter.disabled and ROLE_ADMIN in inviter.roles

    def withdraw(self, username: str) -> None:
        """Close the invitation of an address. Raises `InputRefused` where there is none."""
        if not self.discard(username):
            raise InputRefused("no_such_invitation", username=username)

    def discard(self, username: str) -> bool:
        """Close the invitation of an address, where there is one; whether there was."""
        name = normal(username)
        doomed = [item.key for item in everything(self._table, keys.INVITATIONS, "") if item.data["username"] == name]
        for key in doomed:
            self._table.delete(key)
        return bool(doomed)


def refused() -> InputRefused:
    """What is said of a code that is not, or no longer, good."""
    return InputRefused("invitation_refused", days=KEPT_DAYS)


def _plain(code: str) -> str:
    return re.sub(r"[\s-]", "", code).lower()


def _invitation(item: Item) -> Invitation:
    data = item.data
    return Invitation(
        username=str(data["username"]),
        roles=tuple(cast(list[str], data["roles"])),
        invited_by=str(data["invited_by"]),
        created_at=to_time(data["created_at"]),
        expires_at=datetime.fromtimestamp(item.expires_at or 0, UTC),
    )
