"""What a program printed, made fit to be shown: no escape sequences, no line that freezes a browser, never too much."""

import re
from dataclasses import dataclass
from typing import Final

from codecoach.chat.invisible import without_overrides

SHOWN_CHARS: Final = 20_000
SHOWN_LINES: Final = 400
LINE_CHARS: Final = 1_000

# CSI (colours, cursor), OSC (titles, links; ended by BEL or ESC \), any other two-character escape. The possessive
# quantifiers keep it linear where a sequence never ends. Source: ECMA-48, 5th edition, 5.3, 5.4, 8.3.
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-?]*+[ -/]*+[@-~]?|[\]PX^_][^\x07\x1b]*+(?:\x07|\x1b\\)?|[ -/]*+[0-~]?)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Shown:
    """The end of an output.

    hidden_lines  how many lines before it are left out
    cut_lines     how many of the lines shown are cut at `LINE_CHARS`
    """

    text: str
    hidden_lines: int = 0
    cut_lines: int = 0

    @property
    def complete(self) -> bool:
        return not (self.hidden_lines or self.cut_lines)


def clean(text: str) -> str:
    """The text as a terminal would leave it: without escape sequences, each line as it was last overwritten."""
    text = _ESCAPE.sub("", text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(_overwritten(line) for line in text.split("\n"))
    return without_overrides(_CONTROL.sub("", text))


def shown(text: str, max_lines: int = SHOWN_LINES, max_chars: int = SHOWN_CHARS) -> Shown:
    """The end of an output, cleaned and bounded; its end, because that is where a program says why it failed."""
    # What lies further back than this cannot be shown, however much of it the cleaning takes away.
    recent = text[-20 * max_chars :]
    skipped = text.count("\n", 0, len(text) - len(recent))
    lines = clean(recent).rstrip("\n").split("\n")
    kept: list[str] = []
    chars = cut = 0
    for line in reversed(lines[-max_lines:]):
        short = _cut(line)
        if kept and chars + len(short) > max_chars:
            break
        kept.append(short)
        chars += len(short) + 1
        cut += short is not line
    return Shown("\n".join(reversed(kept)), skipped + len(lines) - len(kept), cut)


def _overwritten(line: str) -> str:
    """What is left of a line in which carriage returns went back to its start (progress bars)."""
    parts = [part for part in line.split("\r") if part]
    return parts[-1] if parts else ""


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARS else f"{line[:LINE_CHARS]} … (+{len(line) - LINE_CHARS:,})"
