"""Streamlit's own texts, such as "Show password", which it has in English only: replaced in the browser as they appear.

The `[builtin]` texts name them word for word. One that a later Streamlit words otherwise stays English, and nothing breaks.
"""

from functools import cache
from pathlib import Path
from typing import Final

import streamlit as st

from codecoach.i18n import Language, table
from codecoach.ui import session

_SCRIPT: Final = Path(__file__).with_suffix(".js").read_text("utf-8")
_PLACE: Final = "built-in-texts"
# It shows nothing itself, and would leave a gap.
STYLE: Final = f"""<style>[data-testid="stLayoutWrapper"]:has(> .st-key-{_PLACE}) {{ display: none }}</style>"""
_SECTION: Final = "builtin."


def translate() -> None:
    """Show Streamlit's own texts in this session's language, and have the browser keep what was chosen.

    Once on each page, which also draws `STYLE`.
    """
    with st.container(key=_PLACE):
        element = st.components.v2.component("codecoach_built_in", js=_SCRIPT)
        kept = {"name": session.LANGUAGE_COOKIE, "value": session.chosen_language()}
        element(key="codecoach.built_in", data=[{"pairs": _pairs(session.language()), "kept": kept}])


@cache
def _pairs(language: Language) -> list[list[str]]:
    """[what Streamlit says, what is shown]; none in English."""
    if language is Language.EN:
        return []
    return [[said, table(language)[key]] for key, said in table(Language.EN).items() if key.startswith(_SECTION)]
