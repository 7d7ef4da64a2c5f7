"""What the app and the launcher say to each other over their socket.

Each message is a pickle behind its length as four bytes. Both ends are ours, started from the same files; what a program
wrote travels inside as plain bytes and text.
"""

import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

from codecoach.runner.installed import Installed
from codecoach.runner.port import RunEvent, RunRequest

LENGTH = struct.Struct("!I")


@dataclass(frozen=True)
class Setup:
    """First message to the launcher: `workers` programs run at the same time, runtimes lie under `runtimes`."""

    workers: int
    runtimes: Path


@dataclass(frozen=True)
class Start:
    """Run this program with this runtime."""

    request: RunRequest
    runtime: Installed


@dataclass(frozen=True)
class Cancel:
    """Stop this job, queued or running."""

    job_id: str


@dataclass(frozen=True)
class Happened:
    """An event of a job; after its `RunResult` none follows."""

    job_id: str
    event: RunEvent


@dataclass(frozen=True)
class Broken:
    """The sandbox of a job failed, not its program; nothing follows."""

    job_id: str
    detail: str


Message = Setup | Start | Cancel | Happened | Broken


def packed(message: Message) -> bytes:
    body = pickle.dumps(message)
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes) -> Message:
    message: Message = pickle.loads(body)  # noqa: S301 - written by our own process, see above
    return message
