"""What can be compared and tried: the bench's sheet, the open template's versions, the other templates."""

from typing import Final

from codecoach.lab.sheet import Sheet
from codecoach.store.templates import TemplateVersion
from codecoach.ui.lab.workbench import Workbench
from codecoach.ui.session import t
from codecoach.ui.shown import shown

BENCH: Final = ""


def sources(bench: Workbench) -> dict[str, tuple[str, Sheet]]:
    """id -> its name and sheet, the bench's own first."""
    found = {BENCH: (t("lab.this_prompt"), bench.sheet)}
    own = bench.template.id if bench.template else ""
    for version in versions(bench.owner, own):
        name = t("lab.version_of", name=version.name, number=version.number)
        found[f"{own}.{version.number}"] = (name, version.sheet)
    others = shown().templates.list(bench.owner)
    return found | {one.id: (one.name, one.sheet) for one in others if one.id != own}


def versions(owner: str, template_id: str) -> tuple[TemplateVersion, ...]:
    """All versions of a template, the newest first; none where it is gone. The list of templates is read anyway."""
    newest = next((one for one in shown().templates.list(owner) if one.id == template_id), None)
    return shown().templates.versions_of(newest) if newest else ()
