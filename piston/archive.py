"""Packing a built package as Piston unpacks it, the same bytes for the same content.

A `.pkg.tar.gz` holds the package's folder itself. Sorted names, one time, one owner and plain permissions make it
reproducible; on another machine only another zlib would pack it differently.
"""

import gzip
import mmap
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codecoach.runner import prebuilt
from piston.errors import PackageUnfit

INFO = prebuilt.INFO
TIME_S = 315532800
"""Time of every file, 1980-01-01: build.sh gets it as SOURCE_DATE_EPOCH, by which Python compiles files so that they hold
whatever time their sources get."""

_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)")
_LEVEL = 6


@dataclass(frozen=True)
class Findings:
    """What about a build may not hold on Piston's machine.

    glibc    newest version of the C library that its programs ask for, such as "2.28"; "" for none
    outside  paths out of the package that its links lead to
    stuck    files that name the folder it was built in, where nobody will find it
    """

    glibc: str
    outside: tuple[str, ...]
    stuck: tuple[str, ...]


def pack(place: Path, to: Path, mount: str) -> None:
    """Write the archive of a built package that has been opened up.

    mount  where Piston puts it: links into `place` are led there

    Raises `PackageUnfit` for what an archive cannot carry to another machine: devices, pipes, sockets.
    """
    with (
        to.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=_LEVEL) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in _sorted(place):
            member = _plain(archive.gettarinfo(path, str(path.relative_to(place))), place, mount)
            if member.isreg():
                with path.open("rb") as content:
                    archive.addfile(member, content)
            else:
                archive.addfile(member)
    with to.open("rb") as written:
        os.fsync(written.fileno())


def open_up(place: Path) -> None:
    """Give everything the permissions it will have: jobs run as other users, who must be able to read, and nobody writes."""
    for path in _sorted(place):
        if not path.is_symlink():
            path.chmod(_mode(path.stat().st_mode))


def _mode(mode: int) -> int:
    return 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644


def inspect(place: Path) -> Findings:
    """Look through a built package for what may not hold elsewhere."""
    glibc: tuple[int, ...] = (0, 0)
    outside: set[str] = set()
    stuck: list[str] = []
    for path in _sorted(place):
        if path.is_symlink():
            target = os.readlink(path)
            if target.startswith("/") and not target.startswith(f"{place}/"):
                outside.add(target)
        elif path.is_file() and path.stat().st_size:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content[:4] == b"\x7fELF":
                    glibc = max(glibc, *_glibc_versions(content), (0, 0))
                # Compiled Python names its source for tracebacks only.
                if path.suffix != ".pyc" and content.find(os.fsencode(place)) >= 0:
                    stuck.append(str(path.relative_to(place)))
    return Findings(".".join(map(str, glibc)) if any(glibc) else "", tuple(sorted(outside)), tuple(stuck))


def _glibc_versions(program: mmap.mmap) -> Iterator[tuple[int, ...]]:
    for match in _GLIBC.finditer(program):
        yield tuple(int(number) for number in match.groups())


def _sorted(place: Path) -> Iterator[Path]:
    """Everything below `place`, folders before what is in them; what describes the package first of all."""
    names = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
    for name in sorted(names, key=lambda name: name != INFO):
        yield place / name


def _plain(member: tarfile.TarInfo | None, place: Path, mount: str) -> tarfile.TarInfo:
    if member is None or not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise PackageUnfit(package=mount, detail="neither a file nor a folder nor a link is in it")
    if member.issym() and member.linkname.startswith(f"{place}/"):
        member.linkname = mount + member.linkname.removeprefix(str(place))
    member.mtime = TIME_S
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
