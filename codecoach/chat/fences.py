"""A reply, split into text and code at its fences, while it is still being written.

The rules are CommonMark's (https://spec.commonmark.org/0.31.2/#fenced-code-blocks): backticks or tildes, three or more; the
closing fence is at least as long as the opening one, of the same character, and carries nothing else; so a fence inside
a longer one is text of the code; a fence that is never closed runs to the end. Inside list items fences may stand as
deep as the item. One rule is ours: code that a model failed to indent like its fence stays in the block.
"""

import re
from dataclasses import dataclass
from typing import Literal

# Prose longer than this ends its segment at the next paragraph that cannot belong to a list, so that a long answer
# without code need not be sent to the browser again with each new word.
_LONG_TEXT_CHARS = 400

_FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)", re.DOTALL)
_LIST_ITEM = re.compile(r"( *)([-*+]|\d{1,9}[.)])( {1,4})(?=\S)")


@dataclass(frozen=True)
class Segment:
    """A piece of a reply.

    text    Markdown of a text; the code without its fences, each line ended by a newline
    info    what stands after the opening fence (`python title=a.py`); empty for text
    closed  False for code whose closing fence has not come
    """

    kind: Literal["text", "code"]
    text: str
    info: str = ""
    closed: bool = True


@dataclass(frozen=True)
class _Opening:
    """An opening fence: how far it is indented, its character, its length, its info string."""

    indent: int
    char: str
    length: int
    info: str


def segments(text: str) -> tuple[Segment, ...]:
    """The segments of a whole reply. Text that is only white space makes none."""
    splitter = Splitter()
    splitter.feed(text)
    return (*splitter.finished, *splitter.tail())


class Splitter:
    """Splits a reply as it comes; the work grows with the length of the reply, however it is cut into deltas.

    finished  segments that no further text can change, in order; it only ever grows
    """

    def __init__(self) -> None:
        self.finished: list[Segment] = []
        self._lines: list[str] = []  # complete lines of the open segment, with their newlines
        self._chars = 0
        self._partial: list[str] = []  # pieces of the line that has not ended
        self._opening: _Opening | None = None
        self._item_indent = 0

    def feed(self, delta: str) -> None:
        """More of the reply."""
        # One split, not a partition line by line: that would copy the rest of a long delta for each of its lines.
        *complete, partial = delta.split("\n")
        for piece in complete:
            line, self._partial = "".join((*self._partial, piece)).removesuffix("\r"), []
            self._take(line)
        if partial:
            self._partial.append(partial)

    def tail(self) -> tuple[Segment, ...]:
        """What follows `finished` if the reply ended here: nothing, one segment, or two.

        Two, where the last line may be an opening fence: it is taken for one, but further text may show otherwise.
        """
        partial = "".join(self._partial)
        if self._opening:
            if _closes(partial, self._opening, self._item_indent):
                return (self._code(self._opening, closed=True),)
            return (self._code(self._opening, closed=False, partial=partial),)
        opening = _opening(partial, self._item_indent)
        text = "".join(self._lines) + ("" if opening else partial)
        parts = [Segment("text", text)] if text.strip() else []
        return (*parts, Segment("code", "", opening.info, closed=False)) if opening else tuple(parts)

    def _take(self, line: str) -> None:
        if self._opening:
            if _closes(line, self._opening, self._item_indent):
                self._finish(self._code(self._opening, closed=True))
                self._opening = None
            else:
                self._lines.append(line + "\n")
        elif opening := _opening(line, self._item_indent):
            self._finish_text()
            self._opening = opening
        else:
            self._take_text(line)

    def _take_text(self, line: str) -> None:
        item = _LIST_ITEM.match(line)
        indent = len(line) - len(line.lstrip(" "))
        if item:
            self._item_indent = item.end()
        elif line.strip() and indent < self._item_indent:
            self._item_indent = indent
        if self._chars > _LONG_TEXT_CHARS and self._after_blank() and not indent and not item and line[:1].isalpha():
            self._finish_text()
        self._lines.append(line + "\n")
        self._chars += len(line) + 1

    def _after_blank(self) -> bool:
        return not self._lines[-1].strip()

    def _finish_text(self) -> None:
        text = "".join(self._lines)
        self._lines, self._chars = [], 0
        if text.strip():
            self.finished.append(Segment("text", text))

    def _finish(self, segment: Segment) -> None:
        self.finished.append(segment)
        self._lines = []

    def _code(self, opening: _Opening, closed: bool, partial: str = "") -> Segment:
        lines = self._lines + ([partial + "\n"] if partial else [])
        code = "".join(_without_indent(line, opening.indent) for line in lines)
        return Segment("code", code, opening.info, closed)


def _opening(line: str, item_indent: int) -> _Opening | None:
    """The opening fence that `line` is, or None. The info string of a backtick fence holds no backtick."""
    match = _FENCE.fullmatch(line)
    if not match or len(match[1]) > item_indent + 3 or (match[2][0] == "`" and "`" in match[3]):
        return None
    return _Opening(len(match[1]), match[2][0], len(match[2]), match[3].strip())


def _closes(line: str, opening: _Opening, item_indent: int) -> bool:
    match = _FENCE.fullmatch(line)
    return bool(
        match
        and len(match[1]) <= item_indent + 3
        and match[2][0] == opening.char
        and len(match[2]) >= opening.length
        and not match[3].strip(" \t")
    )


def _without_indent(line: str, indent: int) -> str:
    spaces = len(line) - len(line.lstrip(" "))
    return line[min(spaces, indent) :]
