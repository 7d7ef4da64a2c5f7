"""Which account somebody gets whom a sign-in provider vouches for."""

from dataclasses import replace
from typing import Final

from codecoach.errors import InputRefused, VersionConflict
from codecoach.i18n import Notice
from codecoach.store.accounts import Account, Accounts
from codecoach.store.sign_ins import SignIns

# No password matches it, and trying one takes as long and sounds the same as with any other account.
NO_PASSWORD: Final = ""


class Admission:
    """The accounts as the provider's people find them.

    domains  e-mail domains, in lower case, whose people get an account by themselves
    """

    def __init__(self, accounts: Accounts, sign_ins: SignIns, domains: tuple[str, ...]) -> None:
        self._accounts = accounts
        self._sign_ins = sign_ins
        self._domains = domains

    def admit(self, email: str) -> Account | Notice:
        """The account of a verified e-mail address in lower case, made where its domain allows; else why there is none."""
        account = self._accounts.get(email) or self._make(email)
        if account is None:
            return Notice("oidc.no_account", {"email": email})
        if account.disabled:
            return Notice("oidc.disabled", {"email": email})
        if account.must_change_password:
            # Who comes this way needs no one-time password, and may never have been told it: it is void from now on, and so
            # is what somebody else began with it, who was held up by having to choose another.
            self._accounts.set_password(email, NO_PASSWORD)
            self._sign_ins.close_all(email)
            return replace(account, password_hash=NO_PASSWORD, must_change_password=False)
        return account

    def _make(self, email: str) -> Account | None:
        if email.rpartition("@")[2] not in self._domains:
            return None
        try:
            return self._accounts.create(email, NO_PASSWORD)
        except VersionConflict:  # in another tab at the same time
            return self._accounts.get(email)
        except InputRefused:
            return None
