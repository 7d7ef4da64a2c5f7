"""The replies that this process is writing, one at most in each thread of messages."""

import atexit
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime

from codecoach.chat.messages import Message, Role
from codecoach.coach.seam import Seam
from codecoach.coach.writing import SAVE_S, Generation, MessageStore
from codecoach.errors import InputRefused
from codecoach.models.port import Model, ModelRequest, Payer, Reply
from codecoach.store import owned

__all__ = ["Generation", "Generations", "interrupt_all", "writes_into"]

# How long the end of the process waits for the last saves.
CLOSE_S = 5.0

# The registry belongs to the module: whoever builds `Generations` anew (a cleared cache, a reload) finds the running ones.
# By (who asked, thread).
_running: dict[tuple[str | None, str], Generation] = {}
_registry = threading.Lock()


class Generations:
    """The replies being written by this process, at most one in a thread of messages."""

    def __init__(self, model: Model, conversations: MessageStore, save_s: float = SAVE_S) -> None:
        self._model = model
        self._store = conversations
        self._save_s = save_s

    @contextmanager
    def asked(self, thread_id: str, request: ModelRequest, message: Message) -> Iterator[Reply]:
        """A reply for `start`, so that what stands in its way is known before anything is stored; nothing is sent yet.

        Raises `BudgetReached`. Where the block raises, the reply is given up.
        """
        reply = self._model.stream(replace(request, payer=writes_into(request.payer, thread_id, message)))
        try:
            yield reply
        except BaseException:
            reply.close()
            raise

    def start(self, thread_id: str, request: ModelRequest, message: Message, reply: Reply | None = None) -> Generation:
        """Start writing `message`, and go on after its text where it has some; `reply` as `asked` gave it.

        Raises `InputRefused` where a reply is being written in this thread already or a budget leaves no room for it, and
        `StoreError` where the message cannot even be stored at first.
        """
        if reply is None:
            with self.asked(thread_id, request, message) as reply:
                return self.start(thread_id, request, message, reply)
        # After a prefill the model goes on by itself; asked to continue, it tends to repeat its last words.
        prefilled = request.turns[-1].role is Role.ASSISTANT
        seam = Seam(message.text) if message.text and not prefilled else None
        return self.follow(thread_id, reply, message, seam)

    def follow(self, thread_id: str, reply: Reply, message: Message, seam: Seam | None = None) -> Generation:
        """As `start`, for a reply that somebody has asked for already."""
        generation = Generation(self._store, thread_id, reply, message, seam, self._save_s)
        with _registry:
            before = owned.going_on(_running, thread_id)
            if before and not before.done:
                raise InputRefused("reply_running")
            _running[generation.owner, thread_id] = generation
        if before and before.message_id == message.id:
            before.let_go()
        try:
            if message.text:  # a stop meant for who wrote it before
                self._store.clear_stop(thread_id, message.id)
            self._store.save(thread_id, replace(generation.snapshot(), updated_at=datetime.now(UTC)))
        except BaseException:
            _forget(generation)
            raise
        for work in (generation.read, lambda: _keep(generation)):
            # Each in surroundings of its own: as the user who asked, and under the same reference in the log.
            within = copy_context().run
            threading.Thread(target=within, args=(work,), name=f"reply-{message.id}", daemon=True).start()
        return generation

    def find(self, thread_id: str) -> Generation | None:
        """The reply that this process is writing in the thread, or None; also None where it is another user's."""
        with _registry:
            return owned.going_on(_running, thread_id)

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


def writes_into(payer: Payer | None, thread_id: str, message: Message) -> Payer | None:
    """The payer of what is written into a message."""
    if payer is None:
        return None
    return replace(payer, thread_id=thread_id, message_id=message.id, chars_before=len(message.text))


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
        place = (generation.owner, generation.thread_id)
        if _running.get(place) is generation:
            del _running[place]


atexit.register(interrupt_all)
