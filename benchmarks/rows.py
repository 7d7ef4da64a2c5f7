"""One measured figure, and the table of them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure with what it is to be compared to.

    aim  what it should reach, as people read it ("at most +25 ms"); empty where there is no aim
    met  whether it does; None where there is no aim
    """

    name: str
    value: float
    unit: str
    aim: str = ""
    met: bool | None = None


def table(rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = ["| what | measured | aim | |", "|---|---|---|---|"]
    for row in rows:
        mark = {True: "met", False: "**missed**", None: ""}[row.met]
        lines.append(f"| {row.name} | {row.value:,.4g} {row.unit} | {row.aim} | {mark} |")
    return "\n".join(lines)
