"""Characters that nobody sees and that change what is read: code can look like other code than what runs ("Trojan Source").

    direction   turn the order in which a line is shown       U+061C U+200E U+200F U+202A-U+202E U+2066-U+2069
    no width    hide within names and texts                   U+00AD U+034F U+115F U+1160 U+180E U+200B-U+200D U+2060-U+2064
                                                              U+3164 U+FEFF U+FFA0, tags U+E0000-U+E007F

A joiner (U+200D) between the parts of an emoji, and a mark at the very beginning of a text (U+FEFF), are as they should be.
Source: Unicode TR 36 and TR 55; N. Boucher, R. Anderson, "Trojan Source", 2021.
"""

import re
from dataclasses import dataclass
from typing import Final

_DIRECTION: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NO_WIDTH: Final = "\u00ad\u034f\u115f\u1160\u180e\u200b\u200c\u2060-\u2064\u3164\ufeff\uffa0\U000e0000-\U000e007f"
# After an emoji, or its variation selector, the joiner makes one picture of two.
_LOOSE_JOINER: Final = "(?<![\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])\u200d"
_FOUND: Final = re.compile(f"[{_DIRECTION}{_NO_WIDTH}]|{_LOOSE_JOINER}")
_TURNING: Final = re.compile(f"[{_DIRECTION}]")
_OVERRIDE: Final = re.compile("[\u202d\u202e]")


@dataclass(frozen=True)
class Hidden:
    """Where characters are that nobody sees: the lines, the first being 1, and whether one turns the direction of reading."""

    lines: tuple[int, ...]
    turning: bool

    def __bool__(self) -> bool:
        return bool(self.lines)


def hidden(code: str) -> Hidden:
    """What nobody sees in a program; empty where there is nothing of the kind."""
    code = code.removeprefix("\ufeff")
    if code.isascii() or not _FOUND.search(code):
        return Hidden((), turning=False)
    lines = tuple(number for number, line in enumerate(code.split("\n"), 1) if _FOUND.search(line))
    return Hidden(lines, turning=_TURNING.search(code) is not None)


def shown(text: str) -> str:
    """A short text from elsewhere (a title, a file name) with what turns its direction written out: `[U+202E]`."""
    return text if text.isascii() else _TURNING.sub(_written_out, text)


def without_overrides(text: str) -> str:
    """A text to read, with what shows it backwards whatever its letters are written out; Arabic and Hebrew need none of it."""
    return text if text.isascii() else _OVERRIDE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    return f"[U+{ord(match[0]):04X}]"
