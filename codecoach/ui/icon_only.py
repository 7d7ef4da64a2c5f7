"""Buttons that show an icon alone, and still have a name for those who do not see it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st

# The label stays in the page for screen readers; the arrow of a menu says nothing that its icon does not. A row that does
# not wrap would scroll sideways for the label's one pixel, and beside one line of text the button would make the row tall.
_STYLE: Final = """<style>
[class*="st-key-icon-only-"] { width: fit-content; }
[class*="st-key-icon-only-"] button p { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
[class*="st-key-icon-only-"] button > div > [aria-hidden="true"] { display: none; }
[data-test-wrap="false"]:has(> * > [class*="st-key-icon-only-"]) { overflow: visible; }
[data-testid="stChatMessage"] [class*="st-key-icon-only-"] { margin-block: -.45rem; }
</style>"""


def draw_style() -> None:
    """What makes it so; once on each page."""
    st.html(_STYLE)


@contextmanager
def icon_only(name: str) -> Iterator[None]:
    """A place for one button; `name` is unique on the page."""
    with st.container(key=f"icon-only-{name}", width="content"):
        yield
