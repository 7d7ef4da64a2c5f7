"""Progress on standard error: bars where a person looks on, silence where not."""

import sys
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from piston.index import Entry


class Bars:
    """A bar for all packages and one for each that comes at the moment. A context manager."""

    def __init__(self, count: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._count, self._done = count, 0
        self._tasks: dict[Entry, TaskID] = {}
        self._seen: dict[Entry, int] = {}
        self._lock = Lock()
        self._all = self._progress.add_task(f"0/{count}", total=None)

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begins(self, entry: Entry) -> None:
        with self._lock:
            self._tasks[entry] = self._progress.add_task(entry.package, total=None)

    def arrived(self, entry: Entry, done_bytes: int, total_bytes: int | None) -> None:
        with self._lock:
            self._progress.update(self._tasks[entry], completed=done_bytes, total=total_bytes)
            # What an earlier call left counts as there, not as transferred.
            self._progress.advance(self._all, max(0, done_bytes - self._seen.get(entry, done_bytes)))
            self._seen[entry] = done_bytes

    def ended(self, entry: Entry) -> None:
        with self._lock:
            self._done += 1
            self._progress.remove_task(self._tasks.pop(entry))
            self._progress.update(self._all, description=f"{self._done}/{self._count}")
