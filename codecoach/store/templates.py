"""Prompt templates, each user's own."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from codecoach.errors import InputRefused
from codecoach.store import keys
from codecoach.store.large import LargeItems
from codecoach.store.port import Item, Json, Table
from codecoach.store.records import from_time, now, to_time


@dataclass(frozen=True)
class Template:
    """A prompt with `{variables}`.

    id       empty until first saved
    format   the payload format that it is written for
    version  0 until first saved
    """

    id: str
    owner: str
    name: str
    body: str
    format: str = ""
    model_id: str = ""
    system: str = ""
    updated_at: datetime | None = None
    version: int = field(default=0, compare=False)


class Templates:
    """The templates of all users."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._large = LargeItems(table)
        self._clock = clock

    def save(self, template: Template) -> Template:
        """Store a template and return it as stored, with its id, time and version.

        Raises `VersionConflict` where it was saved or deleted elsewhere since it was read.
        """
        template = dataclasses.replace(template, id=template.id or keys.new_id(), updated_at=self._clock())
        item = Item(keys.template(template.owner, template.id), _from_template(template))
        return dataclasses.replace(template, version=self._large.put(item, template.version).version)

    def get(self, owner: str, template_id: str) -> Template | None:
        """The template, if it is this owner's."""
        item = self._large.get(keys.template(owner, template_id)) if keys.is_id(template_id) else None
        return _to_template(owner, item) if item else None

    def list(self, owner: str) -> tuple[Template, ...]:
        """All templates of an owner, by name."""
        found: list[Template] = []
        after: str | None = None
        while True:
            page = self._large.query(keys.user(owner), keys.TEMPLATE, after=after)
            found += [_to_template(owner, item) for item in page.items]
            after = page.next
            if after is None:
                return tuple(sorted(found, key=lambda template: (template.name.casefold(), template.id)))

    def rename(self, owner: str, template_id: str, name: str) -> Template:
        """Give a template another name. Raises `InputRefused` where it is gone, `VersionConflict` as `save`."""
        template = self.get(owner, template_id)
        if template is None:
            raise InputRefused("no_such_template")
        return self.save(dataclasses.replace(template, name=name))

    def delete(self, owner: str, template_id: str) -> None:
        """Delete a template; deleting what is not there is no error."""
        self._large.delete(keys.template(owner, template_id))


def _from_template(template: Template) -> dict[str, Json]:
    return {
        "name": template.name,
        "body": template.body,
        "format": template.format,
        "model_id": template.model_id,
        "system": template.system,
        "updated_at": from_time(template.updated_at) if template.updated_at else None,
    }


def _to_template(owner: str, item: Item) -> Template:
    data = item.data
    return Template(
        id=item.key.sort.removeprefix(keys.TEMPLATE),
        owner=owner,
        name=str(data["name"]),
        body=str(data["body"]),
        format=str(data["format"]),
        model_id=str(data["model_id"]),
        system=str(data["system"]),
        updated_at=to_time(data["updated_at"]) if data["updated_at"] else None,
        version=item.version,
    )
