"""What a click sets going, done before the page is drawn, so that the page is drawn once and shows what came of it.

Use `attempt` as a widget's callback. What goes wrong cannot be shown there, where Streamlit has no place for it yet; it is
kept until the page asks for it.
"""

from collections.abc import Callable
from typing import Final

import streamlit as st

from codecoach.errors import InputRefused
from codecoach.ui import notices, session

_PROBLEM: Final = "acting:problem"
# What the second click of a double click meets.
_UNDER_WAY: Final = ("reply_running", "run_running")


def attempt(action: Callable[..., object], *args: object) -> None:
    """Do it; where it fails, `show_problem` shows why."""
    attempted(action, *args)


def attempt_once(action: Callable[..., object], *args: object) -> None:
    """As `attempt`, for what is long under way when a second click comes: the page shows it, and that is no problem."""
    attempt(_unless_under_way, action, args)


def _unless_under_way(action: Callable[..., object], args: tuple[object, ...]) -> None:
    try:
        action(*args)
    except InputRefused as error:
        if error.key not in _UNDER_WAY:
            raise


def attempted(action: Callable[..., object], *args: object) -> bool:
    """As `attempt`, and say whether it was done."""
    st.session_state.pop(_PROBLEM, None)
    # A callback runs before the page and its gate: whoever was signed out meanwhile must not get one more click.
    if session.account() is None:
        return False
    try:
        action(*args)
    except Exception as error:  # Streamlit's own control flow (stop, rerun, switch page) is no Exception and passes
        st.session_state[_PROBLEM] = error
        return False
    return True


def show_problem() -> None:
    """Show what went wrong with the last click; once."""
    problem: Exception | None = st.session_state.pop(_PROBLEM, None)
    if problem:
        notices.show(problem)
