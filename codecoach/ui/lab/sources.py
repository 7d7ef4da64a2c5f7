"""What can be compared and tried: the bench's sheet, the open template's versions, the other templates."""

from typing import Final

from codecoach.lab.sheet import Sheet
from codecoach.ui.lab.workbench import Workbench
from codecoach.ui.session import t
from codecoach.ui.shown import shown

BENCH: Final = ""


def sources(bench: Workbench) -> dict[str, tuple[str, Sheet]]:
    """id -> its name and sheet, the bench's own first."""
    found = {BENCH: (t("lab.this_prompt"), bench.sheet)}
    if bench.template:
        for version in shown().templates.versions(bench.owner, bench.template.id):
            name = t("lab.version_of", name=version.name, number=version.number)
            found[f"{bench.template.id}.{version.number}"] = (name, version.sheet)
    others = shown().templates.list(bench.owner)
    own = bench.template.id if bench.template else ""
    return found | {one.id: (one.name, one.sheet) for one in others if one.id != own}
