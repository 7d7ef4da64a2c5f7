"""Prompt templates with all their versions, each user's own, and the draft on a user's bench.

save  ──> the template (a version condition: a save that another tab made meanwhile is met) ──> the same as a version
a crash between the two leaves the newest version to be read from the template itself
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from codecoach.errors import InputRefused, VersionConflict
from codecoach.lab import sheet as sheets
from codecoach.lab.sheet import Sheet
from codecoach.store import keys
from codecoach.store.large import LargeItems
from codecoach.store.paging import everything
from codecoach.store.port import Item, Json, Table
from codecoach.store.records import from_time, now, to_time

NAME_CHARS = 80


@dataclass(frozen=True)
class Template:
    """A prompt that was saved.

    id       empty until first saved
    copilot  True: it is among its owner's assistants
    version  0 until first saved; counts every save
    """

    id: str
    owner: str
    name: str
    sheet: Sheet = field(default_factory=Sheet)
    copilot: bool = False
    updated_at: datetime | None = None
    version: int = field(default=0, compare=False)


@dataclass(frozen=True)
class TemplateVersion:
    """A template as it was once saved."""

    number: int
    name: str
    sheet: Sheet
    saved_at: datetime


@dataclass(frozen=True)
class Draft:
    """What stands on the bench.

    template_id  the template it was loaded from or saved as; empty where there is none
    window       which browser session put it there
    version      0 until it was kept
    """

    sheet: Sheet
    template_id: str = ""
    window: str = field(default="", compare=False)
    version: int = field(default=0, compare=False)


class Templates:
    """The templates of all users."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._large = LargeItems(table)
        self._clock = clock

    def save(self, template: Template) -> Template:
        """Store a template as a new version and return it as stored, with its id, time and version.

        Raises `InputRefused` for no name or one that is too long, `VersionConflict` where it was saved or deleted elsewhere
        since it was read.
        """
        name = " ".join(template.name.split())
        if not name or len(name) > NAME_CHARS:
            raise InputRefused("template_name", longest=NAME_CHARS)
        template = dataclasses.replace(template, id=template.id or keys.new_id(), name=name, updated_at=self._clock())
        data = _from_template(template)
        try:
            number = self._large.put(Item(keys.template(template.owner, template.id), data), template.version).version
        except VersionConflict:
            number = self._saved_after_all(template)
        saved = dataclasses.replace(template, version=number)
        self._keep_version(saved)
        return saved

    def get(self, owner: str, template_id: str) -> Template | None:
        """The template, if it is this owner's."""
        item = self._large.get(keys.template(owner, template_id)) if keys.is_id(template_id) else None
        return _to_template(owner, item) if item else None

    def list(self, owner: str) -> tuple[Template, ...]:
        """All templates of an owner, by name."""
        found = [_to_template(owner, item) for item in everything(self._large, keys.user(owner), keys.TEMPLATE)]
        return tuple(sorted(found, key=lambda template: (template.name.casefold(), template.id)))

    def versions(self, owner: str, template_id: str) -> tuple[TemplateVersion, ...]:
        """All versions of a template, the newest first."""
        newest = self.get(owner, template_id)
        return self.versions_of(newest) if newest else ()

    def versions_of(self, newest: Template) -> tuple[TemplateVersion, ...]:
        """All versions of a template that was just read, the newest first."""
        if newest.updated_at is None:
            return ()
        found = {
            (number := int(item.key.sort.rpartition("#")[2])): _to_version(newest.owner, item, number)
            for item in everything(self._large, keys.user(newest.owner), keys.template_versions(newest.id))
        }
        found[newest.version] = TemplateVersion(newest.version, newest.name, newest.sheet, newest.updated_at)
        return tuple(found[number] for number in sorted(found, reverse=True))

    def rename(self, owner: str, template_id: str, name: str, version: int | None = None) -> Template:
        """Give a template another name. Raises `InputRefused` where it is gone, else as `save`.

        `version` is the one that the user saw: `VersionConflict` where it is another one by now.
        """
        return self._change(owner, template_id, version, name=" ".join(name.split()))

    def set_copilot(self, owner: str, template_id: str, copilot: bool, version: int | None = None) -> Template:
        """Put a template among its owner's assistants, or take it away. Raises as `rename`."""
        return self._change(owner, template_id, version, copilot=copilot)

    def duplicate(self, owner: str, template_id: str, name: str) -> Template:
        """A new template with the same sheet. Raises as `rename`."""
        return self.save(Template("", owner, name, self._known(owner, template_id).sheet))

    def delete(self, owner: str, template_id: str) -> None:
        """Delete a template with all its versions; deleting what is not there is no error."""
        self._large.delete(keys.template(owner, template_id))
        for item in everything(self._large, keys.user(owner), keys.template_versions(template_id)):
            self._large.delete(item.key)

    def draft(self, owner: str) -> Draft | None:
        """What stood on the owner's bench last, or None."""
        item = self._large.get(keys.lab_draft(owner))
        if item is None:
            return None
        window = str(item.data.get("window", ""))
        return Draft(_sheet(item.data["sheet"]), str(item.data["template_id"]), window, item.version)

    def keep_draft(self, owner: str, draft: Draft) -> Draft:
        """Keep what stands on the owner's bench, over the draft's version. Raises `VersionConflict` where another window has
        put something else there since."""
        data: dict[str, Json] = {"sheet": _text(draft.sheet), "template_id": draft.template_id, "window": draft.window}
        version = draft.version
        while True:
            try:
                item = self._large.put(Item(keys.lab_draft(owner), data), version)
            except VersionConflict:
                # An answer of ours got lost, or two saves of one window cross: the last one counts.
                stored = self.draft(owner)
                if stored is None or (stored != draft and stored.window != draft.window):
                    raise
                version = stored.version
            else:
                return dataclasses.replace(draft, version=item.version)

    def _change(self, owner: str, template_id: str, version: int | None, **changes: object) -> Template:
        template = self._known(owner, template_id)
        if version not in (None, template.version):
            raise VersionConflict
        changed = dataclasses.replace(template, **changes)  # type: ignore[arg-type]
        if changed != template:
            return self.save(changed)
        # It is so already, for which another version would say nothing; but maybe an earlier try ended half-way.
        self._keep_version(template)
        return template

    def _keep_version(self, template: Template) -> None:
        key = keys.template_version(template.owner, template.id, template.version)
        self._large.put(Item(key, _from_template(template)))

    def _saved_after_all(self, template: Template) -> int:
        """The version of what is stored where that is just what is to be: the answer to an earlier try got lost."""
        stored = self.get(template.owner, template.id)
        if stored is None or stored.version != template.version + 1:
            raise VersionConflict
        if (stored.name, stored.sheet, stored.copilot) != (template.name, template.sheet, template.copilot):
            raise VersionConflict
        return stored.version

    def _known(self, owner: str, template_id: str) -> Template:
        template = self.get(owner, template_id)
        if template is None:
            raise InputRefused("no_such_template")
        return template


def _text(sheet: Sheet) -> str:
    """The sheet as JSON text: only a text may be longer than an item of the store."""
    return json.dumps(sheets.to_json(sheet), ensure_ascii=False)


def _sheet(text: Json) -> Sheet:
    return sheets.from_json(json.loads(str(text)))


def _from_template(template: Template) -> dict[str, Json]:
    return {
        "name": template.name,
        "sheet": _text(template.sheet),
        "copilot": template.copilot,
        "updated_at": from_time(template.updated_at) if template.updated_at else None,
    }


def _to_template(owner: str, item: Item) -> Template:
    data = item.data
    return Template(
        id=item.key.sort.removeprefix(keys.TEMPLATE),
        owner=owner,
        name=str(data["name"]),
        sheet=_sheet(data["sheet"]),
        copilot=bool(data["copilot"]),
        updated_at=to_time(data["updated_at"]) if data["updated_at"] else None,
        version=item.version,
    )


def _to_version(owner: str, item: Item, number: int) -> TemplateVersion:
    then = _to_template(owner, item)
    return TemplateVersion(number, then.name, then.sheet, then.updated_at or now())
