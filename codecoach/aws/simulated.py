"""Simulated AWS accounts, one for each user session."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import codecoach
from codecoach.errors import SimulationError

SESSIONS = 40
IDLE_S = 30 * 60.0
_WARM_TIMEOUT_S = 90.0
_ANSWER_TIMEOUT_S = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a simulated AWS listens; always loopback."""

    host: str
    port: int


class SimulatedAws:
    """Starts a simulated AWS (moto) for whoever asks, forked from one warm parent (`aws.moto_nursery`).

    Safe to call from any thread. Sessions end after `idle_s` seconds without `endpoint`; of more than `sessions` the one
    unused for longest ends. Everything ends with this process, even by SIGKILL. A simulated account is no security
    boundary: whoever reaches its port may do everything in it.
    """

    def __init__(self, region: str = "us-east-1", *, sessions: int = SESSIONS, idle_s: float = IDLE_S) -> None:
        self._options = ["--region", region, "--sessions", str(sessions), "--idle-s", str(idle_s)]
        self._lock = threading.Lock()
        self._nursery: _Nursery | None = None

    def warm(self) -> None:
        """Start the parent without waiting for it: the some four seconds it takes, the first run need not wait for."""
        with self._lock:
            self._running()

    def endpoint(self, session: str) -> Address:
        """The simulated AWS of a session, started and seeded where there is none. Raises `SimulationError`."""
        return Address("127.0.0.1", self._ask("open", session)["port"])

    def reset(self, session: str) -> None:
        """Throw away all that the session's programs did; its next endpoint is as seeded, at another port."""
        self.release(session)

    def release(self, session: str) -> None:
        """End the session's simulated AWS; unknown sessions are ignored. Raises `SimulationError`."""
        with self._lock:
            if self._nursery is None:
                return
        self._ask("end", session)

    def close(self) -> None:
        """End everything; a later `endpoint` starts anew."""
        with self._lock:
            if self._nursery is not None:
                self._nursery.close()
            self._nursery = None

    def _ask(self, command: str, session: str) -> dict[str, int]:
        with self._lock:
            try:
                return self._running().ask(command, session)
            except _NurseryDied as death:
                log.warning("the parent of the simulated AWS died and is started anew: %s", death)
            try:
                return self._running().ask(command, session)
            except _NurseryDied as death:
                raise SimulationError(detail=str(death)) from death

    def _running(self) -> "_Nursery":
        if self._nursery is None or self._nursery.dead:
            try:
                self._nursery = _Nursery(self._options)
            except OSError as error:
                raise SimulationError(detail=str(error)) from error
        return self._nursery


class _NurseryDied(Exception):
    """The parent process ended or does not answer."""


class _Nursery:
    """The parent process as this one sees it."""

    def __init__(self, options: list[str]) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "codecoach.aws.moto_nursery", *options],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                cwd="/",
                env=_environment(),
            )
        self._warm = False
        self.dead = False

    def ask(self, command: str, session: str) -> dict[str, int]:
        """One command and its answer. Raises `_NurseryDied`, after which this object is of no more use."""
        try:
            if not self._warm:
                self._answer(_WARM_TIMEOUT_S)
                self._warm = True
            self._line.sendall(json.dumps({command: session}).encode())
            return self._answer(_ANSWER_TIMEOUT_S)
        except OSError as error:
            self.close()
            raise _NurseryDied(f"{error}; exit status {self._process.returncode}") from error

    def close(self) -> None:
        self.dead = True
        self._line.close()
        self._process.kill()
        self._process.wait()

    def _answer(self, timeout_s: float) -> dict[str, int]:
        self._line.settimeout(timeout_s)
        line = self._line.recv(65536)
        if not line:
            raise ConnectionResetError("the process ended")
        answer: dict[str, int] = json.loads(line)
        return answer


def _environment() -> dict[str, str]:
    """As little as possible: what moto runs for strangers must not know this process's credentials."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "HOME": "/",
        "PYTHONPATH": str(Path(codecoach.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
