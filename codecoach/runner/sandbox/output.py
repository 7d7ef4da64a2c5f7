"""What a program prints: decoded across chunk borders, bounded, and passed on a few times a second."""

import codecs
from collections.abc import Callable

from codecoach.runner.port import OutputChunk, Stream

PASS_ON_EVERY_S = 0.04
"""Shortest time between two chunks of a stream: a program that prints byte by byte makes 25 events a second, not 10,000."""


class Output:
    """One stream of one run."""

    def __init__(self, stream: Stream, limit_bytes: int, emit: Callable[[OutputChunk], None]) -> None:
        self.truncated = False
        self._stream = stream
        self._room = limit_bytes
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting: list[str] = []
        self._all: list[str] = []
        self._passed_on_at = float("-inf")

    @property
    def text(self) -> str:
        return "".join(self._all)

    def feed(self, data: bytes, now: float) -> None:
        """Take what was read; what is over the limit is dropped and `truncated` says so."""
        if len(data) > self._room:
            data, self.truncated = data[: self._room], True
        self._room -= len(data)
        self._append(self._decoder.decode(data))
        if now - self._passed_on_at >= PASS_ON_EVERY_S:
            self.pass_on(now)

    def pass_on(self, now: float) -> None:
        """Emit what has come since the last time."""
        if self._waiting:
            self._emit(OutputChunk(self._stream, "".join(self._waiting)))
            self._waiting.clear()
            self._passed_on_at = now

    def finish(self, now: float) -> None:
        """Emit the rest; a character that the limit cut in two is dropped, one the program never finished is not."""
        if not self.truncated:
            self._append(self._decoder.decode(b"", final=True))
        self.pass_on(now)

    def _append(self, text: str) -> None:
        if text:
            self._waiting.append(text)
            self._all.append(text)
