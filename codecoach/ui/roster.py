"""Everybody who may sign in, or has been invited to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from codecoach.services import Services
from codecoach.store.accounts import ROLE_ADMIN, ROLE_MY_AWS, Account
from codecoach.store.invitations import Invitation

ROLES = (ROLE_ADMIN, ROLE_MY_AWS)


class Standing(StrEnum):
    """How things stand with somebody."""

    ACTIVE = "active"
    MUST_CHANGE = "must_change_password"
    DISABLED = "disabled"
    INVITED = "invited"


@dataclass(frozen=True)
class Entry:
    """One of everybody.

    account     None: invited only
    created_at  when the account was made, or the invitation
    expires_at  of an invitation, else None
    """

    username: str
    standing: Standing
    roles: tuple[str, ...]
    created_at: datetime
    account: Account | None = None
    expires_at: datetime | None = None


def roster(services: Services) -> tuple[Entry, ...]:
    """Everybody, by address."""
    accounts = services.accounts.all()
    known = {one.username for one in accounts}
    invited = [one for one in services.invitations.open() if one.username not in known]
    return tuple(sorted([*map(_member, accounts), *map(_invited, invited)], key=lambda one: one.username))


def matching(everybody: Iterable[Entry], words: str) -> tuple[Entry, ...]:
    """Those in whose address all of these words are."""
    wanted = words.lower().split()
    return tuple(one for one in everybody if all(word in one.username for word in wanted))


def _member(account: Account) -> Entry:
    if account.disabled:
        standing = Standing.DISABLED
    else:
        standing = Standing.MUST_CHANGE if account.must_change_password else Standing.ACTIVE
    return Entry(account.username, standing, account.roles, account.created_at, account)


def _invited(one: Invitation) -> Entry:
    return Entry(one.username, Standing.INVITED, one.roles, one.created_at, expires_at=one.expires_at)
