"""What a change changes: a unified diff, coloured, readable in both themes and at any width."""

import difflib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import streamlit as st

from codecoach.ui.session import t

CONTEXT_LINES: Final = 3
_MAX_LINES: Final = 1_000
# Beyond this an exact comparison takes seconds where lines repeat.
_MANY_LINES: Final = 3_000

Kind = Literal["same", "added", "removed", "skipped"]


@dataclass(frozen=True)
class Line:
    """A line of a diff; `old`, `new` are its numbers before and after, None where it is not there."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None


def lines(before: str, after: str, context: int = CONTEXT_LINES) -> list[Line]:
    """The changed lines with `context` lines around them; none where nothing differs."""
    old, new = before.splitlines(), after.splitlines()
    groups = difflib.SequenceMatcher(None, old, new, autojunk=len(new) > _MANY_LINES).get_grouped_opcodes(context)
    found: list[Line] = []
    for group in groups:
        if found or group[0][1] > 0:
            found.append(Line("skipped", ""))
        for operation in group:
            found += _changed(operation, old, new)
    return found


def _changed(operation: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[Line]:
    tag, old_from, old_to, new_from, new_to = operation
    if tag == "equal":
        for offset in range(old_to - old_from):
            yield Line("same", old[old_from + offset], old_from + offset + 1, new_from + offset + 1)
        return
    for number in range(old_from, old_to):
        yield Line("removed", old[number], old=number + 1)
    for number in range(new_from, new_to):
        yield Line("added", new[number], new=number + 1)


def draw(before: str, after: str) -> None:
    """Draw the diff, and above it how many lines come and go."""
    changes = lines(before, after)
    added = sum(line.kind == "added" for line in changes)
    removed = sum(line.kind == "removed" for line in changes)
    st.markdown(f":green[**+{added}**] :red[**−{removed}**] {t('editor.lines_changed')}")
    st.html(f"<style>{_STYLE}</style>{_table(changes[:_MAX_LINES])}")
    if len(changes) > _MAX_LINES:
        st.caption(t("editor.diff_cut", lines=_MAX_LINES))


def _table(changes: list[Line]) -> str:
    rows = "".join(_row(line) for line in changes)
    return f'<div class="cc-diff" role="region" tabindex="0" aria-label="{html.escape(t("editor.diff"))}"><table>{rows}</table></div>'


def _row(line: Line) -> str:
    if line.kind == "skipped":
        return '<tr class="skipped"><td colspan="4">⋯</td></tr>'
    sign = {"added": "+", "removed": "−", "same": ""}[line.kind]
    cells = "".join(f'<td class="n">{number or ""}</td>' for number in (line.old, line.new))
    return f'<tr class="{line.kind}">{cells}<td class="s">{sign}</td><td class="t">{html.escape(line.text) or " "}</td></tr>'


# Half-transparent colours sit well on light and dark alike; signs say the same without colour. On a narrow screen a line is
# broken anywhere: broken at its spaces, it would leave its indentation behind on a line of its own.
_STYLE: Final = """
.cc-diff { overflow: auto; max-height: 26rem; border: 1px solid rgba(128, 128, 128, .35); border-radius: 8px; }
.cc-diff table { border-collapse: collapse; width: 100%; font: .82rem/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.cc-diff td { padding: 0 .45rem; border: 0; vertical-align: top; white-space: pre; }
.cc-diff .n { text-align: right; opacity: .55; user-select: none; width: 1%; }
.cc-diff .s { user-select: none; width: 1%; }
.cc-diff .t { white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; }
@media (max-width: 640px) { .cc-diff td { padding: 0 .3rem; } .cc-diff .t { word-break: break-all; } }
.cc-diff .added { background: rgba(46, 160, 67, .18); }
.cc-diff .removed { background: rgba(248, 81, 73, .16); }
.cc-diff .skipped td { text-align: center; opacity: .6; background: rgba(128, 128, 128, .12); }
"""
