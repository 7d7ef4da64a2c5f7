"""Replies that outlive the page: each is written by the process, and pages only look on.

    start ──> STREAMING ──┬─ whole ───────────────────> COMPLETE
                 ^        ├─ stop() here or elsewhere ─> STOPPED
      saved every 1.25 s  ├─ cut, or the process ends ─> INTERRUPTED
                          └─ the model's error ────────> FAILED

Two threads serve a reply: the reader takes the model's events, the keeper saves what has come, keeps `updated_at` fresh
so that other processes see a living writer, and asks the store whether somebody pressed Stop in another process. The
first of them to name an end wins; what the model still sends after it is dropped. An error is never text.
"""

import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from codecoach.chat.messages import Message, MessageError, MessageState, Usage
from codecoach.coach.metering import MeteredReply
from codecoach.coach.seam import Seam
from codecoach.errors import CodeCoachError, StreamBroken
from codecoach.models.port import Finished, Reply, TextDelta, Waiting
from codecoach.store import owned

# Text that was seen for 2 s must survive a crash, so a save may take three quarters of a second.
SAVE_S = 1.25
# A store that takes longer than that is left alone for a moment all the same.
LEAST_PAUSE_S = 0.2
# A store that fails at the end is tried again, for about 5 minutes all in all.
FINAL_TRIES = 24
FINAL_PAUSE_MAX_S = 15.0

log = logging.getLogger(__name__)


class MessageStore(Protocol):
    """What a generation asks of the store (`store.conversations.Conversations` answers it)."""

    def save(self, thread_id: str, message: Message) -> object: ...

    def stop_requested(self, thread_id: str, message_id: str) -> bool: ...

    def request_stop(self, thread_id: str, message_id: str) -> object: ...

    def clear_stop(self, thread_id: str, message_id: str) -> object: ...


class Generation:
    """A reply being written. Pages hold it as long as they like; it ends without them.

    owner  who has asked for it; None: nobody who is signed in
    """

    def __init__(
        self,
        store: MessageStore,
        thread_id: str,
        reply: Reply,
        message: Message,
        seam: Seam | None = None,
        save_s: float = SAVE_S,
    ) -> None:
        self.thread_id = thread_id
        self.message_id = message.id
        self.owner = owned.acting()
        self._store = store
        self._reply = reply
        self._seam = seam
        self._save_s = save_s
        self._changed = threading.Condition()
        self._message = replace(message, state=MessageState.STREAMING, error=None, stop_reason="")
        self._pieces = [message.text]
        self._chars = len(message.text)
        self._waiting: tuple[Waiting, float] | None = None
        self._ended = threading.Event()  # an end has been named
        self._done = threading.Event()  # and it has been saved, or the store failed once
        self._let_go = threading.Event()  # somebody else writes this message now

    @property
    def done(self) -> bool:
        """True once nothing changes any more and the store, if it works, holds the final message."""
        return self._done.is_set()

    @property
    def waiting(self) -> Waiting | None:
        """Set while the service is limiting requests; `seconds` counts down."""
        now = self._waiting  # the reader may forget it at any moment
        if now is None:
            return None
        waiting, until = now
        return Waiting(max(0.0, until - time.monotonic()), waiting.attempt)

    def snapshot(self) -> Message:
        """The message as it is now."""
        with self._changed:
            return self._snapshot()

    def wait(self, seen_chars: int, timeout_s: float) -> Message:
        """The message, as soon as it has more than `seen_chars` characters or is done; at the latest after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._done.is_set() or self._chars > seen_chars, timeout_s)
            return self._snapshot()

    def stop(self) -> None:
        """Stop writing and keep what has come. Returns at once."""
        self._end(MessageState.STOPPED)

    def interrupt(self) -> None:
        """The process is ending: keep what has come, marked interrupted."""
        self._end(MessageState.INTERRUPTED)

    def let_go(self) -> None:
        """Do not try to save any more: another generation goes on with the message."""
        self._let_go.set()

    def join(self, timeout_s: float) -> bool:
        """Wait until done; False if it was not done in time."""
        return self._done.wait(timeout_s)

    # What follows runs in the two threads.

    def read(self) -> None:
        """Take the model's events until the end."""
        try:
            for event in self._reply:
                if self._ended.is_set():
                    break
                if isinstance(event, TextDelta):
                    self._append(event.text)
                elif isinstance(event, Waiting):
                    self._note_waiting(event)
                elif isinstance(event, Finished):
                    self._finish(event)
            else:
                self._fail(StreamBroken())  # has no effect where `Finished` came or the reply was stopped
        except Exception as error:  # whatever it is, the reply must end
            self._fail(error)
        finally:
            self._reply.close()

    def keep(self) -> None:
        """Save now and then until the end, then for good."""
        begun = time.monotonic()
        # From the beginning of one save to that of the next: how long a save takes must not come on top.
        while not self._ended.wait(max(begun + self._save_s - time.monotonic(), min(LEAST_PAUSE_S, self._save_s))):
            begun = time.monotonic()
            if self._save():
                self._look_for_stop()
        self._reply.close()
        self._note_usage()
        for attempt in range(FINAL_TRIES):
            saved = self._save()
            self._set_done()
            if saved:
                return
            if self._let_go.wait(min(2.0**attempt / 4, FINAL_PAUSE_MAX_S)):
                return
        log.error("reply %s/%s could not be saved; its end is lost", self.thread_id, self.message_id)

    def _snapshot(self) -> Message:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return replace(self._message, text=self._pieces[0])

    def _append(self, delta: str) -> None:
        self._waiting = None
        text = self._seam.feed(delta) if self._seam else delta
        if not text:
            return
        with self._changed:
            if self._ended.is_set():
                return
            self._pieces.append(text)
            self._chars += len(text)
            self._changed.notify_all()

    def _note_waiting(self, event: Waiting) -> None:
        self._waiting = (event, time.monotonic() + event.seconds)

    def _finish(self, event: Finished) -> None:
        if self._seam:
            self._append(self._seam.rest())
        self._end(MessageState.COMPLETE, stop_reason=event.stop_reason, usage=self._message.usage + event.usage)

    def _note_usage(self) -> None:
        """Have the reply counted; one that did not come to its end has used something too."""
        if not isinstance(self._reply, MeteredReply):
            return
        self._reply.settle()
        with self._changed:
            if self._message.state is not MessageState.COMPLETE:
                self._message = replace(self._message, usage=self._message.usage + self._reply.used)

    def _fail(self, error: Exception) -> None:
        if self._ended.is_set():
            return
        if not isinstance(error, CodeCoachError):
            log.error("reply %s/%s", self.thread_id, self.message_id, exc_info=error)
            error = CodeCoachError()
        log.warning("reply %s/%s failed: %s", self.thread_id, self.message_id, error)
        values = {name: str(value) for name, value in error.values.items()}
        state = MessageState.INTERRUPTED if isinstance(error, StreamBroken) else MessageState.FAILED
        self._end(state, error=MessageError(error.key, values, error.reference))

    def _end(
        self,
        state: MessageState,
        stop_reason: str = "",
        usage: Usage | None = None,
        error: MessageError | None = None,
    ) -> None:
        with self._changed:
            if self._ended.is_set():
                return
            self._waiting = None
            self._message = replace(
                self._message,
                state=state,
                stop_reason=stop_reason,
                usage=usage or self._message.usage,
                error=error,
            )
            self._ended.set()

    def _save(self) -> bool:
        now = datetime.now(UTC)
        message = replace(self.snapshot(), updated_at=now)
        try:
            self._store.save(self.thread_id, message)
        except Exception as error:  # a failing store must not end the reply: it is tried again
            log.warning(
                "reply %s/%s could not be saved, will be tried again: %s", self.thread_id, self.message_id, error
            )
            return False
        return True

    def _look_for_stop(self) -> None:
        try:
            if self._store.stop_requested(self.thread_id, self.message_id):
                self.stop()
        except Exception as error:  # as above
            log.warning(
                "reply %s/%s: the store does not say whether to stop: %s", self.thread_id, self.message_id, error
            )

    def _set_done(self) -> None:
        with self._changed:
            self._done.set()
            self._changed.notify_all()
