"""The index of packages that Piston reads, and folders of packages.

    index     one package a line: language,version,sha256,url
    folder    <language>-<version>.pkg.tar.gz, and `index`

Piston splits each line at its first commas and takes the version for one of semantic versioning; a line that breaks
this makes it crash on the next question for its packages. So nothing else is ever written here.
Source: engineer-man/piston, api/src/package.js.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from codecoach.runner import prebuilt
from piston.errors import IndexBroken

INDEX = "index"
SUFFIX = prebuilt.SUFFIX
_LANGUAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+#._-]*")
# Source: semver.org, without leading zeros' finer points.
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(r"https?://[^\s,]+")
_FILE = re.compile(rf"(?P<language>.+?)-(?P<version>\d+\.\d+\.\d+.*){re.escape(SUFFIX)}")
_SHOWN_CHARS = 120


@dataclass(frozen=True, order=True)
class Entry:
    """One package of an index."""

    language: str
    version: str
    sha256: str
    url: str

    @property
    def package(self) -> str:
        return f"{self.language}={self.version}"

    @property
    def file_name(self) -> str:
        return file_name(self.language, self.version)


@dataclass(frozen=True)
class PackageFile:
    """A package in a folder."""

    language: str
    version: str
    path: Path
    sha256: str
    size_bytes: int

    def entry(self, base_url: str) -> Entry:
        return Entry(self.language, self.version, self.sha256, address(base_url, self.path.name))


def file_name(language: str, version: str) -> str:
    return f"{language}-{version}{SUFFIX}"


def address(base_url: str, name: str) -> str:
    """Where a file below `base_url` is found."""
    return f"{base_url.rstrip('/')}/{quote(name, safe='')}"


def fit(language: str, version: str) -> bool:
    """Whether Piston takes these for a language and a version, and a file may be named by them."""
    return bool(_LANGUAGE.fullmatch(language) and _VERSION.fullmatch(version))


def parse(content: str, where: str) -> tuple[Entry, ...]:
    """The entries of an index; raises `IndexBroken` at the first line that is none."""
    entries = []
    for number, line in enumerate(content.split("\n"), 1):
        if line:
            entries.append(_entry(line, number, where))
    return tuple(entries)


def _entry(line: str, number: int, where: str) -> Entry:
    fields = line.split(",")
    if len(fields) != 4 or not _sound(entry := Entry(*fields)):
        raise IndexBroken(where=where, line=number, content=line[:_SHOWN_CHARS])
    return entry


def _sound(entry: Entry) -> bool:
    return bool(fit(entry.language, entry.version) and _SHA256.fullmatch(entry.sha256) and _URL.fullmatch(entry.url))


def text(entries: Iterable[Entry]) -> str:
    """An index of these, sorted; raises `IndexBroken` for what Piston would stumble over, a package named twice too."""
    lines: dict[str, str] = {}
    for number, entry in enumerate(sorted(entries), 1):
        line = f"{entry.language},{entry.version},{entry.sha256},{entry.url}"
        if entry.package in lines or not _sound(entry):
            raise IndexBroken(where=INDEX, line=number, content=line[:_SHOWN_CHARS])
        lines[entry.package] = line
    return "".join(f"{line}\n" for line in lines.values())


def scan(folder: Path, checksums: Mapping[Path, str] | None = None) -> tuple[PackageFile, ...]:
    """The packages in a folder.

    checksums  of files that have just been checked, so that they are not read again
    """
    known = checksums or {}
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        name = _FILE.fullmatch(path.name)
        if not name or path.name.startswith(".") or not fit(name["language"], name["version"]):
            continue
        checksum = known.get(path) or sha256(path)
        found.append(PackageFile(name["language"], name["version"], path, checksum, path.stat().st_size))
    return tuple(found)


def read(folder: Path) -> tuple[Entry, ...]:
    """What the folder's index names; nothing where there is none."""
    path = folder / INDEX
    return parse(path.read_text("utf-8"), str(path)) if path.exists() else ()


def updated(folder: Path, base_url: str, checksums: Mapping[Path, str] | None = None) -> tuple[Entry, ...]:
    """What the folder's index should name.

    That is every package in it, and those of other addresses that its index named before: packages need not all be kept
    at one place.
    """
    own = {entry.package: entry for entry in (file.entry(base_url) for file in scan(folder, checksums))}
    below = f"{base_url.rstrip('/')}/"
    others = {entry.package: entry for entry in read(folder) if not entry.url.startswith(below)}
    return tuple(sorted((others | own).values()))


def write(folder: Path, entries: Iterable[Entry]) -> Path:
    """Write the folder's index at once: a reader finds the one before or this one, whole."""
    content = text(entries)
    path, unfinished = folder / INDEX, folder / f".{INDEX}.part"
    with unfinished.open("w", encoding="utf-8", newline="\n") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
