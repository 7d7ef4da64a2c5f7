"""Sets of test cases, each user's own."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache

from pydantic import TypeAdapter

from codecoach.errors import InputRefused, VersionConflict
from codecoach.lab.cases import Cases
from codecoach.store import keys
from codecoach.store.large import LargeItems
from codecoach.store.paging import everything
from codecoach.store.port import Item, Table
from codecoach.store.records import from_time, now, to_time
from codecoach.store.templates import NAME_CHARS


@dataclass(frozen=True)
class CaseSet:
    """A set of test cases; `id` is empty and `version` 0 until first saved."""

    id: str
    owner: str
    name: str
    cases: Cases = field(default_factory=Cases)
    updated_at: datetime | None = None
    version: int = field(default=0, compare=False)


class CaseSets:
    """The sets of all users."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._large = LargeItems(table)
        self._clock = clock

    def save(self, case_set: CaseSet) -> CaseSet:
        """Store a set and return it as stored.

        Raises `InputRefused` for no name or one that is too long, `VersionConflict` where it was saved or deleted elsewhere
        since it was read.
        """
        name = " ".join(case_set.name.split())
        if not name or len(name) > NAME_CHARS:
            raise InputRefused("template_name", longest=NAME_CHARS)
        saved = replace(case_set, id=case_set.id or keys.new_id(), name=name, updated_at=self._clock())
        data = {
            "name": name,
            "cases": _adapter().dump_json(saved.cases).decode(),
            "updated_at": from_time(self._clock()),
        }
        try:
            item = self._large.put(Item(keys.cases(saved.owner, saved.id), {**data}), case_set.version)
        except VersionConflict:
            return self._saved_after_all(case_set, saved)
        return replace(saved, version=item.version)

    def _saved_after_all(self, before: CaseSet, wanted: CaseSet) -> CaseSet:
        """What is stored where that is just what is to be: the answer to an earlier try got lost."""
        stored = self.get(wanted.owner, wanted.id)
        if (
            stored
            and stored.version == before.version + 1
            and (stored.name, stored.cases) == (wanted.name, wanted.cases)
        ):
            return stored
        raise VersionConflict

    def get(self, owner: str, set_id: str) -> CaseSet | None:
        """The set, if it is this owner's."""
        item = self._large.get(keys.cases(owner, set_id)) if keys.is_id(set_id) else None
        return _case_set(owner, item) if item else None

    def list(self, owner: str) -> tuple[CaseSet, ...]:
        """All sets of an owner, the last changed first."""
        found = (_case_set(owner, item) for item in everything(self._large, keys.user(owner), keys.CASES))
        return tuple(sorted(found, key=lambda case_set: str(case_set.updated_at), reverse=True))

    def delete(self, owner: str, set_id: str) -> None:
        """Delete a set; deleting what is not there is no error. Evaluations made with it stay."""
        self._large.delete(keys.cases(owner, set_id))


def _case_set(owner: str, item: Item) -> CaseSet:
    return CaseSet(
        item.key.sort.removeprefix(keys.CASES),
        owner,
        str(item.data["name"]),
        _adapter().validate_json(str(item.data["cases"])),
        to_time(item.data["updated_at"]),
        item.version,
    )


@cache
def _adapter() -> TypeAdapter[Cases]:
    return TypeAdapter(Cases)
