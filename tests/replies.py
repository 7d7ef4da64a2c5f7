"""A model for tests that replies what it is told, when it is told to, and remembers what it was asked."""

import queue
import threading
import time
from collections.abc import Callable

from codecoach.chat.messages import Usage
from codecoach.models.port import Finished, ModelEvent, ModelRequest, TextDelta

GIVEN_UP_AFTER_S = 60


class ToldReply:
    """One reply; `say` and `end` are called by the test, the rest by who reads it."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._events: queue.Queue[ModelEvent | Exception | None] = queue.Queue()

    def say(self, *words: str) -> None:
        for word in words:
            self._events.put(TextDelta(word))

    def tell(self, event: ModelEvent | Exception) -> None:
        self._events.put(event)

    def end(self, stop_reason: str = "end_turn") -> None:
        self._events.put(Finished(stop_reason, Usage(10, 20)))
        self._events.put(None)

    def __iter__(self) -> "ToldReply":
        return self

    def __next__(self) -> ModelEvent:
        event = self._events.get()
        if event is None or self.closed.is_set():
            raise StopIteration
        if isinstance(event, Exception):
            raise event
        return event

    def close(self) -> None:
        self.closed.set()
        self._events.put(None)


class ToldModel:
    """Gives a `ToldReply` to each request, in order."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.replies: list[ToldReply] = []

    def stream(self, request: ModelRequest) -> ToldReply:
        self.requests.append(request)
        self.replies.append(ToldReply())
        return self.replies[-1]

    @property
    def reply(self) -> ToldReply:
        return self.replies[-1]


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail after a time in which it must."""
    until = time.monotonic() + GIVEN_UP_AFTER_S
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.005)
