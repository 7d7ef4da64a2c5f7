"""This browser session: who is signed in, in which language, with which services behind it.

Everything a session remembers of its own stands under the keys below; pages use other prefixes. Identity is never a
widget's key, so that no widget can overwrite it.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from codecoach import i18n, logs, reference, settings
from codecoach.errors import StoreError, StoreUnavailable
from codecoach.i18n import Language, Notice
from codecoach.services import Services, build
from codecoach.store import owned
from codecoach.store.accounts import Account
from codecoach.store.keys import hashed
from codecoach.store.preferences import UserPreferences
from codecoach.store.sign_ins import Ended
from codecoach.ui import open_pages, session_cookie, uploads, visitor
from codecoach.ui.session_cookie import COOKIE as COOKIE

log = logging.getLogger(__name__)

_SID = "codecoach.sid"
_ACCOUNT = "codecoach.account"
_CHECKED_AT = "codecoach.checked_at"
_LANGUAGE = "codecoach.language"
# Kept by the browser for whoever is not signed in, and over a reload (`ui.builtin`).
LANGUAGE_COOKIE: Final = "codecoach_language"
_ORDER = "codecoach.order"
_AWAY = "codecoach.store_away"
# Why the sign-in ended; None where its user signed out. As long as it is there, nobody is signed in here.
_ENDED = "codecoach.ended"
# Whose sign-in ran out here, and what he was doing; what of it a widget takes only as it is drawn.
_LEFT = "codecoach.left"
_TYPED = "codecoach.typed"
# Under which keys pages hold what is typed, and what else they know of what is being done. Nothing but these outlives a sign-in
# that ran out: neither passwords that were typed, nor one that was just told.
_KEPT_IN: Final = ("chat:", "editor:", "lab:", "runs:", "text.", "ace.", "args.", "stdin.", "lab.")
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


def _on_a_page() -> str | None:
    return owned.NOBODY if get_script_run_ctx(suppress_warning=True) else None


owned.where_nobody_said(_on_a_page)


def install(made: Services | None) -> None:
    """Use services that somebody else built (a launcher, a test); None forgets them."""
    global _services
    with _building:
        _services = made


def t(key: str, /, **values: object) -> str:
    """The text of `key` in this session's language."""
    return i18n.text(language(), key, **values)


def language() -> Language:
    """What was chosen here, else what the signed-in user keeps, else what this browser had last, else what it asks for."""
    chosen = chosen_language()
    return Language(chosen) if chosen else Language.from_locale(st.context.locale)


def chosen_language() -> str:
    """The language that somebody chose, here or in this browser before; empty where nobody did."""
    chosen = st.session_state.get(_LANGUAGE) or st.context.cookies.get(LANGUAGE_COOKIE, "")
    return str(chosen) if chosen in list(Language) else ""


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


def account(active: bool = True) -> Account | None:
    """Who is signed in here, asked in each script run and mostly answered from memory; None where nobody is (any more).

    From here on this script run, or this click, reaches what is theirs alone (`store.owned`).

    active  False where it is a timer of the page's that asks, and not its user: that keeps nobody signed in
    """
    owned.act_as(None)
    found = _account(active)
    owned.act_as(found.username if found else owned.NOBODY)
    uploads.note(found is not None)
    _refer()
    return found


def _refer() -> None:
    """Log under this browser session's reference."""
    context = get_script_run_ctx(suppress_warning=True)
    reference.begin(hashed(context.session_id)[:8] if context else "")


def _account(active: bool) -> Account | None:
    if _ENDED in st.session_state:  # the cookie a tab connected with stays what it was
        return None
    try:
        sid = _sid()
        found = _signed_in(sid, active) if sid else None
        if sid and found is None:
            _note_end(sid)
        elif sid and found and _ACCOUNT not in st.session_state:
            _adopt(sid, found)
    except StoreUnavailable as error:
        st.session_state[_AWAY] = error
        return _account_while_store_is_away()
    st.session_state.pop(_AWAY, None)
    if found:
        st.session_state[_ACCOUNT] = found
        st.session_state[_CHECKED_AT] = time.monotonic()
        open_pages.note(str(sid))
    return found


def _signed_in(sid: str, active: bool) -> Account | None:
    sign_ins = services().sign_ins
    username = sign_ins.see(sid) if active else sign_ins.find(sid)
    found = services().accounts.current(username) if username else None
    return None if found is None or found.disabled else found


def _note_end(sid: str) -> None:
    """Note why a sign-in has ended, and forget its user; what he typed waits for him where it only ran out."""
    ended = services().sign_ins.why_ended(sid)
    last = seen_account()
    open_pages.forget()
    if last and ended is not Ended.CLOSED:
        _leave(last.username)
    elif _SID in st.session_state:  # not for a cookie that is merely stale: sign-out may still have orders here
        forget()
    st.session_state[_ENDED] = ended


def why_ended() -> Notice | None:
    """Why nobody is signed in here any more, where that was not of his own doing."""
    ended = st.session_state.get(_ENDED)
    if ended is Ended.IDLE:
        return Notice("signin.ended_idle", {"minutes": services().settings.session_idle_minutes})
    if ended is Ended.TOO_LONG:
        return Notice("signin.ended_too_long", {"hours": services().settings.session_hours})
    return Notice("signin.ended_closed") if ended is Ended.CLOSED else None


def store_away() -> StoreUnavailable | None:
    """Why it is not known who is signed in here, where that is so."""
    error: StoreUnavailable | None = st.session_state.get(_AWAY)
    return error


def holds(sid: str) -> bool:
    """Whether the sign-in with this secret holds, for a page that nobody touches."""
    return _signed_in(sid, active=False) is not None


def still_signed_in() -> bool:
    """Whether the sign-in of this page still holds, asked while its user watches something come; mostly from memory."""
    try:
        sid = _sid()
        return sid is not None and _signed_in(sid, active=True) is not None
    except StoreUnavailable:
        return True  # the next script run decides


def sign_in(username: str, still_good: Callable[[Account], bool]) -> bool:
    """Sign a user in whose password has been checked; the cookie follows by a one-time ticket (`ui.cookie`).

    still_good  whether what was checked holds for the account as it is now

    False, and nobody is signed in, where it does not, or the account was disabled or deleted meanwhile. That is looked at once
    the sign-in is open: whoever changes the account later ends it with all others, whoever did so before is seen here.
    """
    address = visitor.address(services().settings.client_address_header)
    sid = services().sign_ins.open(username, visitor.device(), address)
    latest = services().accounts.get(username)
    if latest is None or latest.disabled or not still_good(latest):
        logs.security("refused, the account was changed meanwhile", warning=True, address=address or "here")
        services().sign_ins.close(sid)
        return False
    ticket = services().sign_ins.issue_ticket(sid)
    services().last_sign_ins.note(username)
    _take_up(username)
    st.session_state[_SID] = sid
    st.session_state[_ORDER] = ("start", ticket)
    logs.security("signed in", username)
    return True


def sign_out() -> None:
    """End this sign-in everywhere: in the store, here, and in the browser's cookie.

    Where the store does not answer, it ends here and in the browser at least.
    """
    logs.security("signed out", username())
    try:
        if sid := _sid():
            services().sign_ins.close(sid)
    except StoreError as error:
        log.warning("sign-in not closed: %s", error)
    forget()
    st.session_state[_ENDED] = None
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


def typed_before(key: str) -> str:
    """What whoever is back had typed under this key when his sign-in ran out; once. For a widget that forgets it meanwhile."""
    return str(st.session_state.get(_TYPED, {}).pop(key, ""))


def forget() -> None:
    """Drop everything this session remembers but its language: the next user must find nothing of the last one."""
    open_pages.forget()
    for key in list(st.session_state):
        if key != _LANGUAGE:
            del st.session_state[key]


def _leave(username: str) -> None:
    """Put aside what is being done here for when the same user signs in again."""
    kept = {
        str(key): value
        for key, value in st.session_state.items()
        if str(key).startswith(_KEPT_IN) and _can_be_put_back(value)
    }
    forget()
    st.session_state[_LEFT] = (username, kept)


def _can_be_put_back(value: object) -> bool:
    """What is typed, and what pages made of it. Buttons, uploads and tables take no value but from the browser."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (str, int, float)) or type(value).__module__.startswith("codecoach.")


def _take_up(username: str) -> None:
    """Put back what this user left here, in the script run before the one that draws it; nobody else finds any of it."""
    left_by, kept = st.session_state.get(_LEFT, ("", {}))
    forget()
    if left_by == username:
        for key, value in kept.items():
            st.session_state[key] = value
        st.session_state[_TYPED] = kept


def _adopt(sid: str, found: Account) -> None:
    st.session_state[_SID] = sid
    kept = preferences(found.username).language
    if kept:
        st.session_state[_LANGUAGE] = kept


def _account_while_store_is_away() -> Account | None:
    last: Account | None = st.session_state.get(_ACCOUNT)
    seen_s_ago = time.monotonic() - st.session_state.get(_CHECKED_AT, float("-inf"))
    return last if seen_s_ago < STORE_GRACE_S else None


def _sid() -> str | None:
    """The secret of this sign-in: as it was begun here, else of the cookie as it was when this browser tab connected."""
    sid = st.session_state.get(_SID)
    if sid:
        return str(sid)
    https = services().settings.cookie_secure or visitor.over_https()
    value = session_cookie.value_in(st.context.cookies, https)
    return services().cookie_seal.unseal(value) if value else None
