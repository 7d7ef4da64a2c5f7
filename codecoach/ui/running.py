"""Starting runs from a page: which languages run here, which AWS the program sees, one call to start."""

import threading
import time
from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.coach.runs import RunJob
from codecoach.errors import CodeCoachError
from codecoach.i18n import Notice
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Runner, RunRequest, Runtime
from codecoach.ui.acting import attempt
from codecoach.ui.session import services, t

_MODE: Final = "runs:aws"
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
) -> RunJob:
    """Start a run for a user, who has one simulated AWS in all browsers. Raises `InputRefused`."""
    request = RunRequest(
        job_id="",  # the runs number their jobs themselves
        language=language_id,
        files=files,
        stdin=stdin.encode(),
        args=args,
        limits=services().limits,
        aws=AwsAccess(aws_mode(), region=services().settings.region),
    )
    return services().runs.start(thread, request, session=owner)


def main_file(language_id: str, code: str) -> File:
    """A program of one file, under the name its language expects."""
    return File(languages.BY_ID[language_id].main, code.encode())


def aws_mode() -> AwsMode:
    """Which AWS the programs of this browser session see."""
    return AwsMode(st.session_state.get(_MODE, AwsMode.SIMULATED))


def draw_aws_choice(owner: str) -> None:
    """Draw the choice of AWS, and the way to start over with a simulated one."""
    names = {AwsMode.SIMULATED: t("run_ui.aws_simulated"), AwsMode.NONE: t("run_ui.aws_none")}
    with st.popover(t("run_ui.aws_label", mode=names[aws_mode()]), icon=":material/cloud:"):
        st.session_state.setdefault(_MODE, AwsMode.SIMULATED)
        st.radio(
            t("run_ui.aws_question"),
            list(names),
            format_func=names.__getitem__,
            captions=[t("run_ui.aws_simulated_what"), t("run_ui.aws_none_what")],
            key=_MODE,
            persist_state="session",
        )
        st.button(
            t("run_ui.aws_reset"),
            icon=":material/restart_alt:",
            key="runs:aws_reset",
            help=t("run_ui.aws_reset_what"),
            on_click=attempt,
            args=(_reset, owner),
        )


def _reset(owner: str) -> None:
    services().simulated.reset(owner)
    st.toast(t("run_ui.aws_reset_done"), icon=":material/check:")
