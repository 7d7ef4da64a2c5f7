"""Child processes that never outlive this one."""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
STOP_WITHIN_S = 5.0
PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_log = logging.getLogger(__name__)


def die_with(parent_pid: int) -> Callable[[], None]:
    """What a child runs before its program starts: the kernel ends it as soon as the thread that started it ends.

    Source: prctl(2), PR_SET_PDEATHSIG. Children are therefore started from the main thread only.
    """

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent_pid:  # the parent died before the arrangement stood
            os._exit(1)

    return arrange


class Child:
    """A program of ours in a process group of its own."""

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
        stop_within_s: float = STOP_WITHIN_S,
    ) -> None:
        """Start `argv` from `folder`, its output appended to `log`."""
        self._stop_within_s = stop_within_s
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to end, and after a while make it end, with all that it started."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(self._stop_within_s)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Kept:
    """A child that `check` starts again when it has ended by itself, with pauses that grow unless it had lived for a while."""

    def __init__(self, start: Callable[[], Child]) -> None:
        self._start = start
        self._child = start()
        self._started_at = time.monotonic()
        self._pause_s = PAUSE_S
        self._start_at = 0.0

    def check(self) -> None:
        if self._child.exit_code is None:
            return
        now = time.monotonic()
        if not self._start_at:
            if now - self._started_at > LONGEST_PAUSE_S:
                self._pause_s = PAUSE_S
            _log.error("a part ended with code %s; again in %.0f s", self._child.exit_code, self._pause_s)
            self._start_at = now + self._pause_s
        elif now >= self._start_at:
            self._child, self._started_at, self._start_at = self._start(), now, 0.0
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def stop(self) -> None:
        self._child.stop()
