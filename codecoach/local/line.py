"""A line of callers, one served at a time, in the order they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from codecoach.local.wire.faults import AwsFault


class Line:
    """At most `longest` wait; a caller that is cancelled while it waits leaves the line."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._lock = asyncio.Lock()
        self.waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn and hold it. Raises a ThrottlingException where the line is full."""
        if self.waiting >= self._longest:
            raise AwsFault("ThrottlingException", "Too many requests, please wait before trying again.")
        self.waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
