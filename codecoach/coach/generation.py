"""Replies that outlive the page: each is written by the process, and pages only look on.

    start ──> STREAMING ──┬─ whole ───────────────────> COMPLETE
                 ^        ├─ stop() here or elsewhere ─> STOPPED
      saved every 1.5 s   ├─ cut, or the process ends ─> INTERRUPTED
                          └─ the model's error ────────> FAILED

Two threads serve a reply: the reader takes the model's events, the keeper saves what has come, keeps `updated_at` fresh
so that other processes see a living writer, and asks the store whether somebody pressed Stop in another process. The
first of them to name an end wins; what the model still sends after it is dropped. An error is never text.
"""

import atexit
import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from codecoach.chat.messages import Message, MessageError, MessageState, Role, Usage
from codecoach.coach.seam import Seam
from codecoach.errors import CodeCoachError, InputRefused, StreamBroken
from codecoach.models.port import Finished, Model, ModelRequest, Reply, TextDelta, Waiting

# Text that was seen for 2 s must survive a crash, so a save may take half a second.
SAVE_S = 1.5
# A store that fails at the end is tried again, for about 5 minutes all in all.
FINAL_TRIES = 24
FINAL_PAUSE_MAX_S = 15.0
# How long the end of the process waits for the last saves.
CLOSE_S = 5.0

log = logging.getLogger(__name__)


class MessageStore(Protocol):
    """What a generation asks of the store (`store.conversations.Conversations` answers it)."""

    def save(self, thread_id: str, message: Message) -> object: ...

    def stop_requested(self, thread_id: str, message_id: str) -> bool: ...

    def request_stop(self, thread_id: str, message_id: str) -> object: ...

    def clear_stop(self, thread_id: str, message_id: str) -> object: ...


class Generation:
    """A reply being written. Pages hold it as long as they like; it ends without them."""

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

    @property
    def done(self) -> bool:
        """True once nothing changes any more and the store, if it works, holds the final message."""
        return self._done.is_set()

    @property
    def waiting(self) -> Waiting | None:
        """Set while the service is limiting requests; `seconds` counts down."""
        if self._waiting is None:
            return None
        waiting, until = self._waiting
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
        while not self._ended.wait(self._save_s):
            if self._save():
                self._look_for_stop()
        self._reply.close()
        for attempt in range(FINAL_TRIES):
            saved = self._save()
            self._set_done()
            if saved:
                return
            time.sleep(min(2.0**attempt / 4, FINAL_PAUSE_MAX_S))
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
        before = self._message.usage
        usage = Usage(before.input_tokens + event.usage.input_tokens, before.output_tokens + event.usage.output_tokens)
        self._end(MessageState.COMPLETE, stop_reason=event.stop_reason, usage=usage)

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


# The registry belongs to the module: whoever builds `Generations` anew (a cleared cache, a reload) finds the running ones.
_running: dict[str, Generation] = {}
_registry = threading.Lock()


class Generations:
    """The replies being written by this process, at most one in a thread of messages."""

    def __init__(self, model: Model, conversations: MessageStore, save_s: float = SAVE_S) -> None:
        self._model = model
        self._store = conversations
        self._save_s = save_s

    def start(self, thread_id: str, request: ModelRequest, message: Message) -> Generation:
        """Start writing `message`, and go on after its text where it has some.

        Raises `InputRefused` where a reply is being written in this thread already, and `StoreError` where the message
        cannot even be stored at first.
        """
        # After a prefill the model goes on by itself; asked to continue, it tends to repeat its last words.
        prefilled = request.turns[-1].role is Role.ASSISTANT
        seam = Seam(message.text) if message.text and not prefilled else None
        generation = Generation(self._store, thread_id, self._model.stream(request), message, seam, self._save_s)
        with _registry:
            before = _running.get(thread_id)
            if before and not before.done:
                raise InputRefused("reply_running")
            _running[thread_id] = generation
        try:
            if message.text:  # a stop meant for who wrote it before
                self._store.clear_stop(thread_id, message.id)
            self._store.save(thread_id, replace(generation.snapshot(), updated_at=datetime.now(UTC)))
        except BaseException:
            _forget(generation)
            raise
        for work in (generation.read, lambda: _keep(generation)):
            threading.Thread(target=work, name=f"reply-{message.id}", daemon=True).start()
        return generation

    def find(self, thread_id: str) -> Generation | None:
        """The reply that this process is writing in the thread, or None."""
        with _registry:
            return _running.get(thread_id)

    def stop(self, thread_id: str, message_id: str) -> None:
        """Stop a reply, whichever process writes it; in another process it takes up to 2 s."""
        generation = self.find(thread_id)
        if generation and generation.message_id == message_id:
            generation.stop()
        else:
            self._store.request_stop(thread_id, message_id)

    def running(self) -> int:
        """How many replies this process is writing."""
        with _registry:
            return len(_running)

    def close(self) -> None:
        """Mark all running replies as interrupted and save them."""
        interrupt_all()


def interrupt_all() -> None:
    with _registry:
        generations = list(_running.values())
    for generation in generations:
        generation.interrupt()
    deadline = time.monotonic() + CLOSE_S
    for generation in generations:
        generation.join(max(0.0, deadline - time.monotonic()))


def _keep(generation: Generation) -> None:
    try:
        generation.keep()
    finally:
        _forget(generation)


def _forget(generation: Generation) -> None:
    with _registry:
        if _running.get(generation.thread_id) is generation:
            del _running[generation.thread_id]


atexit.register(interrupt_all)
