"""Items of any size: texts too long for one item are kept in parts beside it.

An item's data is an object; while it takes more than `HEAD_BYTES`, its longest top-level strings move out, largest first:

    message#7                      {"role": "assistant", "_parts": {"text": [["9f3c...", "<digest>"], ["04aa...", "<digest>"]]}}
    part#message#7#9f3c...         {"text": "first 180 KB"}
    part#message#7#04aa...         {"text": "the rest"}

Saving, in this order, so that a crash anywhere leaves the old text or the new one, whole:

    1  write the parts that the stored item does not have already, under names never used before
    2  put the item over the version that was read; from here on readers see the new text
    3  delete the parts that only the old item named

A crash before 2 leaves parts that nobody names, after 2 parts that nobody names any more; both go when the item is deleted.
A growing text writes its last part and the item only: parts already stored are known by their digests.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, cast

from codecoach.errors import StoreError, VersionConflict
from codecoach.store import keys
from codecoach.store.changing import again
from codecoach.store.items import encoded_bytes
from codecoach.store.port import Delete, Item, Json, Key, Page, Table
from codecoach.store.remembering import as_it_is

HEAD_BYTES = 64_000
PART_BYTES = 180_000
# JSON takes at most 6 bytes for a character, so a cell always fits into a part.
_CELL_CHARACTERS = PART_BYTES // 6
_PARTS = "_parts"
# A transaction holds at most 4 MB, and it may be that deleted items count.
_DELETED_AT_ONCE = 20
_READS = 4

_Names: TypeAlias = dict[str, list[tuple[str, str]]]  # field -> (name, digest) of its parts, in order


class LargeItems:
    """A table's items with data of any size."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: Key) -> Item | None:
        """The item, whole."""
        item = self._table.get(key)
        return next(iter(self._filled([item])), None) if item else None

    def query(
        self,
        partition: str,
        sort_prefix: str,
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        """As `Table.query`, items whole."""
        page = self._table.query(partition, sort_prefix, limit=limit, after=after, newest_first=newest_first)
        return Page(tuple(self._filled(page.items)), page.next)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        """As `Table.put`, whatever the size of the item's strings."""

        def attempt() -> Item:
            stored = self._table.get(item.key)
            if expected_version is not None and expected_version != (stored.version if stored else 0):
                raise VersionConflict
            return self.put_over(stored, item)

        return attempt() if expected_version is not None else again(attempt)

    def put_over(self, stored: Item | None, item: Item) -> Item:
        """Put an item over what `Table.get` just gave for its key; raises `VersionConflict` where that has changed since."""
        old = _names(stored)
        reusable = old if stored and stored.expires_at == item.expires_at else {}
        data, names, parts = _taken_apart(item, reusable)
        for key, text in parts:
            self._table.put(Item(key, {"text": text}, expires_at=item.expires_at))
        head = Item(item.key, data, expires_at=item.expires_at)
        try:
            saved = self._table.put(head, expected_version=stored.version if stored else 0)
        except VersionConflict:
            saved = self._saved_after_all(head, parts)
        self._delete_all([_part_key(item.key, name) for name in _all(old) - _all(names)])
        return Item(item.key, item.data, saved.version, item.expires_at)

    def _saved_after_all(self, head: Item, parts: list[tuple[Key, str]]) -> Item:
        """What to make of a conflict: where an answer got lost, the repeated request conflicts with its own first try.

        Then what is stored is what we wanted, and all is well; else our new parts go, but for those that it names.
        """
        stored = self._table.get(head.key)
        if stored and stored.data == head.data:
            return stored
        named = {_part_key(head.key, name) for name in _all(_names(stored))}
        self._delete_all([key for key, _ in parts if key not in named])
        raise VersionConflict

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        """Delete an item and its parts, those that a crash left behind included."""
        self._table.delete(key, expected_version)
        self.delete_range(key.partition, keys.parts_prefix(key))

    def delete_range(self, partition: str, prefix: str, first: str = "") -> None:
        """Delete the items whose sort key starts with `prefix` and is not less than `first`, the last ones first."""
        while True:
            items = self._table.query(partition, prefix, limit=_DELETED_AT_ONCE, newest_first=True).items
            doomed = [item.key for item in items if item.key.sort >= first]
            self._delete_all(doomed)
            if len(doomed) < _DELETED_AT_ONCE:
                return

    def _filled(self, items: Sequence[Item]) -> Iterator[Item]:
        """Items with their parts read, all in as few reads as possible."""
        wanted = [_part_key(item.key, name) for item in items for name in sorted(_all(_names(item)))]
        parts = self._table.batch_get(wanted) if wanted else {}
        for item in items:
            whole = _put_together(item, parts)
            if whole := whole or self._read_again(item.key):
                yield whole

    def _read_again(self, key: Key) -> Item | None:
        """An item whose parts were replaced, or which was deleted, between reading it and reading them."""
        table = as_it_is(self._table)
        for _ in range(_READS):
            item = table.get(key)
            if item is None:
                return None
            parts = table.batch_get([_part_key(key, name) for name in sorted(_all(_names(item)))])
            whole = _put_together(item, parts)
            if whole:
                return whole
        raise StoreError(detail=f"parts of {key.sort} are missing")

    def _delete_all(self, doomed: Sequence[Key]) -> None:
        for start in range(0, len(doomed), _DELETED_AT_ONCE):
            self._table.transact([Delete(key) for key in doomed[start : start + _DELETED_AT_ONCE]])


def split(text: str) -> list[str]:
    """A text in pieces that take at most `PART_BYTES` each as JSON; a longer text with the same start has the same first pieces."""
    pieces: list[str] = []
    piece: list[str] = []
    size = 0
    for start in range(0, len(text), _CELL_CHARACTERS):
        cell = text[start : start + _CELL_CHARACTERS]
        cell_size = encoded_bytes(cell)
        if piece and size + cell_size > PART_BYTES:
            pieces.append("".join(piece))
            piece, size = [], 0
        piece.append(cell)
        size += cell_size
    return [*pieces, "".join(piece)] if piece else pieces


def _taken_apart(item: Item, old: _Names) -> tuple[dict[str, Json], _Names, list[tuple[Key, str]]]:
    """(data of the head, names of its parts, new parts with their texts)."""
    data = dict(item.data)
    names: _Names = {}
    parts: list[tuple[Key, str]] = []
    for size, field in sorted(((encoded_bytes(data[field]), field) for field in data), reverse=True):
        text = data[field]
        if encoded_bytes(data) <= HEAD_BYTES or size < 1024:
            break
        if isinstance(text, str):
            names[field], new = _named(item.key, split(text), old.get(field, []))
            parts += new
            del data[field]
    if names:
        data[_PARTS] = {field: [[name, digest] for name, digest in named] for field, named in names.items()}
    return data, names, parts


def _named(
    key: Key, pieces: list[str], old: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[Key, str]]]:
    """Names for the pieces, those of stored parts where they are the same; and the parts that are new."""
    named: list[tuple[str, str]] = []
    new: list[tuple[Key, str]] = []
    stored = {digest: name for name, digest in reversed(old)}
    for piece in pieces:
        digest = keys.hashed(piece)
        if digest not in stored:
            part = keys.part(key)
            new.append((part, piece))
            stored[digest] = part.sort.removeprefix(keys.parts_prefix(key))
        named.append((stored[digest], digest))
    return named, new


def _names(item: Item | None) -> _Names:
    stored = item.data.get(_PARTS, {}) if item else {}
    return {field: [(name, digest) for name, digest in named] for field, named in cast(_Names, stored).items()}


def _all(names: _Names) -> set[str]:
    return {name for named in names.values() for name, _ in named}


def _part_key(key: Key, name: str) -> Key:
    return Key(key.partition, keys.parts_prefix(key) + name)


def _put_together(item: Item, parts: Mapping[Key, Item]) -> Item | None:
    """The whole item, or None where one of its parts is not among those read."""
    data = {field: value for field, value in item.data.items() if field != _PARTS}
    for field, named in _names(item).items():
        found = [parts.get(_part_key(item.key, name)) for name, _ in named]
        if None in found:
            return None
        data[field] = "".join(str(part.data["text"]) for part in found if part)
    return Item(item.key, data, item.version, item.expires_at)
