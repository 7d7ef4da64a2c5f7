"""What a run is doing and what came of it; the Chat and the Editor show it alike."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach import languages
from codecoach.aws import actions
from codecoach.chat import invisible
from codecoach.chat.messages import Message, Role
from codecoach.coach.runs import RunJob
from codecoach.i18n import tell
from codecoach.runner.port import RunStatus
from codecoach.store.programs import ResultFile, RunRecord
from codecoach.ui import aws_choice, notices, pictures, terminal
from codecoach.ui.live import Following
from codecoach.ui.session import language, t
from codecoach.ui.shown import shown

Colour = Literal["green", "red", "orange", "gray"]

LIVE_LINES: Final = 30
# An output longer than this scrolls in a box of its own.
_TALL_LINES: Final = 18
_BOX_PX: Final = 380
_SEEN: Final = "runs:seen"
# What a browser session may hold of runs that have ended, lest each be read from the store in each script run.
SEEN_CHARS: Final = 8_000_000

_OUTCOMES: Final[dict[RunStatus, tuple[str, str, Colour]]] = {
    RunStatus.OK: ("run_ui.ok", ":material/check_circle:", "green"),
    RunStatus.FAILED: ("run_ui.failed", ":material/error:", "red"),
    RunStatus.COMPILE_FAILED: ("run_ui.compile_failed", ":material/error:", "red"),
    RunStatus.SIGNAL: ("run_ui.signal", ":material/error:", "red"),
    RunStatus.TIMEOUT: ("run_ui.timeout", ":material/timer_off:", "orange"),
    RunStatus.MEMORY: ("run_ui.memory", ":material/memory:", "orange"),
    RunStatus.OUTPUT_LIMIT: ("run_ui.output_limit", ":material/vertical_align_bottom:", "orange"),
    RunStatus.FILE_LIMIT: ("run_ui.file_limit", ":material/folder_off:", "orange"),
    RunStatus.PROCESS_LIMIT: ("run_ui.process_limit", ":material/account_tree:", "orange"),
    RunStatus.CANCELLED: ("run_ui.cancelled", ":material/stop_circle:", "gray"),
}
# How the program's process ended says something of the program only where it ended by itself.
_ENDED_BY_ITSELF: Final = (RunStatus.OK, RunStatus.FAILED, RunStatus.COMPILE_FAILED, RunStatus.SIGNAL)
# A box that scrolls is opened at its end: in a column drawn from its end on, that is where a browser begins. Lines are broken
# where a terminal breaks them: broken at its spaces, a row of carets would leave its indentation behind and point at nothing.
# Code that is not output is not wrapped at all.
_STYLE: Final = """<style>
[data-testid="stCode"] code { word-break: break-all; }
[class*="st-key-at-end-"] pre { display: flex; flex-direction: column-reverse; }
[class*="st-key-at-end-"] pre > * { flex-shrink: 0; }
</style>"""


def draw_style() -> None:
    """How outputs are laid out; once on each page."""
    st.html(_STYLE)


def draw(
    thread: str,
    job: RunJob | None,
    following: Following,
    below: Callable[[RunRecord], None] | None = None,
    ended: RunRecord | None = None,
) -> None:
    """Draw the newest run of a thread: followed while it goes on, else what came of it, if there was any.

    below  draws what can be done with the result
    ended  the newest run as the store has it, where this process knows of none
    """
    # Two places, here and in `LiveRun`: what is drawn twice into one place in the same script run is added up.
    with st.container():
        going, place = st.empty(), st.empty()
    key = f"panel.{thread}"
    if job and not job.done:
        following.add(LiveRun(job, going, place, key, below))
        return
    with place.container():
        if job and job.error:
            draw_ended(job, key)
        elif record := (job and job.record) or ended:
            draw_record(record, key)
            draw_identity(job)
            if below:
                below(record)


class LiveRun:
    """A run drawn while it goes on, and its result when it is done."""

    def __init__(
        self,
        job: RunJob,
        going: DeltaGenerator,
        ended: DeltaGenerator,
        key: str,
        below: Callable[[RunRecord], None] | None,
    ) -> None:
        self._below = below
        self._job = job
        self._going = going
        self._ended = ended
        self._key = key
        self._version = -1
        with going.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                self._stage = st.empty()
                st.button(
                    t("run_ui.stop"),
                    key=f"{key}.stop",
                    icon=":material/stop_circle:",
                    on_click=job.stop,
                    help=t("run_ui.stop_help"),
                )
            self._identity = st.empty()
            self._output = st.empty()

    def wait(self, timeout_s: float) -> None:
        self._job.wait(self._version, timeout_s)

    def refresh(self) -> bool:
        job, version = self._job, self._job.version
        if job.done:
            self._going.empty()
            with self._ended.container():
                draw_ended(job, self._key)
                if job.record and self._below:
                    self._below(job.record)
            return False
        if version != self._version:
            self._version = version
            self._stage.markdown(f":shimmer[{stage_words(job)}]")
            if words := identity_words(job):
                self._identity.caption(words)
            recent = terminal.shown(job.stdout + job.stderr, max_lines=LIVE_LINES)
            if recent.text:
                self._output.code(recent.text, language=None, wrap_lines=True)
        return True


def stage_words(job: RunJob) -> str:
    """What the job is doing, in one line."""
    name = languages.BY_ID[job.request.language].label
    if job.stage == "queued":
        return t("run_ui.queued", name=name, position=job.queue_position)
    if job.stage == "compile":
        return t("run_ui.compiling", name=name)
    return t("run_ui.running", name=name) if job.stage == "run" else t("run_ui.starting", name=name)


def identity_words(job: RunJob) -> str:
    """Who AWS takes the program for, until when, and what it may do there; empty where it does not use the user's AWS."""
    if job.identity is None:
        return ""
    arn, expires_at = job.identity
    who = t("run_ui.aws_identity", arn=notices.plain(arn), until=clock_words(expires_at), region=job.request.aws.region)
    seen = actions.found(job.request.language, job.request.files)
    what = f" {t('run_ui.aws_actions', actions=aws_choice.told(seen))}" if seen else ""
    return f":material/cloud: {who}{what}"


def fixable(record: RunRecord) -> bool:
    """Whether something in the code may be to blame for how a run ended."""
    return RunStatus(record.status) not in (RunStatus.OK, RunStatus.CANCELLED)


def last_runs(thread_id: str, messages: Sequence[Message]) -> dict[str, RunRecord]:
    """The newest run of each code block in a conversation's messages, whole, by the block's thread.

    Runs never change: what this session has seen of them is not read again.
    """
    if not any(message.role is Role.ASSISTANT and "```" in message.text for message in messages):
        return {}
    seen: dict[str, RunRecord] = st.session_state.setdefault(_SEEN, {})
    found = shown().programs.block_runs(thread_id, messages[0].id, seen.values())
    for thread, record in found.items():
        seen.pop(thread, None)  # the last used come last
        seen[thread] = record
    forget_oldest(seen)
    return found


def forget_oldest(seen: dict[str, RunRecord]) -> None:
    """Leave in `seen`, which is in order of use, no more than `SEEN_CHARS`, but always the newest."""
    chars = {key: _held_chars(record) for key, record in seen.items()}
    held = sum(chars.values())
    for key in list(seen)[:-1]:
        if held <= SEEN_CHARS:
            return
        held -= chars[key]
        del seen[key]


def _held_chars(record: RunRecord) -> int:
    outputs = (record.stdout, record.stderr, record.compile_output)
    return 100 + sum(map(len, outputs)) + sum(len(file.content or b"") for file in record.files)


def draw_ended(job: RunJob, key: str) -> None:
    """Draw what came of a job: its result, or what was wrong with us."""
    if job.record:
        draw_record(job.record, key)
    draw_identity(job)
    if job.error:
        notices.show_failure(job.error.what, job.error.hint, job.error.reference)
    if job.unsaved:
        notices.show_failure(job.unsaved.what, job.unsaved.hint, job.unsaved.reference)


def draw_identity(job: RunJob | None) -> None:
    """Draw who AWS took the program of a run for, where it used the user's AWS and that is still known."""
    if job and (words := identity_words(job)):
        st.caption(words)


def draw_record(record: RunRecord, key: str) -> None:
    """Draw what came of a run: how it ended, what it printed, what it left."""
    with st.container(border=True):
        _draw_heading(record)
        if record.reason:
            st.markdown(notices.plain(tell(language(), record.reason)))
        streams = _streams(record)
        for number, (label, recent) in enumerate(streams):
            _draw_stream(label, recent, f"{key}.{record.id}.{number}")
        if not streams:
            st.caption(t("run_ui.no_output"))
        if record.truncated:
            st.caption(f":material/content_cut: {t('run_ui.truncated')}")
        if record.files_left_out:
            st.caption(f":material/folder_off: {t('run_ui.files_left_out', number=record.files_left_out)}")
        _draw_files(record, key, bounded=not all(recent.complete for _, recent in streams))


def outcome_words(record: RunRecord) -> str:
    """How a run ended, in a few words."""
    return " · ".join([t(_OUTCOMES[RunStatus(record.status)][0]), *_figures(record)[:2]])


def clock_words(moment: datetime) -> str:
    """Date and time where the browser is."""
    zone = st.context.timezone
    try:
        return moment.astimezone(ZoneInfo(zone) if zone else UTC).strftime("%m-%d %H:%M:%S")
    except (KeyError, ValueError):
        return moment.strftime("%m-%d %H:%M:%S")


def _draw_heading(record: RunRecord) -> None:
    label, icon, colour = _OUTCOMES[RunStatus(record.status)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(t(label), icon=icon, color=colour)
        # A figure is not torn from its unit at the end of a line.
        st.caption(
            " · ".join(figure.replace(" ", "\N{NO-BREAK SPACE}") for figure in _figures(record)), width="content"
        )


def _figures(record: RunRecord) -> list[str]:
    figures = []
    if RunStatus(record.status) not in _ENDED_BY_ITSELF:  # at a limit, and on Stop, the signal was ours
        pass
    elif record.status == RunStatus.SIGNAL and record.signal:
        figures.append(t("run_ui.by_signal", signal=record.signal))
    elif record.exit_code is not None:
        figures.append(t("run_ui.exit_code", code=record.exit_code))
    if record.wall_s or record.compile_wall_s is None:  # else nothing ran
        figures.append(t("run_ui.wall", seconds=f"{record.wall_s:.2f}"))
    if record.compile_wall_s is not None:
        figures.append(t("run_ui.compiled_in", seconds=f"{record.compile_wall_s:.2f}"))
    if record.cpu_s is not None:
        figures.append(t("run_ui.cpu", seconds=f"{record.cpu_s:.2f}"))
    if record.peak_memory_bytes is not None:
        figures.append(t("run_ui.memory_used", megabytes=f"{record.peak_memory_bytes / 1e6:.0f}"))
    return figures


def _streams(record: RunRecord) -> list[tuple[str, terminal.Shown]]:
    """What there is to show of each output, under its heading, the compiler's first; the ordinary output has none."""
    outputs = (
        (t("run_ui.compiler"), record.compile_output),
        ("", record.stdout),
        (t("run_ui.stderr"), record.stderr),
    )
    return [(label, terminal.shown(text)) for label, text in outputs if text.strip("\n")]


def _draw_stream(label: str, recent: terminal.Shown, key: str) -> None:
    if label:
        st.caption(label)
    if recent.hidden_lines:
        st.caption(f":material/more_vert: {t('run_ui.hidden', lines=f'{recent.hidden_lines:,}')}")
    if recent.text.count("\n") < _TALL_LINES:
        st.code(recent.text, language=None, wrap_lines=True)
        return
    # A compiler's first words say most, a program's last ones.
    begins = label == t("run_ui.compiler")
    with st.container(key=f"at-{'start' if begins else 'end'}-{key}"):
        st.code(recent.text, language=None, wrap_lines=True, height=_BOX_PX)


def _draw_files(record: RunRecord, key: str, bounded: bool) -> None:
    """Draw the files a run left, and the whole output where not all of it is shown."""
    if not (record.files or bounded):
        return
    for file in record.files:
        if file.content and pictures.is_picture(file.name):
            _draw_picture(file)
    with st.container(horizontal=True, gap="small"):
        if bounded:
            whole = record.compile_output + record.stdout + record.stderr
            _download(
                t("run_ui.whole_output"), "output.txt", whole.encode("utf-8", "replace"), f"{key}.{record.id}.all"
            )
        for number, file in enumerate(record.files):
            if file.content is None:
                st.caption(t("run_ui.not_kept", name=notices.plain(file.name), size=size_words(file.size_bytes)))
            else:
                label = f"{notices.plain(file.name)} ({size_words(file.size_bytes)})"
                _download(label, file.name.rsplit("/", 1)[-1], file.content, f"{key}.{record.id}.{number}")


def _draw_picture(file: ResultFile) -> None:
    if file.content and pictures.showable(file.content):
        st.image(file.content, caption=notices.plain(file.name), alt=file.name)
    else:
        st.caption(f":material/broken_image: {t('run_ui.picture_not_shown', name=notices.plain(file.name))}")


def _download(label: str, name: str, content: bytes, key: str) -> None:
    st.download_button(
        label,
        content,
        file_name=invisible.shown(name),
        mime="application/octet-stream",
        key=key,
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def size_words(size_bytes: int) -> str:
    """A size for people."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1000:.1f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1e6:.1f} MB"
