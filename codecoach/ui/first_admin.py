"""The first administrator's account, so that somebody can sign in to a new CodeCoach."""

from codecoach.errors import VersionConflict
from codecoach.store.accounts import Accounts
from codecoach.ui.administration import ROLE_ADMIN
from codecoach.ui.passwords import hash_new, one_time_password


def ensure_first_admin(accounts: Accounts, email: str, renew: bool = True, given: str = "") -> str | None:
    """Create the first administrator where there is none; the one-time password to print, or None.

    An administrator who has not yet chosen a password gets a fresh one at each start, because nobody can know whether the
    last one was printed before a crash. `renew=False` only ever creates.

    given  the one-time password, where somebody has chosen it: it is then neither renewed nor printed
    """
    password = given or one_time_password()
    account = accounts.get(email)
    if account is None:
        try:
            accounts.create(email, hash_new(password, email), (ROLE_ADMIN,), must_change_password=True)
        except VersionConflict:
            # Another process of ours was quicker. It may have printed to a log that nobody reads.
            return ensure_first_admin(accounts, email) if renew and not given else None
        return None if given else password
    renewable = renew and not given and account.must_change_password and not account.disabled
    if renewable and accounts.renew_one_time_password(email, hash_new(password, email)):
        return password
    return None
