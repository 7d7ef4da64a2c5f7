"""From each layout of the table to the next: numbered steps, forward only.

    layout  what it is
    1       the first one, and every table without a number
    2       a template keeps a whole sheet of the Prompt Lab, where it kept a body, a system text, a format and a model

A step is given every item of the table, and may be given it again, by us after a crash or by another process at the same
time. So a step knows what it has changed already, and puts over the version that it read. A step that has been published
is never changed: tables that took it would differ from those that take it now.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from codecoach.store import keys
from codecoach.store.large import LargeItems
from codecoach.store.port import Item, Json, Key, Table


@dataclass(frozen=True)
class Step:
    """What leads to a layout.

    to      its number
    change  changes an item where it must, having read it anew: it is given the item as the table's scan told it. Raises
            `VersionConflict` where somebody else was quicker, and is asked again
    """

    to: int
    change: Callable[[Table, Item], None]


def templates_into_sheets(table: Table, item: Item) -> None:
    """{"name", "body", "format", "model_id", "system", "updated_at"} becomes {"name", "sheet", "copilot", "updated_at"}."""
    if not _is_old_template(item):
        return
    large = LargeItems(table)
    whole = large.get(item.key)
    if whole is None or not _is_old_template(whole):
        return  # somebody was quicker
    large.put(Item(whole.key, _with_sheet(whole.data)), expected_version=whole.version)


def _is_old_template(item: Item) -> bool:
    parts = item.data.get("_parts")
    fields = item.data.keys() | (parts.keys() if isinstance(parts, dict) else set())
    return _is_template(item.key) and "sheet" not in fields


def _is_template(key: Key) -> bool:
    return key.partition.startswith(keys.user("")) and key.sort.startswith(keys.TEMPLATE)


def _with_sheet(old: dict[str, Json]) -> dict[str, Json]:
    # Names were not bounded then. The Prompt Lab's own code is not used here: it goes on changing, this step must not.
    name = " ".join(str(old["name"]).split())[:80].strip() or "?"
    sheet = {"text": old["body"], "system": old["system"], "format": old["format"], "model_id": old["model_id"]}
    return {
        "name": name,
        "sheet": json.dumps(sheet, ensure_ascii=False),
        "copilot": False,
        "updated_at": old["updated_at"],
    }


STEPS: Final = (Step(2, templates_into_sheets),)
