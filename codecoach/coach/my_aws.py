"""Whose programs may use "my AWS", and the credentials for one run of theirs."""

from collections.abc import Callable
from typing import Protocol

from codecoach.errors import AwsRefused
from codecoach.runner.credentials import Credentials
from codecoach.settings import MyAws, RunnerKind, Settings
from codecoach.store.accounts import ROLE_ADMIN, ROLE_MY_AWS, Account, Accounts


class Lender(Protocol):
    """What gives credentials (`aws.run_role.RunRole` does)."""

    def lend(self, username: str) -> Credentials: ...


class MyAwsGate:
    """Says who may, and lends to them alone."""

    # The accounts are asked for late: who may not use any of this is told so also while the store is away.
    def __init__(self, settings: Settings, accounts: Callable[[], Accounts], role: Lender) -> None:
        self._settings = settings
        self._accounts = accounts
        self._role = role

    @property
    def exists(self) -> bool:
        """Whether there is a "my AWS" for anybody."""
        return self._missing() is None and self._settings.my_aws is not MyAws.NOBODY

    def allows(self, account: Account | None) -> bool:
        """Whether the programs of this account may use it."""
        if account is None or account.disabled or not self.exists:
            return False
        chosen = not {ROLE_ADMIN, ROLE_MY_AWS}.isdisjoint(account.roles)
        return chosen or self._settings.my_aws is MyAws.EVERYBODY

    def lend(self, username: str) -> Credentials:
        """Credentials for one run of a user's program, after looking once more whether they may. Raises `AwsRefused`."""
        if missing := self._missing():
            raise missing
        if not self.allows(self._accounts().get(username)):
            raise AwsRefused("aws_not_allowed")
        return self._role.lend(username)

    def lend_to_operator(self, name: str) -> Credentials:
        """The same on the command line, for who has this process's own rights anyway. Raises `AwsRefused`."""
        if missing := self._missing():
            raise missing
        return self._role.lend(name)

    def _missing(self) -> AwsRefused | None:
        if not self._settings.run_role_arn:
            return AwsRefused("aws_no_role")
        if self._settings.runner is RunnerKind.PISTON:
            return AwsRefused("aws_not_on_piston")
        return None
