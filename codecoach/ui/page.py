"""The frame every page stands in: the gate, the navigation, who is signed in."""

from pathlib import Path
from typing import Final, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach import metrics
from codecoach.store.accounts import Account
from codecoach.ui import builtin, cookie, invited, narrow, notices, session, signin, switches
from codecoach.ui.session import t

NAVIGATION: Final = (
    ("Home.py", "nav.home", ":material/home:"),
    ("pages/1_Chat.py", "nav.chat", ":material/forum:"),
    ("pages/2_Editor.py", "nav.editor", ":material/code:"),
    ("pages/3_Prompt_Lab.py", "nav.lab", ":material/science:"),
    ("pages/4_Settings.py", "nav.settings", ":material/settings:"),
)
# A file of ours: Streamlit has a named icon fetched from the internet.
ICON: Final = str(Path(__file__).with_name("icon.svg"))
# Streamlit's "Press Enter to submit form" comes in English only. A wide table in an answer would leave the page's column.
# However long the list above it grows, the account stays in sight. Code is indented as the Editor shows it, which on a narrow
# screen is half of what a browser makes of a tab; what a program prints keeps a terminal's tabs.
_STYLE: Final = """<style>
[data-testid="InputInstructions"] { display: none }
[data-testid="stMarkdownContainer"] table { display: block; max-width: 100%; overflow-x: auto; }
[data-testid="stCode"] code:not(.language-plaintext) { tab-size: 4; }
[data-testid="stSidebar"] div:has(.st-key-account) { background-color: inherit; }
[data-testid="stSidebar"] [data-testid="stLayoutWrapper"]:has(> .st-key-account) {
  position: sticky; bottom: 0; z-index: 1; padding-block: .75rem;
}
</style>"""
# A wide page has much to show side by side; Streamlit leaves 5rem free on either side.
_WIDE_STYLE: Final = """<style>
@media (min-width: 768px) { [data-testid="stMainBlockContainer"] { padding-left: 2.5rem; padding-right: 2.5rem; } }
</style>"""
_BODY = "codecoach.sidebar"


def open_page(title_key: str, layout: Literal["centered", "wide"] = "centered") -> Account:
    """Open a page for whoever is signed in; the first statement of every page.

    Signed out, it draws the sign-in form alone and ends the script run; once signed in, the visitor is on the page they
    asked for. An account that must change its password gets the form for that alone.
    """
    notices.begin()
    metrics.page_runs.labels(title_key).inc()
    account = session.account()
    if account is None or account.must_change_password:
        layout = "centered"
    st.set_page_config(page_title=f"{t(title_key)} · CodeCoach", page_icon=ICON, layout=layout)
    st.html(_STYLE + builtin.STYLE + (_WIDE_STYLE if layout == "wide" else ""))
    builtin.translate()
    cookie.carry_out_order()
    invited.take_from_address(account)
    if account is None:
        if not invited.draw():
            signin.show_sign_in()
            invited.offer()
        st.stop()
    if account.must_change_password:
        signin.show_forced_change(account)
        st.stop()
    _draw_sidebar(account)
    return account


def check_gate() -> None:
    """For fragments that a timer draws anew, without their page: back to the page, and its gate, where nobody is signed in.

    Being drawn is no activity: an abandoned tab must not keep anybody signed in.
    """
    if session.account(active=False) is None:
        st.rerun()


def sidebar() -> DeltaGenerator:
    """The part of the sidebar that belongs to the page, between the navigation and the account."""
    body: DeltaGenerator = st.session_state[_BODY]
    return body


def _draw_sidebar(account: Account) -> None:
    st.logo(ICON, size="large")
    with st.sidebar:
        with st.container(gap="xxsmall"):
            for file, label, icon in NAVIGATION:
                st.page_link(file, label=t(label), icon=icon, width="stretch")
        st.session_state[_BODY] = st.container()
        with st.container(key="account"):
            _draw_account_menu(account)
        narrow.carry_out_order()


def _draw_account_menu(account: Account) -> None:
    with st.popover(notices.plain(account.username), icon=":material/account_circle:", width="stretch"):
        switches.language_switch("menu")
        switches.theme_switch("menu")
        st.button(
            t("signin.sign_out"),
            icon=":material/logout:",
            on_click=session.sign_out,
            key="codecoach.sign_out",
            width="stretch",
        )
