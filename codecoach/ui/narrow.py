"""On a narrow screen the sidebar lies over the page: it is put away when what was chosen in it has been opened."""

from typing import Final

import streamlit as st

_ORDER: Final = "sidebar:put_away"

# Once for each order, however often Streamlit draws the element again. 768 px is where Streamlit's sidebar begins to cover.
_PUT_AWAY: Final = """
export default function ({ data }) {
  if (window.codecoachPutAway === data.order) return;
  window.codecoachPutAway = data.order;
  if (window.innerWidth < 768) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
}
"""


def put_sidebar_away() -> None:
    """Put the sidebar away in the script run that follows, where it covers the page."""
    st.session_state[_ORDER] = st.session_state.get(_ORDER, 0) + 1


def carry_out_order() -> None:
    """Let the browser put the sidebar away where that was asked for."""
    order = st.session_state.get(_ORDER, 0)
    if order:
        st.components.v2.component("codecoach_put_away", js=_PUT_AWAY)(
            key="sidebar:order", data={"order": order}, height=1
        )
