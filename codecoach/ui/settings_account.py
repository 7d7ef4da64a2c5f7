"""One's own account: language, appearance, password, and who AWS takes this app for."""

import streamlit as st

from codecoach.settings import Backend
from codecoach.store.accounts import Account
from codecoach.ui import notices, page, parts, signin, switches
from codecoach.ui.session import services, t
from codecoach.ui.settings_my_aws import draw_my_aws


def draw_account(account: Account) -> None:
    """Draw the account of whoever is signed in."""
    st.text(t("settings_page.signed_in_as", user=account.username))
    left, right = st.columns(2)
    with left:
        st.caption(t("nav.language"))
        switches.language_switch("settings")
    with right:
        st.caption(t("nav.theme"))
        switches.theme_switch("settings")
    st.subheader(t("signin.change"))
    with notices.guard():
        signin.change_form(account)
    st.subheader(t("settings_page.identity"))
    if services().settings.backend is Backend.EMBEDDED and not services().my_aws.exists:
        st.caption(t("settings_page.identity_local"))
    else:
        _draw_identity()
    with notices.guard():
        draw_my_aws(account)


@st.fragment(run_every=5)
def _draw_identity() -> None:
    page.check_gate()
    state = parts.of(services()).identity()
    if state.problem:
        st.caption(f":red[{notices.told(state.problem)}]")
    else:
        st.code(state.version or t("home.checking"), language=None, wrap_lines=True)
