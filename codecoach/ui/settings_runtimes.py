"""The runtimes of all languages, for administrators."""

from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.runner.port import Runtime
from codecoach.store.accounts import Account
from codecoach.ui import notices
from codecoach.ui.administration import is_admin
from codecoach.ui.session import services, t

# Text, icon and colour of a language's state.
_BADGES: Final = {
    True: ("settings_page.installed", ":material/check_circle:", "green"),
    False: ("settings_page.not_installed", ":material/do_not_disturb_on:", "gray"),
}


def draw_runtimes(account: Account) -> None:
    """Draw every language with its runtime. Draws nothing for anybody but an administrator."""
    if not is_admin(account):
        return
    for runtime in services().runner.runtimes():
        _draw_one(runtime)


def _draw_one(runtime: Runtime) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{languages.BY_ID[runtime.language].label}**", width="content")
            text, icon, colour = _BADGES[runtime.installed]
            st.badge(t(text), icon=icon, color=colour)  # type: ignore[arg-type]
        facts = [notices.plain(fact) for fact in (runtime.version, runtime.sdk) if fact and runtime.installed]
        if facts:
            st.caption(" · ".join(facts))
        if runtime.problem:
            st.caption(notices.told(runtime.problem))
