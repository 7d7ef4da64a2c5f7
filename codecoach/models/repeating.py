"""Replies whose calls are repeated while the service is limiting requests."""

import random
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Self

from codecoach.errors import ModelThrottled
from codecoach.models.failures import as_ours
from codecoach.models.port import ModelEvent, Waiting

# Calls in all while the service is limiting requests; the pauses between them double, with jitter.
TRIES = 4
FIRST_PAUSE_S = 1.0
COUNTDOWN_S = 0.5


class RepeatedReply:
    """One reply on its way. Iterate in one thread; `close` from any.

    Throttled calls are repeated as long as no text has come; each pause is told in `Waiting` events. A subclass makes one
    call (`_call`), and ends it from another thread (`_hang_up`).
    """

    def __init__(self, model_id: str, first_pause_s: float) -> None:
        self._model_id = model_id
        self._first_pause_s = first_pause_s
        self._closed = threading.Event()
        self._events = self._with_retries()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ModelEvent:
        return next(self._events)

    def close(self) -> None:
        """Stop: a thread that waits for the next event wakes up, and the connection is closed."""
        self._closed.set()
        self._hang_up()
        # ValueError: another thread is iterating, and will find out by itself.
        with suppress(ValueError):
            self._events.close()

    def _call(self) -> Iterator[ModelEvent]:
        raise NotImplementedError

    def _hang_up(self) -> None:
        raise NotImplementedError

    def _with_retries(self) -> Generator[ModelEvent, None, None]:
        for attempt in range(1, TRIES + 1):
            begun = False
            try:
                for event in self._call():
                    begun = True
                    yield event
            except Exception as error:
                if self._closed.is_set():
                    return
                ours = as_ours(error, self._model_id, begun)
                if begun or attempt == TRIES or not isinstance(ours, ModelThrottled):
                    raise ours from error
            else:
                return
            yield from self._pause(attempt)
            if self._closed.is_set():
                return

    def _pause(self, attempt: int) -> Iterator[Waiting]:
        pause_s = self._first_pause_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0 and not self._closed.is_set():
            yield Waiting(left_s, attempt + 1)
            self._closed.wait(min(left_s, COUNTDOWN_S))
