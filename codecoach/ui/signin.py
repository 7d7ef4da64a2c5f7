"""Sign-in, and changing one's password."""

import logging
from typing import Final

import streamlit as st

from codecoach import logs
from codecoach.errors import InputRefused, StoreError
from codecoach.i18n import Notice
from codecoach.store import usernames
from codecoach.store.accounts import Account
from codecoach.ui import notices, oidc, session, switches, visitor
from codecoach.ui.passwords import check_password, hash_new, hash_password, is_outdated, problem_with
from codecoach.ui.session import services, t

log = logging.getLogger(__name__)

_TOLD_IN_SECONDS: Final = 120


def show_sign_in() -> None:
    """Draw the sign-in form; signs in and runs the page again where the password is right, or the provider says who it is."""
    oidc.arrive()
    _, middle, _ = st.columns([1, 3, 1])
    with middle:
        st.title(":material/code_blocks: CodeCoach")
        st.markdown(t("signin.welcome"))
        if away := session.store_away():  # or somebody who is signed in would wonder why they are not
            notices.show(away)
        elif ended := session.why_ended():
            st.info(notices.told(ended), icon=":material/timer_off:")
        oidc.draw()
        with notices.guard(), st.form("signin-form"):
            username = st.text_input(t("signin.username"), autocomplete="username", key="signin-username")
            password = st.text_input(
                t("signin.password"), type="password", autocomplete="current-password", key="signin-password"
            )
            if st.form_submit_button(t("signin.sign_in"), type="primary", width="stretch"):
                problem = sign_in(username, password)
                if problem is None:
                    st.rerun()
                st.error(notices.told(problem), icon=":material/lock:")
        draw_choices()


def sign_in(username: str, password: str) -> Notice | None:
    """Sign in, or say why not. Unknown name, closed account and wrong password sound, count and take the same."""
    name = usernames.folded(username)
    account = services().accounts.get(name)
    password_hash = account.password_hash if account and not account.disabled else None
    problem = _refused(name, password, password_hash, "signin.refused")
    if problem is None and password_hash:
        _renew_hash(name, password, password_hash)
        if not session.sign_in(name, lambda latest: _still_good(password, password_hash, latest)):
            problem = Notice("signin.refused")
    return problem


def _still_good(password: str, checked_hash: str, latest: Account) -> bool:
    """Whether a password that was right is so still. Under another hash it may be: renewed here, or in another window."""
    return latest.password_hash == checked_hash or check_password(password, latest.password_hash)


def show_forced_change(account: Account) -> None:
    """Draw the form for the password that must be changed before anything else."""
    _, middle, _ = st.columns([1, 3, 1])
    with middle:
        st.title(t("signin.choose_password"))
        st.markdown(t("signin.choose_password_why"))
        with notices.guard():
            change_form(account)
        draw_choices()
        st.button(
            t("signin.sign_out"), icon=":material/logout:", on_click=session.sign_out, key="signin-out", type="tertiary"
        )


def change_form(account: Account) -> None:
    """Draw the form that changes a password; other sign-ins of the account end with it."""
    if not account.password_hash:
        st.caption(t("oidc.no_password", label=notices.plain(oidc.label())))
        return
    with st.form("signin-change", clear_on_submit=False):
        current = st.text_input(
            t("signin.current_password"), type="password", autocomplete="current-password", key="signin-current"
        )
        new = st.text_input(
            t("signin.new_password"),
            type="password",
            autocomplete="new-password",
            key="signin-new",
            help=t("signin.password_rule"),
        )
        again = st.text_input(t("signin.new_again"), type="password", autocomplete="new-password", key="signin-again")
        if st.form_submit_button(t("signin.change"), type="primary"):
            problem = change_password(account, current, new, again)
            if problem is None:
                st.session_state[
                    "signin-changed"
                ] = not account.must_change_password  # else the page that follows says it
                st.rerun()
            st.error(notices.told(problem))
    if st.session_state.pop("signin-changed", False):
        st.success(t("signin.changed"), icon=":material/check:")


def change_password(account: Account, current: str, new: str, again: str) -> Notice | None:
    """Change a password and end the account's other sign-ins, or say why not."""
    if new != again:
        return Notice("signin.not_the_same")
    if new == current:
        return Notice("signin.same_as_before")
    # What this page remembers of the account may be a second old.
    latest = services().accounts.get(account.username)
    password_hash = latest.password_hash if latest else None
    problem = problem_with(new, account.username) or _refused(
        account.username, current, password_hash, "signin.current_wrong"
    )
    if problem is None:
        # Before as well: should this break off after the change, none of those who know the old one is still in.
        services().sign_ins.close_all(account.username, keep_sid=session.current_sid())
        try:
            services().accounts.set_password(
                account.username, hash_new(new, account.username), checked_hash=password_hash
            )
        except InputRefused as error:  # an administrator reset it while ours was being checked, or deleted the account
            return error.what
        logs.security("password changed", account.username)
        services().sign_ins.close_all(account.username, keep_sid=session.current_sid())
    return problem


def _refused(name: str, password: str, password_hash: str | None, wrong_key: str) -> Notice | None:
    """Why a password is not accepted, or None. Counted before it is checked, so that many tries at once gain nothing."""
    failures, address = services().failures, visitor.address(services().settings.client_address_header)
    if wait_s := failures.begin(name, address):
        return _wait(wait_s)
    if not check_password(password, password_hash):
        # Not whose: many a password has been typed where the name belongs.
        logs.security("password refused", warning=True, address=address or "here")
        return Notice(wrong_key)
    failures.clear(name, address)
    return None


def _wait(wait_s: int) -> Notice:
    if wait_s <= _TOLD_IN_SECONDS:
        return Notice("signin.slowed", {"seconds": wait_s})
    return Notice("signin.locked", {"minutes": -(-wait_s // 60)})


def _renew_hash(name: str, password: str, password_hash: str) -> None:
    """Hash anew what was hashed more cheaply than is done today; that it cannot be kept now stops nobody."""
    if not is_outdated(password_hash):
        return
    try:
        services().accounts.renew_hash(name, password_hash, hash_password(password))
    except StoreError as error:
        log.warning("hash not renewed: %s", error)


def draw_choices() -> None:
    """Draw the choice of language and of light or dark."""
    left, right = st.columns(2)
    with left:
        switches.language_switch("gate")
    with right:
        switches.theme_switch("gate")
