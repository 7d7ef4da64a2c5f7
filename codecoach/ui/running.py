"""Starting runs from a page: which languages run here, one call to start, and the question before what does harm."""

import threading
import time
from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.aws import actions
from codecoach.errors import CodeCoachError
from codecoach.i18n import Notice
from codecoach.runner.credentials import AwsMode
from codecoach.runner.port import File, Runner, RunRequest, Runtime
from codecoach.ui import aws_choice
from codecoach.ui.acting import attempt, attempt_once
from codecoach.ui.session import services, t

_UNCONFIRMED: Final = "runs:unconfirmed"
_KNOWN_FOR_S: Final = 30.0
_FAILED_FOR_S: Final = 3.0

# Asked of the runner seldom, because each code block on each page wants to know; one per process.
_known: tuple[tuple[Runner, int], float, dict[str, Runtime] | CodeCoachError] | None = None
_asking = threading.Lock()


def why_not(language_id: str) -> Notice | None:
    """Why programs of the language cannot be run now; None where they can."""
    found = _runtimes()
    if isinstance(found, CodeCoachError):
        return found.what
    runtime = found.get(language_id)
    if runtime is not None and runtime.installed:
        return None
    missing = Notice("chat.no_runtime", {"name": languages.BY_ID[language_id].label})
    return (runtime and runtime.problem) or missing


def _runtimes() -> dict[str, Runtime] | CodeCoachError:
    """The runtimes by language as they were found within the last half minute, or why the runner does not answer."""
    global _known
    with _asking:
        runner = services().runner
        asked = (runner, services().installations.succeeded)
        if _known is None or _known[0] != asked or time.monotonic() > _known[1]:
            try:
                found = {runtime.language: runtime for runtime in runner.runtimes()}
                _known = (asked, time.monotonic() + _KNOWN_FOR_S, found)
            except CodeCoachError as error:
                _known = (asked, time.monotonic() + _FAILED_FOR_S, error)
        return _known[2]


def start(
    owner: str, thread: str, language_id: str, files: tuple[File, ...], stdin: str = "", args: tuple[str, ...] = ()
) -> None:
    """Start a run for a user, who has one simulated AWS in all browsers. Raises `InputRefused`.

    A program that would do harm in the user's own AWS waits for a confirmation, for which `draw_confirmation` asks.
    """
    request = RunRequest(
        job_id="",  # the runs number their jobs themselves
        language=language_id,
        files=files,
        stdin=stdin.encode(),
        args=args,
        limits=services().limits,
        aws=aws_choice.access(),
    )
    st.session_state.pop(_UNCONFIRMED, None)
    if request.aws.mode is AwsMode.MINE and actions.destructive(language_id, files):
        st.session_state[_UNCONFIRMED] = (thread, request)
    else:
        services().runs.start(thread, request, session=owner)


def draw_confirmation(owner: str) -> None:
    """Draw the question whether a program may do what cannot be taken back, where one waits for the answer."""
    place = st.empty()  # so that the question is gone at once and does not stand while the program runs
    thread, request = _unconfirmed()
    if request is None:
        return
    seen = actions.found(request.language, request.files)
    with place.container(border=True):
        st.warning(t("run_ui.aws_confirm", region=request.aws.region), icon=":material/warning:")
        st.markdown(aws_choice.told(seen))
        st.caption(t("run_ui.aws_confirm_hint"))
        with st.container(horizontal=True):
            st.button(
                t("run_ui.aws_confirm_run"),
                icon=":material/play_arrow:",
                key="runs:confirm",
                on_click=attempt_once,
                args=(_confirmed, owner, thread, request),
            )
            st.button(t("run_ui.aws_confirm_no"), key="runs:refuse", type="primary", on_click=attempt, args=(_forget,))


def _confirmed(owner: str, thread: str, request: RunRequest) -> None:
    """Run exactly what was shown."""
    _forget()
    services().runs.start(thread, request, session=owner)


def _unconfirmed() -> tuple[str, RunRequest | None]:
    waiting: tuple[str, RunRequest | None] = st.session_state.get(_UNCONFIRMED, ("", None))
    return waiting


def _forget() -> None:
    st.session_state.pop(_UNCONFIRMED, None)


def main_file(language_id: str, code: str) -> File:
    """A program of one file, under the name its language expects."""
    return File(languages.BY_ID[language_id].main, code.encode())
