"""One's own account: language, appearance, password, open sign-ins, and who AWS takes this app for."""

from typing import Final

import streamlit as st

from codecoach.i18n import Notice
from codecoach.settings import Backend
from codecoach.store.accounts import Account
from codecoach.store.sign_ins import SignIn
from codecoach.ui import acting, notices, page, parts, session, signin, switches, told_once
from codecoach.ui.moments import moment
from codecoach.ui.session import services, t
from codecoach.ui.settings_my_aws import draw_my_aws

# Somebody's script may sign in by the hundred.
_LISTED: Final = 20


def draw_account(account: Account) -> None:
    """Draw the account of whoever is signed in."""
    acting.show_problem()
    told_once.draw()
    st.text(t("settings_page.signed_in_as", user=account.username))
    left, right = st.columns(2)
    with left:
        st.caption(t("nav.language"))
        switches.language_switch("settings")
        st.caption(f":small[{t('profile.language_kept')}]")
    with right:
        st.caption(t("nav.theme"))
        switches.theme_switch("settings")
        st.caption(f":small[{t('profile.theme_kept')}]")
    st.subheader(t("signin.change"))
    with notices.guard():
        signin.change_form(account)
    st.subheader(t("profile.sign_ins"))
    with notices.guard():
        _draw_sign_ins(account)
    st.subheader(t("settings_page.identity"))
    if services().settings.backend is Backend.EMBEDDED and not services().my_aws.exists:
        st.caption(t("settings_page.identity_local"))
    else:
        _draw_identity()
    with notices.guard():
        draw_my_aws(account)


def _draw_sign_ins(account: Account) -> None:
    here = services().sign_ins.id_of(session.current_sid() or "")
    found = sorted(services().sign_ins.all_of(account.username), key=lambda one: one.id != here)
    st.caption(t("profile.sign_ins_hint"))
    for one in found[:_LISTED]:
        _draw_sign_in(one, one.id == here)
    if len(found) > _LISTED:
        st.caption(t("profile.more", count=len(found) - _LISTED))
    with st.container(horizontal=True):
        st.button(
            t("profile.everywhere_else"),
            icon=":material/devices_off:",
            key="profile-everywhere-else",
            disabled=len(found) < 2,
            on_click=acting.attempt,
            args=(_end_all_others,),
        )
        st.button(
            t("profile.everywhere"),
            icon=":material/logout:",
            key="profile-everywhere",
            on_click=acting.attempt,
            args=(_end_all,),
        )


def _draw_sign_in(one: SignIn, is_this: bool) -> None:
    device = one.device or t("profile.unknown_browser")
    facts = "profile.facts" if one.address else "profile.facts_nowhere"
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"sign-in-{one.id}"):
        with st.container(gap=None):
            st.markdown(f"{device} :green-badge[{t('profile.this_one')}]" if is_this else device)
            st.caption(
                t(facts, begun=moment(one.begun_at), seen=moment(one.seen_at), address=notices.plain(one.address))
            )
        if not is_this:
            st.button(
                t("profile.end"),
                key=f"profile-end-{one.id}",
                help=t("profile.end_other", device=device),
                on_click=acting.attempt,
                args=(_end, one.id),
            )


def _end(sign_in_id: str) -> None:
    services().sign_ins.close_one(session.username(), sign_in_id)
    told_once.tell_next(Notice("profile.ended"))


def _end_all_others() -> None:
    services().sign_ins.close_all(session.username(), keep_sid=session.current_sid())
    told_once.tell_next(Notice("profile.everywhere_else_done"))


def _end_all() -> None:
    services().sign_ins.close_all(session.username())
    session.sign_out()


@st.fragment(run_every=5)
def _draw_identity() -> None:
    page.check_gate()
    state = parts.of(services()).identity()
    if state.problem:
        st.caption(f":red[{notices.told(state.problem)}]")
    else:
        st.code(state.version or t("home.checking"), language=None, wrap_lines=True)
