"""What a process remembers of how users stand with their budgets, and who may count for them at a time."""

import threading
import time
from collections import OrderedDict
from typing import Final

from codecoach.store.usage import State

# How old what a page shows of the books may be; what this process itself counts it shows at once.
REMEMBERED_S: Final = 60.0
REMEMBERED: Final = 2_000
CONVERSATIONS: Final = 20


class Turns:
    """Locks, so that threads of one process that count for one user take turns instead of meeting in the store."""

    def __init__(self) -> None:
        self._locks = [threading.Lock() for _ in range(64)]

    def of(self, username: str) -> threading.Lock:
        return self._locks[hash(username) % len(self._locks)]


class Memory:
    """How users stood when they were last read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: OrderedDict[str, dict[str, tuple[float, State]]] = OrderedDict()

    def get(self, username: str, conversation_id: str) -> State | None:
        with self._lock:
            read_at, state = self._of.get(username, {}).get(conversation_id, (float("-inf"), None))
        return state if time.monotonic() - read_at < REMEMBERED_S else None

    def put(self, username: str, conversation_id: str, state: State) -> None:
        with self._lock:
            known = self._of.setdefault(username, {})
            known[conversation_id] = (time.monotonic(), state)
            self._of.move_to_end(username)
            while len(self._of) > REMEMBERED:
                self._of.popitem(last=False)
            for oldest in sorted(known, key=lambda one: known[one][0])[: max(0, len(known) - CONVERSATIONS)]:
                del known[oldest]

    def drop(self, username: str) -> None:
        with self._lock:
            self._of.pop(username, None)
