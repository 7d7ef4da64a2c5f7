"""What `codecoach up` leaves in the data folder, so that other commands find the running parts.

up.json   {"pid": 123, "url": "http://127.0.0.1:8501", "bedrock_endpoint_url": "http://127.0.0.1:40001"}
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A CodeCoach that is up on this machine."""

    pid: int
    url: str
    bedrock_endpoint_url: str


def _file(data_dir: Path) -> Path:
    return data_dir / "up.json"


def announce(data_dir: Path, running: Running) -> None:
    """Let the other commands find this process, unless they find another one already."""
    if find(data_dir):
        return
    _file(data_dir).write_text(json.dumps(asdict(running)), "utf-8")


def withdraw(data_dir: Path) -> None:
    """Remove the announcement, if it is this process's own."""
    found = find(data_dir)
    if found and found.pid == os.getpid():
        _file(data_dir).unlink(missing_ok=True)


def find(data_dir: Path) -> Running | None:
    """The CodeCoach that is up, or None; an announcement whose process is gone does not count."""
    try:
        running = Running(**json.loads(_file(data_dir).read_text("utf-8")))
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return running
