"""This browser session: who is signed in, in which language, with which services behind it.

Everything a session remembers of its own stands under the keys below; pages use other prefixes. Identity is never a
widget's key, so that no widget can overwrite it.
"""

import logging
import threading
import time
from typing import Final

import streamlit as st

from codecoach import i18n, settings
from codecoach.errors import StoreError, StoreUnavailable
from codecoach.i18n import Language
from codecoach.services import Services, build
from codecoach.store.accounts import Account
from codecoach.store.preferences import UserPreferences

log = logging.getLogger(__name__)

COOKIE: Final = "codecoach_session"
_SID = "codecoach.sid"
_ACCOUNT = "codecoach.account"
_CHECKED_AT = "codecoach.checked_at"
_LANGUAGE = "codecoach.language"
_ORDER = "codecoach.order"
_AWAY = "codecoach.store_away"
# How long a signed-in page goes on drawing with the account it last saw while the store does not answer.
STORE_GRACE_S: Final = 300.0

# One per process and held by the module: any visitor can clear Streamlit's own caches.
_services: Services | None = None
_building = threading.Lock()


def services() -> Services:
    """The services of this process, built from the environment when first asked for."""
    global _services
    with _building:
        if _services is None:
            _services = build(settings.load())
        return _services


def install(made: Services | None) -> None:
    """Use services that somebody else built (a launcher, a test); None forgets them."""
    global _services
    with _building:
        _services = made


def t(key: str, /, **values: object) -> str:
    """The text of `key` in this session's language."""
    return i18n.text(language(), key, **values)


def language() -> Language:
    """What was chosen here, else what the signed-in user keeps, else what the browser asks for."""
    chosen = st.session_state.get(_LANGUAGE)
    return Language(chosen) if chosen else Language.from_locale(st.context.locale)


def choose_language(chosen: Language) -> None:
    """Use a language from now on; kept with the user's preferences when somebody is signed in."""
    st.session_state[_LANGUAGE] = str(chosen)
    try:
        user = account()
        if user:
            keep(user.username, language=str(chosen))
    except StoreError as error:
        log.warning("language not kept: %s", error)


def preferences(username: str) -> UserPreferences:
    """What the user keeps."""
    return services().preferences.get(username)


def keep(username: str, **changes: str) -> None:
    """Change some of the user's preferences."""
    services().preferences.change(username, **changes)


def account() -> Account | None:
    """Who is signed in here, asked of the store in each script run; None where nobody is (any more)."""
    sid = st.session_state.get(_SID) or _cookie()
    if not sid:
        return None
    try:
        username = services().sign_ins.see(sid)
        found = services().accounts.current(username) if username else None
        if found and not found.disabled and _ACCOUNT not in st.session_state:
            _adopt(sid, found)
    except StoreUnavailable as error:
        st.session_state[_AWAY] = error
        return _account_while_store_is_away()
    st.session_state.pop(_AWAY, None)
    if found is None or found.disabled:
        if _SID in st.session_state:  # not for a cookie that is merely stale: sign-out may still have orders here
            forget()
        return None
    st.session_state[_ACCOUNT] = found
    st.session_state[_CHECKED_AT] = time.monotonic()
    return found


def store_away() -> StoreUnavailable | None:
    """Why it is not known who is signed in here, where that is so."""
    error: StoreUnavailable | None = st.session_state.get(_AWAY)
    return error


def still_signed_in() -> bool:
    """Whether the sign-in of this page still holds, asked while it follows something; cheaper than `account`."""
    sid = st.session_state.get(_SID) or _cookie()
    try:
        return sid is not None and services().sign_ins.find(str(sid)) is not None
    except StoreUnavailable:
        return True  # the next script run decides


def sign_in(username: str) -> None:
    """Sign a user in whose password has been checked; the cookie follows by a one-time ticket (`ui.cookie`)."""
    sid = services().sign_ins.open(username)
    ticket = services().sign_ins.issue_ticket(sid)
    forget()
    st.session_state[_SID] = sid
    st.session_state[_ORDER] = ("start", ticket)
    log.info("signed in: %s", username)


def sign_out() -> None:
    """End this sign-in everywhere: in the store, here, and in the browser's cookie.

    Where the store does not answer, it ends here and in the browser at least.
    """
    sid = st.session_state.get(_SID) or _cookie()
    if sid:
        try:
            services().sign_ins.close(sid)
        except StoreError as error:
            log.warning("sign-in not closed: %s", error)
    forget()
    st.session_state[_ORDER] = ("end", str(time.monotonic_ns()))


def username() -> str:
    """The name last seen signed in here; empty where nobody is."""
    last = seen_account()
    return last.username if last else ""


def seen_account() -> Account | None:
    """The account last seen signed in here, without asking the store."""
    last: Account | None = st.session_state.get(_ACCOUNT)
    return last


def current_sid() -> str | None:
    """The id of this sign-in, which a change of password keeps while it ends all others."""
    sid = st.session_state.get(_SID)
    return str(sid) if sid else None


def cookie_order() -> tuple[str, str] | None:
    """What the browser is to do with its cookie: ("start", ticket) or ("end", unique)."""
    order: tuple[str, str] | None = st.session_state.get(_ORDER)
    return order


def forget() -> None:
    """Drop everything this session remembers but its language: the next user must find nothing of the last one."""
    for key in list(st.session_state):
        if key != _LANGUAGE:
            del st.session_state[key]


def _adopt(sid: str, found: Account) -> None:
    st.session_state[_SID] = sid
    kept = preferences(found.username).language
    if kept:
        st.session_state[_LANGUAGE] = kept


def _account_while_store_is_away() -> Account | None:
    last: Account | None = st.session_state.get(_ACCOUNT)
    seen_s_ago = time.monotonic() - st.session_state.get(_CHECKED_AT, float("-inf"))
    return last if seen_s_ago < STORE_GRACE_S else None


def _cookie() -> str | None:
    """The session cookie as it was when this browser tab connected."""
    value = st.context.cookies.get(COOKIE)
    return str(value) if value else None
