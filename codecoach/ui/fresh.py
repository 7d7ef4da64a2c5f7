"""A place on the page that forgets what stood there before.

Streamlit keeps what an earlier script run drew at the same place, faded, until the run ends; and a run that follows a reply
ends late. What is drawn into another place is gone at once, so two places take turns.
"""

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

_TURN: Final = "fresh:turn"


def container(content: str) -> DeltaGenerator:
    """A container for `content`; nothing stays in it of any other content, everything of the same."""
    shown, turn = st.session_state.get(_TURN, (content, 0))
    turn = turn if shown == content else 1 - turn
    st.session_state[_TURN] = (content, turn)
    if turn:
        st.empty()
        return st.container()
    place = st.container()
    st.empty()
    return place
