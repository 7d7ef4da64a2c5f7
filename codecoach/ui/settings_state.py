"""The state of the parts, with versions."""

import platform

import streamlit as st

from codecoach import __version__
from codecoach.store.accounts import Account
from codecoach.ui import home, parts
from codecoach.ui.session import services, t


def draw_state(_account: Account) -> None:
    """Draw what works, and the versions of what is installed."""
    home.draw_parts()
    if st.button(t("settings_page.check_again"), icon=":material/refresh:", key="settings-check"):
        parts.of(services()).refresh()
        st.rerun()
    st.caption(
        t(
            "settings_page.versions",
            codecoach=__version__,
            streamlit=st.__version__,
            python=platform.python_version(),
        )
    )
