"""The counts and times that Bedrock adds to the last chunk of every streamed answer of InvokeModel."""

import time
from typing import Any

from codecoach.local.engine import End

KEY = "amazon-bedrock-invocationMetrics"


class Clock:
    """Starts with the request."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._first_ms = 0

    def first(self) -> None:
        """The answer begins now."""
        self._first_ms = self._elapsed_ms()

    def metrics(self, input_tokens: int, end: End) -> dict[str, Any]:
        """The chunk's extra member, with the true counts."""
        return {
            KEY: {
                "inputTokenCount": input_tokens if end.input_tokens is None else end.input_tokens,
                "outputTokenCount": end.output_tokens,
                "invocationLatency": self._elapsed_ms(),
                "firstByteLatency": self._first_ms,
            }
        }

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._began_at) * 1000)
