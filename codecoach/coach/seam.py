"""Where a reply is continued: what the model repeats of its own last words is left out."""

import re

from codecoach.chat.fences import Splitter

# Further back than this no model repeats.
_TAIL_CHARS = 600
# A shorter overlap may be chance: a new line, an indentation, a closing bracket.
_OVERLAP_MIN_CHARS = 8
# With an info string it opens a block; without one it closes the block that is open.
_FENCE_LINE = re.compile(r"\s*(`{3,}|~{3,})[ \t]*\w[^\n]*\n")


class Seam:
    """Joins a continuation to the `text` before it.

    Text is held back as long as all of it may be a repetition. Asked to go on inside a code block, models also like to
    open the block once more: that fence is left out too.
    """

    def __init__(self, text: str) -> None:
        self._tail = text[-_TAIL_CHARS:]
        splitter = Splitter()
        splitter.feed(text)
        self._in_code = any(part.kind == "code" and not part.closed for part in splitter.tail())
        self._held: str | None = ""

    def feed(self, delta: str) -> str:
        """What of the continuation so far is new; empty while that is not known."""
        if self._held is None:
            return delta
        self._held += delta
        return "" if self._may_repeat() else self.rest()

    def rest(self) -> str:
        """What is still held back, less what it repeats."""
        if self._held is None:
            return ""
        text, self._held = self._without_fence(self._held), None
        for length in range(min(len(text), len(self._tail)), _OVERLAP_MIN_CHARS - 1, -1):
            if self._tail.endswith(text[:length]):
                return text[length:]
        return text

    def _may_repeat(self) -> bool:
        held = self._held or ""
        if self._in_code and not _FENCE_LINE.match(held) and "\n" not in held.lstrip() and _may_be_fence(held.lstrip()):
            return True
        return self._without_fence(held) in self._tail

    def _without_fence(self, text: str) -> str:
        return _FENCE_LINE.sub("", text, count=1) if self._in_code and _FENCE_LINE.match(text) else text


def _may_be_fence(start: str) -> bool:
    return start.startswith(("```", "~~~")) or "```".startswith(start) or "~~~".startswith(start)
