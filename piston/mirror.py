"""Keeping all packages of an index in a folder of one's own.

Packages come in parallel, each under another name until it is whole and checked. The folder's index is written last, and
names only what is there: so it holds at every moment, also after a Ctrl-C or a lost connection.
"""

import fcntl
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Protocol

from codecoach.errors import CodeCoachError
from piston import index
from piston.errors import PackageUnknown, ToolkitError
from piston.index import Entry
from piston.transfer import Patience, fetch_file, fetch_text, shown

UPSTREAM = "https://github.com/engineer-man/piston/releases/download/pkgs/index"
"""Where Piston looks unless PISTON_REPO_URL says otherwise."""


class Watch(Protocol):
    """Is told how it goes, from several threads."""

    def begins(self, entry: Entry) -> None: ...
    def arrived(self, entry: Entry, done_bytes: int, total_bytes: int | None) -> None: ...
    def ended(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class Mirrored:
    """What a mirroring came to; `failed` holds why, the rest is in the folder."""

    fetched: tuple[Entry, ...]
    kept: tuple[Entry, ...]
    failed: tuple[tuple[Entry, CodeCoachError], ...]
    fetched_bytes: int = 0


def wanted(address: str, names: Sequence[str], patience: Patience) -> tuple[Entry, ...]:
    """The packages of an index: all, or those of NAME or NAME=VERSION; raises `PackageUnknown` for one it has not."""
    entries = index.parse(fetch_text(address, patience), shown(address))
    for name in names:
        if not any(name in (entry.language, entry.package) for entry in entries):
            raise PackageUnknown("package_not_in_index", package=name, known=", ".join(e.package for e in entries))
    return tuple(entry for entry in entries if not names or {entry.language, entry.package} & set(names))


def missing(entries: Iterable[Entry], folder: Path) -> tuple[Entry, ...]:
    """Those that the folder does not have, or has with another content."""
    return tuple(entry for entry in entries if not _there(entry, folder))


def mirror(
    entries: Iterable[Entry], folder: Path, base_url: str, watch: Watch, patience: Patience, parallel: int = 4
) -> Mirrored:
    """Bring these packages into a folder, then write its index."""
    folder.mkdir(parents=True, exist_ok=True)
    stop = Event()
    if patience.sleep is time.sleep:
        patience = replace(patience, sleep=stop.wait)  # Ctrl-C does not wait for waits
    with _alone(folder):
        pool = ThreadPoolExecutor(parallel)
        try:
            mirrored = _gathered(
                {pool.submit(_bring, entry, folder, watch, patience, stop): entry for entry in entries}
            )
        finally:
            # After a Ctrl-C nobody waits for a connection that is silent.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        checked = {folder / entry.file_name: entry.sha256 for entry in (*mirrored.fetched, *mirrored.kept)}
        index.write(folder, index.updated(folder, base_url, checked))
    return mirrored


def _gathered(jobs: "dict[Future[int], Entry]") -> Mirrored:
    fetched: list[Entry] = []
    kept: list[Entry] = []
    failed: list[tuple[Entry, CodeCoachError]] = []
    came = 0
    for job in as_completed(jobs):
        entry = jobs[job]
        try:
            size_bytes = job.result()
        except CodeCoachError as error:
            failed.append((entry, error))
            continue
        except OSError as error:
            failed.append((entry, ToolkitError("files_failed", detail=str(error))))
            continue
        came += size_bytes
        (fetched if size_bytes else kept).append(entry)
    return Mirrored(tuple(sorted(fetched)), tuple(sorted(kept)), tuple(sorted(failed, key=lambda one: one[0])), came)


def _bring(entry: Entry, folder: Path, watch: Watch, patience: Patience, stop: Event) -> int:
    """Bytes of the package that came; 0 where it was there."""

    def arrived(done_bytes: int, total_bytes: int | None) -> None:
        if stop.is_set():
            raise InterruptedError("stopped")
        watch.arrived(entry, done_bytes, total_bytes)

    watch.begins(entry)
    try:
        if _there(entry, folder):
            return 0
        fetch_file(entry.url, folder / entry.file_name, entry.sha256, patience, arrived)
        return (folder / entry.file_name).stat().st_size
    finally:
        watch.ended(entry)


def _there(entry: Entry, folder: Path) -> bool:
    path = folder / entry.file_name
    return path.is_file() and index.sha256(path) == entry.sha256


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: a second mirroring into it waits, and finds what the first one brought."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
