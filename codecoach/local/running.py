"""What `codecoach up` leaves in the data folder, so that other commands find the running parts.

up.lock   locked by the first that is up

up.json   {"pid": 123, "url": "http://127.0.0.1:8501", "bedrock_endpoint_url": "http://127.0.0.1:40001",
           "started": "8812345"}
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Running:
    """A CodeCoach that is up on this machine.

    started  when its process did, in the kernel's ticks: tells it from a later one with the same number
    """

    pid: int
    url: str
    bedrock_endpoint_url: str
    started: str = field(default="", compare=False)


def _file(data_dir: Path) -> Path:
    return data_dir / "up.json"


def claim(data_dir: Path) -> BinaryIO | None:
    """The right to tell people the one-time password of this data folder and to be found by other commands.

    Of several that start at once one gets it, for as long as the file stays open and at most until its process ends; None
    where another one has it.
    """
    lock = (data_dir / "up.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def announce(data_dir: Path, running: Running) -> None:
    """Let the other commands find this process, unless they find another one already."""
    if find(data_dir):
        return
    told = replace(running, started=_started(running.pid))
    unfinished = data_dir / f"up.{os.getpid()}.json"
    unfinished.write_text(json.dumps(asdict(told)), "utf-8")
    unfinished.replace(_file(data_dir))  # nobody reads half of it


def withdraw(data_dir: Path) -> None:
    """Remove the announcement, if it is this process's own."""
    found = find(data_dir)
    if found and found.pid == os.getpid():
        _file(data_dir).unlink(missing_ok=True)


def find(data_dir: Path) -> Running | None:
    """The CodeCoach that is up, or None; an announcement whose process is gone does not count."""
    try:
        running = Running(**json.loads(_file(data_dir).read_text("utf-8")))
        return running if running.started == _started(running.pid) else None
    except (OSError, ValueError, TypeError):
        return None


def _started(pid: int) -> str:
    """Raises OSError where there is no such process. Source: proc_pid_stat(5), field 22; the name before may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
