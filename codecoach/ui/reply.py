"""A message on the screen: text, code with what can be done with it, and a reply while it is being written."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach import languages
from codecoach.chat.fences import Segment, Splitter, segments
from codecoach.chat.messages import Message, MessageState
from codecoach.models.port import Waiting
from codecoach.store import keys
from codecoach.store.programs import RunRecord
from codecoach.ui import invisible, markup, notices, programs, run_panel, running
from codecoach.ui.acting import attempt, attempt_once
from codecoach.ui.live import Following
from codecoach.ui.session import services, t

# Highlighters know some fences under other names than ours; the rest goes by its own first word.
_HIGHLIGHTED_AS: Final = {
    "shell": "bash",
    "console": "bash",
    "zsh": "bash",
    "sqlite3": "sql",
    "node": "javascript",
    "mjs": "javascript",
}
# What a user wrote is drawn in a box of its own from here on.
_TALL_CHARS: Final = 3000
_TALL_LINES: Final = 30
_BOX_PX: Final = 380
# How often the store is asked for a reply that another process writes; that process saves it about as often.
LOOK_S: Final = 1.0


class Source(Protocol):
    """A reply being written, in this process or another."""

    @property
    def waiting(self) -> Waiting | None: ...

    @property
    def done(self) -> bool: ...

    def wait(self, seen_chars: int, timeout_s: float) -> Message: ...


@dataclass(frozen=True)
class Surroundings:
    """What drawing a message needs to know of the page.

    thread     the conversation's or program's id
    following  where runs under way are added to be followed
    runnable   False leaves Run and Open in Editor out (the Editor's own explanations)
    ran        the newest run of each code block that was run, by the block's thread
    """

    owner: str
    thread: str
    following: Following
    runnable: bool = True
    ran: Mapping[str, RunRecord] = field(default_factory=dict)


class LiveReply:
    """A reply drawn while it is written.

    Sending all of it again for each token is what makes chats slow: finished segments are sent once and stay, only the
    open end is sent again. The work of a refresh does not grow with the reply. An open segment stands where it will stand
    when it is finished, so that nothing is ever seen twice or missing in between.
    """

    def __init__(
        self, source: Source, place: Surroundings, message_id: str, on_done: Callable[[Message], None]
    ) -> None:
        """`on_done` draws what belongs under the whole message, given as its argument."""
        self._source = source
        self._place = place
        self._message_id = message_id
        self._on_done = on_done
        self._splitter = Splitter()
        self._fed = self._drawn = self._blocks = 0
        self._status: tuple[bool, int] | None = None  # whether there is text; seconds to wait
        self._segments = st.container()
        self._open: list[_Slot] = []
        self._below = st.empty()

    def wait(self, timeout_s: float) -> None:
        self._source.wait(self._fed, timeout_s)

    def refresh(self) -> bool:
        done = self._source.done
        message = self._source.wait(-1, 0)
        self._splitter.feed(message.text[self._fed :])
        self._fed = len(message.text)
        tail = self._splitter.tail()
        self._draw_finished([*self._splitter.finished, *tail] if done else self._splitter.finished)
        self._draw_open(() if done else tail)
        if done:
            with self._below.container():
                self._on_done(message)
            return False
        self._draw_status()
        return True

    def _draw_finished(self, finished: list[Segment]) -> None:
        for segment in finished[self._drawn :]:
            (self._open.pop(0) if self._open else _Slot(self._segments)).show(segment)
            if segment.kind == "code":
                self._draw_open(())  # what can be done with it comes right below
                with self._segments:
                    draw_actions(segment, self._place, self._message_id, self._blocks)
                self._blocks += 1
        self._drawn = len(finished)

    def _draw_open(self, tail: tuple[Segment, ...]) -> None:
        while len(self._open) > len(tail):
            self._open.pop().clear()
        while len(self._open) < len(tail):
            self._open.append(_Slot(self._segments))
        for slot, segment in zip(self._open, tail, strict=True):
            slot.show(segment)

    def _draw_status(self) -> None:
        waiting = self._source.waiting
        seconds = int(waiting.seconds) + 1 if waiting else 0
        status = (bool(self._fed), seconds)
        if status == self._status:
            return
        self._status = status
        if waiting:
            self._below.markdown(f":orange[{t('chat.throttled', seconds=seconds, attempt=waiting.attempt)}]")
        else:
            self._below.markdown(f":gray[:shimmer[{t('chat.writing') if self._fed else t('chat.thinking')}]]")


class _Slot:
    """Where one segment stands; sent again only when what is seen of it changes."""

    def __init__(self, parent: DeltaGenerator) -> None:
        self._element = parent.empty()
        self._shown: tuple[str, str, str] | None = None

    def show(self, segment: Segment) -> None:
        seen = (segment.kind, segment.text, segment.info)
        if seen != self._shown:
            self._shown = seen
            draw_plain(segment, self._element)

    def clear(self) -> None:
        self._element.empty()


class StoredReply:
    """A reply that another process writes, as the store shows it."""

    waiting: Waiting | None = None

    def __init__(self, thread: str, message: Message) -> None:
        self._thread = thread
        self._message = message
        self._looked_at = 0.0

    @property
    def done(self) -> bool:
        return self._message.state is not MessageState.STREAMING

    def wait(self, seen_chars: int, timeout_s: float) -> Message:  # noqa: ARG002 (the store cannot be waited on)
        time.sleep(timeout_s)
        if not self.done and time.monotonic() - self._looked_at > LOOK_S:
            self._looked_at = time.monotonic()
            self._message = services().conversations.get_message(self._thread, self._message.id) or self._message
        return self._message


def source(thread: str, message: Message) -> Source:
    """Where the rest of a reply that is being written comes from."""
    here = services().generations.find(thread)
    return here if here and here.message_id == message.id else StoredReply(thread, message)


def draw_whole(
    message: Message, place: Surroundings, below: Callable[[Message], None], without: str | None = None
) -> None:
    """Draw a message that is not being written, laid out as `LiveReply` leaves it: what stands there already stays.

    without  the text of a code block that is left out, because it is shown otherwise
    """
    blocks = 0
    with st.container():
        for segment in segments(message.text):
            if segment.kind == "text" or segment.text != without:
                blocks += draw_segment(segment, place, message.id, blocks)
    with st.empty().container():
        below(message)


def draw_typed(text: str) -> None:
    """Draw what a user wrote, as it was written; code they pasted between fences as code. A whole file scrolls in a box."""
    is_tall = len(text) > _TALL_CHARS or text.count("\n") > _TALL_LINES
    with st.container(height=_BOX_PX if is_tall else "content", border=False):
        for segment in segments(text):
            if segment.kind == "text":
                st.text(segment.text.strip("\n"))
            else:
                st.code(segment.text, language=highlighting(segment.info))


def draw_segment(segment: Segment, place: Surroundings, message_id: str, block: int) -> int:
    """Draw a segment that will not change; returns how many code blocks that were."""
    draw_plain(segment)
    if segment.kind == "text":
        return 0
    draw_actions(segment, place, message_id, block)
    return 1


def draw_plain(segment: Segment, where: DeltaGenerator | None = None) -> None:
    """Draw text or code, with nothing to click: `where`, or next."""
    if segment.kind == "text":
        (where.markdown if where else st.markdown)(markup.readable(segment.text))
    else:
        (where.code if where else st.code)(segment.text, language=highlighting(segment.info))


def draw_actions(segment: Segment, place: Surroundings, message_id: str, block: int) -> None:
    """Draw what nobody sees in a block; Run, Open in Editor and what came of running, where its language is one that runs."""
    invisible.draw(segment.text)
    language = languages.from_fence(segment.info) if place.runnable and segment.text.strip() else None
    if language is None:
        return
    thread = keys.block(place.thread, message_id, block)
    job = services().runs.find(thread)
    problem = running.why_not(language.id)
    opened = (place.owner, place.thread, message_id, language.id, segment.text)
    file = running.main_file(language.id, segment.text)
    with st.container(horizontal=True, gap="small"):
        st.button(
            t("chat.run"),
            key=f"run.{thread}",
            icon=":material/play_arrow:",
            disabled=problem is not None,
            help=notices.told(problem) if problem else None,
            on_click=attempt_once,
            args=(running.start, place.owner, thread, language.id, (file,)),
        )
        st.button(
            t("chat.open_in_editor"),
            key=f"edit.{thread}",
            icon=":material/edit_square:",
            type="tertiary",
            on_click=attempt,
            args=(programs.open_block, *opened),
        )

    def fix(record: RunRecord) -> None:
        if run_panel.fixable(record):
            st.button(
                t("chat.fix"),
                key=f"fix.{thread}",
                icon=":material/build:",
                help=t("chat.fix_help"),
                on_click=attempt,
                args=(programs.open_block, *opened, record),
            )

    run_panel.draw(thread, job, place.following, fix, place.ran.get(thread))


def highlighting(info: str) -> str | None:
    """The highlighter's name for a fence's info string; None shows plain text."""
    word = info.strip().split(maxsplit=1)[0].lower() if info.strip() else ""
    return _HIGHLIGHTED_AS.get(word, word) or None
