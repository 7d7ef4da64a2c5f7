"""What administrators do to accounts, on the Settings page and on the command line."""

from typing import Final

from codecoach.errors import VersionConflict
from codecoach.store.accounts import Account, Accounts
from codecoach.store.sign_ins import SignIns
from codecoach.ui.passwords import hash_password, one_time_password

ROLE_ADMIN: Final = "admin"


class Administration:
    """Accounts and their open sign-ins, changed together."""

    def __init__(self, accounts: Accounts, sign_ins: SignIns) -> None:
        self._accounts = accounts
        self._sign_ins = sign_ins

    def add(self, email: str, admin: bool = False) -> str:
        """Create an account and return its one-time password.

        Raises `VersionConflict` where there is one of that name, `InputRefused` for what is no e-mail address.
        """
        password = one_time_password()
        roles = (ROLE_ADMIN,) if admin else ()
        self._accounts.create(email, hash_password(password), roles, must_change_password=True)
        return password

    def reset(self, email: str) -> str:
        """Give an account a new one-time password, end its sign-ins, forget its failures. Raises `InputRefused`."""
        password = one_time_password()
        self._accounts.set_password(email, hash_password(password), must_change_password=True)
        self._accounts.clear_failures(email)
        self._sign_ins.close_all(email.strip().lower())
        return password

    def disable(self, email: str) -> None:
        """Close an account and end its sign-ins; what it owns is kept. Raises `InputRefused`."""
        self._accounts.set_disabled(email, True)
        self._sign_ins.close_all(email.strip().lower())

    def enable(self, email: str) -> None:
        """Open a closed account again. Raises `InputRefused`."""
        self._accounts.set_disabled(email, False)


def ensure_first_admin(accounts: Accounts, email: str, renew: bool = True) -> str | None:
    """Create the first administrator where there is none; the one-time password to print, or None.

    An administrator who has not yet chosen a password gets a fresh one at each start, because nobody can know whether the
    last one was printed before a crash. `renew=False` only ever creates.
    """
    password = one_time_password()
    account = accounts.get(email)
    if account is None:
        try:
            accounts.create(email, hash_password(password), (ROLE_ADMIN,), must_change_password=True)
        except VersionConflict:  # another process of ours was faster, and prints its own
            return None
        return password
    if renew and account.must_change_password and not account.disabled:
        accounts.set_password(email, hash_password(password), must_change_password=True)
        return password
    return None


def is_admin(account: Account) -> bool:
    """Whether this account may manage the others."""
    return ROLE_ADMIN in account.roles
