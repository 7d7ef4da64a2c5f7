"""Keeping all packages of an index in a folder of one's own.

Packages come in parallel, each under another name until it is whole and checked. The folder's index is written last, and
names only what is there: so it holds at every moment, also after a Ctrl-C or a lost connection.

A package that was built here stays, though the other index names one of the same version: `.mirrored` holds the name and
SHA-256 of every file that was brought, and only those are replaced when they change.
"""

import fcntl
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from pathlib import Path
from threading import Event, Lock
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
    """What a mirroring came to.

    kept    was there already
    own     not fetched, since the folder has another build of that version
    failed  not fetched, and why
    """

    fetched: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()
    own: tuple[Entry, ...] = ()
    failed: tuple[tuple[Entry, CodeCoachError], ...] = ()


def wanted(address: str, names: Sequence[str], patience: Patience) -> tuple[Entry, ...]:
    """The packages of an index: all, or those of NAME or NAME=VERSION; raises `PackageUnknown` for one it has not."""
    entries = index.parse(fetch_text(address, patience), shown(address))
    for name in names:
        if not any(name in (entry.language, entry.package) for entry in entries):
            raise PackageUnknown("package_not_in_index", package=name, known=", ".join(e.package for e in entries))
    return tuple(entry for entry in entries if not names or {entry.language, entry.package} & set(names))


def missing(entries: Iterable[Entry], folder: Path, replace_own: bool = False) -> tuple[Entry, ...]:
    """Those that would be fetched into the folder."""
    brought = _Brought(folder)
    return tuple(entry for entry in entries if brought.state(entry, replace_own) is State.MISSING)


def mirror(
    entries: Iterable[Entry],
    folder: Path,
    base_url: str,
    watch: Watch,
    patience: Patience,
    parallel: int = 4,
    replace_own: bool = False,
) -> Mirrored:
    """Bring these packages into a folder, then write its index."""
    folder.mkdir(parents=True, exist_ok=True)
    stop = Event()
    if patience.sleep is time.sleep:
        patience = replace(patience, sleep=stop.wait)  # Ctrl-C does not wait for waits
    with _alone(folder):
        bring = partial(_bring, _Brought(folder), replace_own, watch, patience, stop)
        pool = ThreadPoolExecutor(parallel)
        try:
            mirrored = _gathered({pool.submit(bring, entry): entry for entry in entries})
        finally:
            # After a Ctrl-C nobody waits for a connection that is silent.
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        checked = {folder / entry.file_name: entry.sha256 for entry in (*mirrored.fetched, *mirrored.kept)}
        index.write(folder, index.updated(folder, base_url, checked))
    return mirrored


class State(Enum):
    """Of a package in a folder."""

    THERE = auto()
    OWN = auto()
    MISSING = auto()


class _Brought:
    """What has been brought into a folder, now and before. Safe to use from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / ".mirrored"
        self._lock = Lock()
        lines = self._record.read_text("utf-8").splitlines() if self._record.exists() else []
        self._known = set(lines)

    def state(self, entry: Entry, replace_own: bool) -> State:
        path = self.folder / entry.file_name
        if not path.is_file():
            return State.MISSING
        found = index.sha256(path)
        if found == entry.sha256:
            return State.THERE
        return State.MISSING if replace_own or self._line(entry, found) in self._known else State.OWN

    def add(self, entry: Entry) -> None:
        line = self._line(entry, entry.sha256)
        with self._lock:
            if line not in self._known:
                self._known.add(line)
                with self._record.open("a", encoding="utf-8") as record:
                    record.write(f"{line}\n")

    @staticmethod
    def _line(entry: Entry, checksum: str) -> str:
        return f"{checksum} {entry.file_name}"


def _gathered(jobs: "dict[Future[State], Entry]") -> Mirrored:
    by_state: dict[State, list[Entry]] = {state: [] for state in State}
    failed: list[tuple[Entry, CodeCoachError]] = []
    for job in as_completed(jobs):
        entry = jobs[job]
        try:
            by_state[job.result()].append(entry)
        except CodeCoachError as error:
            failed.append((entry, error))
        except OSError as error:
            failed.append((entry, ToolkitError("files_failed", detail=str(error))))
    fetched, kept, own = (tuple(sorted(by_state[state])) for state in (State.MISSING, State.THERE, State.OWN))
    return Mirrored(fetched, kept, own, tuple(sorted(failed, key=lambda one: one[0])))


def _bring(brought: _Brought, replace_own: bool, watch: Watch, patience: Patience, stop: Event, entry: Entry) -> State:
    """How it was with the package; when it was missing it is there now."""

    def arrived(done_bytes: int, total_bytes: int | None) -> None:
        if stop.is_set():
            raise InterruptedError("stopped")
        watch.arrived(entry, done_bytes, total_bytes)

    watch.begins(entry)
    try:
        state = brought.state(entry, replace_own)
        if state is State.MISSING:
            fetch_file(entry.url, brought.folder / entry.file_name, entry.sha256, patience, arrived)
        if state is not State.OWN:
            brought.add(entry)
        return state
    finally:
        watch.ended(entry)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder: a second mirroring into it waits, and finds what the first one brought."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
