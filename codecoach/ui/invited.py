"""Taking up an invitation: whoever has its code chooses a password, and is signed in to an account of their own.

The code may come in the address of the page. It is taken out of there before anything is drawn, and is no session: it
is worth nothing once the account is made.
"""

from typing import Final

import streamlit as st

from codecoach import logs
from codecoach.errors import InputRefused
from codecoach.i18n import Notice
from codecoach.store.accounts import Account
from codecoach.store.invitations import refused
from codecoach.ui import notices, session, signin, visitor
from codecoach.ui.passwords import hash_new, problem_with
from codecoach.ui.session import services, t

PARAMETER: Final = "invitation"
# Anything may stand in an address; a code has 29 characters.
LONGEST_CODE: Final = 100
# The code that came in the address; empty where none did. Absent: nobody takes up an invitation here.
_CODE: Final = "invited:code"


def take_from_address(account: Account | None) -> None:
    """Take a code out of the page's address, for `draw`; to somebody who is signed in it is said that they are."""
    if PARAMETER not in st.query_params:
        return
    code = str(st.query_params[PARAMETER])[:LONGEST_CODE]
    del st.query_params[PARAMETER]
    if account is None:
        st.session_state[_CODE] = code
    else:
        st.toast(
            t("invitation.signed_in", user=notices.plain(account.username)), icon=":material/info:", duration="long"
        )


def offer() -> None:
    """Draw, below the sign-in form, the way to the form of an invitation."""
    _, middle, _ = st.columns([1, 3, 1])
    with middle:
        st.button(
            t("invitation.have_one"), icon=":material/mail:", type="tertiary", key="invited-begin", on_click=_begin
        )


def draw() -> bool:
    """Draw the form of an invitation in place of sign-in, where somebody takes one up. False where nobody does."""
    code = st.session_state.get(_CODE)
    if code is None:
        return False
    _, middle, _ = st.columns([1, 3, 1])
    with middle:
        st.title(t("invitation.title"))
        st.markdown(t("invitation.why_with_code" if code else "invitation.why"))
        with notices.guard():
            _draw_form(code)
        st.button(t("invitation.back"), type="tertiary", key="invited-back", on_click=_end)
        signin.draw_choices()
    return True


def accept(code: str, password: str, again: str) -> Notice | None:
    """Make the account and sign in, or say why not. Tries are counted by where they come from, as those of passwords are."""
    failures, address = services().failures, visitor.address(services().settings.client_address_header)
    counted = f"invitation {address}"
    if wait_s := failures.begin(counted, address):
        return Notice("invitation.locked", {"minutes": -(-wait_s // 60)})
    invitation = services().invitations.find(code)
    if invitation is None:
        logs.security("invitation refused", warning=True, address=address or "here")
        return refused().what
    failures.clear(counted, address)
    if password != again:
        return Notice("signin.not_the_same")
    if problem := problem_with(password, invitation.username):
        return problem
    password_hash = hash_new(password, invitation.username)
    try:
        username = services().invitations.accept(code, password_hash)
    except InputRefused as error:  # somebody else was quicker, or withdrew it
        return error.what
    logs.security("invitation accepted", username)
    if not session.sign_in(username, lambda latest: latest.password_hash == password_hash):
        return Notice("signin.refused")
    return None


def _draw_form(code: str) -> None:
    with st.form("invited-form"):
        typed = st.text_input(t("invitation.code"), value=code, key="invited-code", autocomplete="off")
        password = st.text_input(
            t("invitation.password"),
            type="password",
            autocomplete="new-password",
            key="invited-password",
            help=t("signin.password_rule"),
        )
        again = st.text_input(t("invitation.again"), type="password", autocomplete="new-password", key="invited-again")
        if st.form_submit_button(t("invitation.accept"), type="primary", width="stretch"):
            problem = accept(typed, password, again)
            if problem is None:
                st.rerun()
            st.error(notices.told(problem), icon=":material/lock:")


def _begin() -> None:
    st.session_state[_CODE] = ""


def _end() -> None:
    st.session_state.pop(_CODE, None)
