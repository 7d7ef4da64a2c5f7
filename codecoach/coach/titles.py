"""The title of a conversation: the first words of what was asked, without asking a model."""

import re
import unicodedata

from codecoach.chat.fences import segments

WIDTH = 48

_MARKS = re.compile(r"^[#>*\-+\s]+|[`*_]+")


def title(text: str) -> str:
    """The first line that says something, cut after 48 columns; a Chinese character takes two of them."""
    parts = segments(text)
    prose = [part.text for part in parts if part.kind == "text"] or [part.text for part in parts]
    lines = (" ".join(_MARKS.sub("", line).split()) for line in "".join(prose).splitlines())
    return _cut(next(filter(None, lines), ""))


def _cut(line: str) -> str:
    used = 0
    for place, char in enumerate(line):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used > WIDTH:
            head = line[:place]
            # Not inside a word of letters, unless that would leave next to nothing.
            if _is_letter(head[-1]) and _is_letter(char) and (word := head.rfind(" ")) > WIDTH // 3:
                head = head[:word]
            return head.rstrip(" ,;:，；：") + "…"
    return line


def _is_letter(char: str) -> bool:
    return char.isascii() and char.isalnum()
