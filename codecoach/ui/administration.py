"""What administrators do to accounts, on the Settings page and on the command line."""

from collections.abc import Callable
from typing import Final

from codecoach import logs
from codecoach.coach.bench import PLACES
from codecoach.errors import InputRefused, VersionConflict
from codecoach.services import Services
from codecoach.store import owned
from codecoach.store.accounts import ROLE_ADMIN as ROLE_ADMIN
from codecoach.store.accounts import ROLE_MY_AWS, Account, normal
from codecoach.ui.passwords import hash_new, one_time_password

OPERATOR: Final = ""
"""Acts on the command line: whoever can read the store's settings may do anything to it anyway."""


class Administration:
    """Accounts, invitations and open sign-ins, changed together by one administrator.

    Every method looks up who acts anew, whatever the page was drawn for, and raises `InputRefused` where that is no
    administrator (any more), and where there is no such account.
    """

    def __init__(self, services: Services, by: str) -> None:
        """`by` is the username of who acts, or `OPERATOR`."""
        self._services = services
        self._accounts = services.accounts
        self._by = by

    def add(self, email: str, admin: bool = False) -> str:
        """Create an account and return its one-time password. Raises `InputRefused` for a name that will not do, or is taken."""
        self._check()
        password = one_time_password()
        try:
            self._accounts.create(email, hash_new(password, email), _roles(admin), must_change_password=True)
        except VersionConflict as error:
            raise InputRefused("account_exists", username=normal(email)) from error
        self._services.invitations.discard(email)
        self._log("added", email)
        return password

    def invite(self, email: str, admin: bool = False) -> str:
        """Open an invitation and return its code. Raises `InputRefused` for a name that will not do, or is taken."""
        self._check()
        code = self._services.invitations.invite(email, _roles(admin), self._by)
        self._log("invited", email)
        return code

    def withdraw(self, email: str) -> None:
        """Close the open invitation of an address."""
        self._check()
        self._services.invitations.withdraw(email)
        self._log("invitation withdrawn from", email)

    def reset(self, email: str) -> str:
        """Give an account a new one-time password, end its sign-ins, forget its failures."""
        self._check(email)
        password = one_time_password()
        self._accounts.set_password(email, hash_new(password, email), must_change_password=True)
        self._accounts.unlock(email)
        self._end_sign_ins(email)
        self._log("password reset for", email)
        return password

    def disable(self, email: str) -> None:
        """Close an account and end its sign-ins; what it owns is kept. Not the last administrator's."""
        self._check(email)
        self._leaving_an_administrator(
            email,
            lambda: self._accounts.set_disabled(email, True),
            lambda: self._accounts.set_disabled(email, False),
        )
        self._end_sign_ins(email)
        self._log("disabled", email)

    def enable(self, email: str) -> None:
        """Open a closed account again."""
        self._check(email)
        account = self._accounts.get(email)
        if account and account.disabled:  # should closing it have broken off before that, they would come back to life
            self._end_sign_ins(email)
        self._accounts.set_disabled(email, False)
        self._log("enabled", email)

    def make_admin(self, email: str, admin: bool) -> None:
        """Let an account manage the others, or no longer. Not the last administrator's."""
        self._check(email)
        if admin:
            self._accounts.set_role(email, ROLE_ADMIN, True)
        else:
            self._leaving_an_administrator(
                email,
                lambda: self._accounts.set_role(email, ROLE_ADMIN, False),
                lambda: self._accounts.set_role(email, ROLE_ADMIN, True),
            )
        self._log("made an administrator" if admin else "made no administrator", email)

    def allow_my_aws(self, email: str, allowed: bool) -> None:
        """Let an account's programs use "my AWS", or no longer."""
        self._check()  # also one's own, which costs nobody the administration
        self._accounts.set_role(email, ROLE_MY_AWS, allowed)
        self._log("my AWS allowed to" if allowed else "my AWS refused to", email)

    def unlock(self, email: str) -> None:
        """Forget the failed sign-ins of an account, so that it can be tried again at once."""
        self._check()
        self._known(email)
        self._accounts.unlock(email)
        self._log("unlocked", email)

    def sign_out(self, email: str) -> None:
        """End all sign-ins of an account."""
        self._check()
        self._known(email)
        self._end_sign_ins(email)
        self._log("signed out everywhere", email)

    def delete(self, email: str) -> None:
        """Delete an account with everything that is its owner's, for good. Not the last administrator's.

        Takes a while for somebody who wrote much; where it breaks off the account is closed, and it can be asked for again.
        """
        self.disable(email)
        with owned.on_behalf_of(normal(email)):
            self._services.departures.delete(email, PLACES)
        self._log("deleted, with everything it owned,", email)

    def _check(self, other: str | None = None) -> None:
        """Whether who acts may; `other` is an account that must not be their own."""
        if self._by == OPERATOR:
            return
        acting = self._accounts.get(self._by)
        if acting is None or acting.disabled or acting.must_change_password or not is_admin(acting):
            logs.security("refused, who is no administrator", self._by, warning=True)
            raise InputRefused("not_an_administrator")
        if other is not None and normal(other) == acting.username:
            raise InputRefused("not_oneself")

    def _leaving_an_administrator(self, email: str, do: Callable[[], None], undo: Callable[[], None]) -> None:
        """Do what may take the last administrator; it is refused, or undone, where it does.

        Looked at before and after: two administrators who do this to each other at the same moment would both find the
        other before. Both find nobody after, or one of them does.
        """
        name = self._known(email).username
        before = [one.username for one in self._administrators()]
        if before == [name]:
            raise InputRefused("last_administrator", username=name)
        do()
        if before and not self._administrators():
            undo()
            raise InputRefused("last_administrator", username=name)

    def _administrators(self) -> list[Account]:
        return [one for one in self._accounts.all() if is_admin(one) and not one.disabled]

    def _known(self, email: str) -> Account:
        account = self._accounts.get(email)
        if account is None:
            raise InputRefused("no_such_account", username=email)
        return account

    def _end_sign_ins(self, email: str) -> None:
        self._services.sign_ins.close_all(normal(email))

    def _log(self, what: str, email: str) -> None:
        logs.security(f"{what} {normal(email)} by {self._by or 'the command line'}")


def is_admin(account: Account) -> bool:
    """Whether this account may manage the others."""
    return ROLE_ADMIN in account.roles


def _roles(admin: bool) -> tuple[str, ...]:
    return (ROLE_ADMIN,) if admin else ()
