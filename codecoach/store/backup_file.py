"""The file of a backup: JSON lines, gzip where its name ends in .gz; in ASCII, since JSON escapes everything else.

    {"codecoach_backup": 1, "layout": 2, "made_at": "2026-11-29T01:30:00.000000+00:00", "store": "SQLite 3.40.1"}
    {"p": "<partition>", "s": "<sort>", "v": 3, "d": {<data>}}
    {"p": "<partition>", "s": "<sort>", "v": 1, "d": {<data>}, "e": 1800000000}
    ...
    {"items": 2, "sha256": "<of all lines before this one, line ends included, in hex>"}

The number of items comes last, where it is known. A file without its last line was cut; where the digest differs it was
changed. That keeps off accidents, not somebody who makes a new digest: who can write this file can write every password.
"""

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from codecoach.errors import InputRefused
from codecoach.store.items import encode_checked
from codecoach.store.keys import travels
from codecoach.store.port import Item, Key

FORMAT: Final = 1
# No item is longer: 400 KB, each byte of it written as \u0000 at the most.
_LONGEST_LINE: Final = 4_000_000


@dataclass(frozen=True)
class Head:
    """What a backup says of itself."""

    layout: int
    made_at: str
    store: str


@dataclass(frozen=True)
class Backup:
    """A backup that was read to its end and is whole.

    sha256  of its content; two files with the same one are the same backup
    """

    head: Head
    items: int
    sha256: str


def write(path: Path, head: Head, items: Iterable[Item]) -> Backup:
    """Write a backup, for its owner's eyes alone; under its name there is the whole file or whatever was there before.

    Raises `InputRefused` where the file cannot be written.
    """
    try:
        with _replacing(path) as file:
            return _write(file, head, items)
    except OSError as error:
        raise InputRefused("backup_unwritable", path=path, detail=error.strerror or str(error)) from error


def _write(file: IO[bytes], head: Head, items: Iterable[Item]) -> Backup:
    digest, count = hashlib.sha256(), 0
    first = {"codecoach_backup": FORMAT, "layout": head.layout, "made_at": head.made_at, "store": head.store}
    file.write(_line(first, digest))
    for count, item in enumerate(items, 1):  # noqa: B007 - the last one is the number of them
        file.write(_line(_from_item(item), digest))
    sha256 = digest.hexdigest()
    file.write(_line({"items": count, "sha256": sha256}))
    return Backup(head, count, sha256)


def check(path: Path) -> Backup:
    """Read a backup to its end, keeping nothing. Raises `InputRefused` where it is none, newer than this code, cut or changed."""
    with _opened(path) as lines:
        first = next(lines, b"")
        head, digest = _head(path, first), hashlib.sha256(first)
        for number, line in enumerate(lines, 2):
            data = _json(path, line, number)
            if "sha256" in data:
                backup = Backup(head, number - 2, digest.hexdigest())
                if data != {"items": backup.items, "sha256": backup.sha256} or next(lines, None) is not None:
                    raise InputRefused("backup_changed", path=path, line=number)
                return backup
            encode_checked(_to_item(path, data, number))
            digest.update(line)
    raise InputRefused("backup_cut", path=path)


def items(path: Path, backup: Backup) -> Iterator[Item]:
    """The items of a backup that `check` has found whole. Raises `InputRefused` where the file is another one now."""
    digest = hashlib.sha256()
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if number == backup.items + 2:
                break
            digest.update(line)
            if number > 1:
                yield _to_item(path, _json(path, line, number), number)
    if digest.hexdigest() != backup.sha256:
        raise InputRefused("backup_changed", path=path, line=backup.items + 2)


def _head(path: Path, line: bytes) -> Head:
    try:
        data = json.loads(line)
        number = data["codecoach_backup"]
        if number != FORMAT:
            raise InputRefused("backup_newer", path=path)
        return Head(_positive(data["layout"]), str(data["made_at"]), str(data["store"]))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise InputRefused("backup_none", path=path) from error


def _positive(number: object) -> int:
    if type(number) is not int or number < 1:
        raise ValueError(number)
    return number


def _from_item(item: Item) -> dict[str, Any]:
    data = {"p": item.key.partition, "s": item.key.sort, "v": item.version, "d": item.data}
    return data if item.expires_at is None else {**data, "e": item.expires_at}


def _to_item(path: Path, data: dict[str, Any], number: int) -> Item:
    try:
        item = Item(Key(data["p"], data["s"]), data["d"], data["v"], data.get("e"))
        _positive(item.version)
        named = isinstance(item.key.partition, str) and isinstance(item.key.sort, str)
        if named and isinstance(item.data, dict) and type(item.expires_at) in (int, type(None)) and travels(item.key):
            return item
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise InputRefused("backup_changed", path=path, line=number) from error
    raise InputRefused("backup_changed", path=path, line=number)


def _line(data: dict[str, Any], digest: "hashlib._Hash | None" = None) -> bytes:
    line = json.dumps(data, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if digest:
        digest.update(line)
    return line


def _json(path: Path, line: bytes, number: int) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise InputRefused("backup_cut", path=path)
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputRefused("backup_changed", path=path, line=number) from error
    if not isinstance(data, dict):
        raise InputRefused("backup_changed", path=path, line=number)
    return data


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[bytes]]:
    """The lines of a file; one that is too long to be of ours comes in pieces, which is refused for the first of them."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as file:
            yield iter(lambda: cast(IO[bytes], file).readline(_LONGEST_LINE), b"")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputRefused("backup_cut", path=path) from error
    except OSError as error:
        raise InputRefused("backup_unreadable", path=path, detail=error.strerror or str(error)) from error


def _is_gzip(path: Path) -> bool:
    """By what is in it: a name may have been changed."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the name once it is whole and on the disk; where that fails nothing is left of it."""
    folder = path.absolute().parent
    # `mkstemp` makes it readable for its owner alone: it holds what people wrote, and the hashes of their passwords.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            if path.name.endswith(".gz"):
                with gzip.GzipFile(
                    "", "wb", fileobj=raw, mtime=0
                ) as packed:  # without time or name: same content, same file
                    yield cast(IO[bytes], packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(name, path)
        _sync_folder(folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _sync_folder(folder: Path) -> None:
    """Have the new name survive a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
