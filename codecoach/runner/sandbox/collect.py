"""What a stage left in its working folder, read without trusting any of it: result files, and what compiling made.

Called when every process of the sandbox is dead, on a descriptor of the folder. Only regular files with one link are read,
no symbolic link is followed, and count, bytes, depth and names are bounded.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from codecoach.runner.port import File

DEPTH = 8
PRODUCTS = 256
"""Files that compiling may leave."""

_LITTER = frozenset(
    {".cache", ".config", ".local", ".aws", ".npm", "__pycache__"}
)  # written by tools, not meant as results
_ENTRIES_READ = 10_000


@dataclass
class Found:
    """Files, and how many more there were than the bounds allow or the rules admit."""

    files: list[File] = field(default_factory=list)
    left_out: int = 0


Stamp = tuple[int, int, int]
"""Of a file: which one it is, its size, and when it was written."""


def collect(
    folder_fd: int,
    known: Mapping[str, bytes],
    max_files: int,
    max_bytes: int,
    stamps: Mapping[str, Stamp] = MappingProxyType({}),
) -> Found:
    """Files that are new or differ from `known`, and from what had these `stamps`, sorted by name."""
    found = Found()
    room = max_bytes
    for seen, (name, fd) in enumerate(_regular_files(folder_fd, "", 0, found)):
        try:
            if seen >= _ENTRIES_READ:
                found.left_out += 1
                break
            # Before the bounds: what went into the run may be larger than what may come out of it.
            if stamps.get(name) == _stamp(fd) or _same(fd, known.get(name)):
                continue
            if len(found.files) >= max_files:
                found.left_out += 1
                break
            content = _content(fd, room)
        finally:
            os.close(fd)
        if content is None:
            found.left_out += 1
        else:
            found.files.append(File(name, content))
            room -= len(content)
    found.files.sort(key=lambda file: file.name)
    return found


class Products:
    """Files that compiling left, open; what is closed is given back to the kernel."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}
        self.size_bytes = 0
        self.too_many = False

    def take(self, folder_fd: int, known: Mapping[str, bytes]) -> None:
        """Open what is new in a folder or differs from `known`."""
        for name, fd in _regular_files(folder_fd, "", 0, Found()):
            if self.too_many or _same(fd, known.get(name)):
                os.close(fd)
            else:
                self.fds[name] = fd
                self.size_bytes += os.fstat(fd).st_size
                self.too_many = len(self.fds) > PRODUCTS

    def stamps(self, folder_fd: int) -> dict[str, Stamp]:
        """Of their copies in a folder that no program has touched yet."""
        stamps = {}
        for name in self.fds:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
            stamps[name] = _stamp(fd)
            os.close(fd)
        return stamps

    def close(self) -> None:
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()


def is_executable(fd: int) -> bool:
    return bool(os.fstat(fd).st_mode & stat.S_IXUSR)


def _stamp(fd: int) -> Stamp:
    status = os.fstat(fd)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _same(fd: int, known: bytes | None) -> bool:
    """Whether an open file holds exactly this; leaves it at its beginning."""
    same = known is not None and _content(fd, len(known)) == known
    os.lseek(fd, 0, os.SEEK_SET)
    return same


def _content(fd: int, room: int) -> bytes | None:
    """The whole file, or None where it is larger than `room` or cannot be read."""
    if os.fstat(fd).st_size > room:
        return None
    parts = []
    os.lseek(fd, 0, os.SEEK_SET)
    while part := os.read(fd, 1024 * 1024):
        parts.append(part)
    return b"".join(parts)


def _regular_files(folder_fd: int, prefix: str, depth: int, found: Found) -> Iterator[tuple[str, int]]:
    """(name, open descriptor) of each admissible file; folders are entered through descriptors, never by path."""
    try:
        with os.scandir(folder_fd) as entries:
            names = sorted(entry.name for _, entry in zip(range(_ENTRIES_READ), entries, strict=False))
    except OSError:
        found.left_out += 1
        return
    for name in names:
        if name in _LITTER:
            continue
        fd = _opened(name, folder_fd)
        if fd is None:
            found.left_out += 1
        elif stat.S_ISREG(os.fstat(fd).st_mode):
            yield prefix + name, fd
        else:
            try:
                if depth < DEPTH:
                    yield from _regular_files(fd, f"{prefix}{name}/", depth + 1, found)
                else:
                    found.left_out += 1
            finally:
                os.close(fd)


def _opened(name: str, folder_fd: int) -> int | None:
    """A descriptor of the entry if it is a folder, or a regular file with one link, under a printable name."""
    if not name.isprintable() or "\\" in name:
        return None
    fd = None
    try:
        # O_PATH first: opening a device or a pipe for reading already does something.
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    finally:
        if fd is not None:
            os.close(fd)
    return None
