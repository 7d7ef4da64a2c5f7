"""What administrators do to accounts, on the Settings page and on the command line."""

from codecoach.store.accounts import ROLE_ADMIN as ROLE_ADMIN
from codecoach.store.accounts import ROLE_MY_AWS, Account, Accounts
from codecoach.store.sign_ins import SignIns
from codecoach.ui.passwords import hash_password, one_time_password


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
        self._accounts.unlock(email)
        self._sign_ins.close_all(email.strip().lower())
        return password

    def disable(self, email: str) -> None:
        """Close an account and end its sign-ins; what it owns is kept. Raises `InputRefused`."""
        self._accounts.set_disabled(email, True)
        self._sign_ins.close_all(email.strip().lower())

    def enable(self, email: str) -> None:
        """Open a closed account again. Raises `InputRefused`."""
        self._accounts.set_disabled(email, False)

    def allow_my_aws(self, email: str, allowed: bool) -> None:
        """Let an account's programs use "my AWS", or no longer. Raises `InputRefused`."""
        self._accounts.set_role(email, ROLE_MY_AWS, allowed)


def is_admin(account: Account) -> bool:
    """Whether this account may manage the others."""
    return ROLE_ADMIN in account.roles
