"""The notice under a program in which there is something that nobody sees."""

from typing import Final

import streamlit as st

from codecoach.chat.invisible import hidden
from codecoach.ui.session import t

_TOLD_LINES: Final = 10


def draw(code: str) -> None:
    """Draw which lines hold characters that nobody sees, where there are any."""
    found = hidden(code)
    if found:
        more = "" if len(found.lines) <= _TOLD_LINES else " …"
        lines = ", ".join(map(str, found.lines[:_TOLD_LINES])) + more
        key = "invisible.turning" if found.turning else "invisible.no_width"
        st.warning(t(key, lines=lines), icon=":material/visibility_off:")
