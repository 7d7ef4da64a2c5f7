"""What a click sets going, done before the page is drawn, so that the page is drawn once and shows what came of it.

Use `attempt` as a widget's callback. What goes wrong cannot be shown there, where Streamlit has no place for it yet; it is
kept until the page asks for it.

What has begun is done to its end. Streamlit would break it off where the next thing happens meanwhile, such as a key typed into
the editor, and nobody would know that the click came to nothing. `runner.fastReruns` is off for the same reason: two script
runs of one session at the same time would each save what was typed, and one of them be told of a conflict.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from codecoach.errors import CodeCoachError, InputRefused
from codecoach.ui import notices, session, shown

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
    with _uninterrupted():
        return _attempted(action, args)


def _attempted(action: Callable[..., object], args: tuple[object, ...]) -> bool:
    st.session_state.pop(_PROBLEM, None)
    # A callback runs before the page and its gate: whoever was signed out meanwhile, or must choose another password first, must
    # not get one more click.
    account = session.account()
    if account is None or account.must_change_password:
        return False
    try:
        action(*args)
    except Exception as error:  # Streamlit's own control flow (stop, rerun, switch page) is no Exception and passes
        st.session_state[_PROBLEM] = error
        shown.look_anew()  # it may have failed because the page was not as things are
        return False
    return True


def has_problem(key: str) -> bool:
    """Whether `show_problem` will show this error of ours, so that nothing else need say the same."""
    problem: Exception | None = st.session_state.get(_PROBLEM)
    return isinstance(problem, CodeCoachError) and problem.key == key


def show_problem() -> None:
    """Show what went wrong with the last click; once."""
    problem: Exception | None = st.session_state.pop(_PROBLEM, None)
    if problem:
        notices.show(problem)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Have Streamlit's own requests, which wherever it is used end the script run, wait."""
    context = get_script_run_ctx(suppress_warning=True)
    requests = context.script_requests if context else None
    if requests is None:
        yield
        return
    requests.on_scriptrunner_yield = lambda: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del requests.on_scriptrunner_yield  # the class's own is back
