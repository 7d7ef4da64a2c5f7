"""Stop for work that is made of steps, each with a way of its own to be ended."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Set once, from any thread; the step that is under way is ended, and none begins any more."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._ends: list[Callable[[], object]] = []

    @property
    def pressed(self) -> bool:
        return self._set.is_set()

    def set(self) -> None:
        """End what is under way. Returns as soon as everything has been told."""
        with self._lock:
            self._set.set()
            ends = list(self._ends)
        for end in ends:
            end()

    def wait(self, timeout_s: float) -> bool:
        """Wait for it; True where it is set."""
        return self._set.wait(timeout_s)

    @contextmanager
    def ends(self, end: Callable[[], object]) -> Iterator[None]:
        """Have `end` called when it is set while the block runs; it may be called from another thread."""
        with self._lock:
            self._ends.append(end)
            late = self._set.is_set()
        if late:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)
