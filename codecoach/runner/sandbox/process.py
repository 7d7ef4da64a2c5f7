"""One sandbox, from bubblewrap's start until nothing of it is alive."""

import asyncio
import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from codecoach.runner.sandbox import exits
from codecoach.runner.sandbox.bounds import Bounds
from codecoach.runner.sandbox.box import Descriptors
from codecoach.runner.sandbox.usage import descendants

SPARE_UID = 64400
"""The user that sandboxes of a root launcher run as; from the range that Debian leaves to local administration."""

SPARE_TASKS = 16
"""How far a program may exceed its process limit before the kernel refuses: the watcher must see that it did."""

NICENESS = 5  # more than the launcher has: the app and the watcher go first
_NICEST = 19
_START_WITHIN_S = 15.0
_READ_BYTES = 65536


class SandboxBroken(Exception):
    """The sandbox itself failed; the message is for the log and the administrator."""


@dataclass(frozen=True)
class End:
    """How the program ended (see `exits`), and what the kernel counted for the whole tree."""

    exit_code: int | None
    signal: int | None
    cpu_s: float
    largest_process_bytes: int


class SandboxProcess:
    """bubblewrap, its init (process 1 inside) and the program (process 2 inside).

    The order of things, all awaited by the job:  start -> ready (the program waits at the gate) -> release -> ended -> destroy
    """

    def __init__(self, command: list[str], status_read: int, status_write: int, descriptors: Descriptors) -> None:
        """Start bubblewrap; takes over `status_read` and closes the rest."""
        self.init = self.program = 0
        self._end: End | None = None
        self._pidfds: dict[str, int] = {}
        self._status_fd = status_read
        try:
            self._outer = _started(command, (*descriptors.fds, status_write))
        except OSError as error:
            os.close(status_read)
            raise SandboxBroken(f"bwrap cannot be started: {error}") from error
        finally:
            descriptors.close()
            os.close(status_write)
        self.stdin_fd, self.stdout_fd, self.stderr_fd = (
            os.dup(pipe.fileno()) for pipe in (self._outer.stdin, self._outer.stdout, self._outer.stderr) if pipe
        )
        for pipe in (self._outer.stdin, self._outer.stdout, self._outer.stderr):
            if pipe:
                pipe.close()
        for fd in (self.stdin_fd, self.stdout_fd, self.stderr_fd):
            os.set_blocking(fd, False)
        self._pidfds["outer"] = os.pidfd_open(self._outer.pid)

    async def ready(self) -> None:
        """Wait until the program stands at the gate; SandboxBroken with bubblewrap's own words where it never does."""
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                await readable(self.stdout_fd)
        except TimeoutError:
            raise SandboxBroken("bwrap did not set up the sandbox in time") from None
        if os.read(self.stdout_fd, 1) != b"\n":
            await readable(self._pidfds["outer"])
            raise SandboxBroken(os.read(self.stderr_fd, _READ_BYTES).decode("utf-8", "replace").strip())
        self.init = int(json.loads(os.read(self._status_fd, 4096).splitlines()[0])["child-pid"])
        self._pidfds["init"] = os.pidfd_open(self.init)
        self.program = descendants(self.init)[0]
        self._pidfds["program"] = os.pidfd_open(self.program)

    def bound(self, most: Bounds) -> None:
        """Set the limits that the kernel keeps per process, on the waiting program; its children inherit them."""
        cores = os.cpu_count() or 1
        cpu_s = (
            int(most.timeout_s * cores) + 2
        )  # the watcher's clock ends a run long before; this holds if it could not
        limits = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_NOFILE: most.open_files,
            resource.RLIMIT_FSIZE: max(most.disk_bytes.values()),
            resource.RLIMIT_CPU: cpu_s,
            resource.RLIMIT_MEMLOCK: 65536,
            resource.RLIMIT_MSGQUEUE: 0,
            resource.RLIMIT_SIGPENDING: 256,
            resource.RLIMIT_RTPRIO: 0,
            resource.RLIMIT_NICE: 0,
            # Counted per user namespace: of this sandbox alone.
            resource.RLIMIT_NPROC: most.processes + SPARE_TASKS,
        }
        with _as_spare_user():
            for name, value in limits.items():
                _, highest = resource.prlimit(self.program, name)
                bound = value if highest == resource.RLIM_INFINITY else min(value, highest)
                resource.prlimit(self.program, name, (bound, bound))
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
        os.setpriority(os.PRIO_PROCESS, self.program, min(niceness, _NICEST))

    def release(self) -> None:
        """Open the gate."""
        os.write(self.stdin_fd, b"\n")

    async def ended(self) -> None:
        """Wait until the program has ended, by itself or by `kill`."""
        await readable(self._pidfds["outer"])

    def kill(self) -> None:
        """End everything inside at once. bubblewrap goes first, so that the init is left for us to reap and to account for."""
        for name in ("outer", "init"):
            if name in self._pidfds:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfds[name], signal.SIGKILL)

    async def destroy(self) -> End:
        """Make sure that nothing inside is alive any more, and say how the program ended. May be called again."""
        if self._end is None:
            self.kill()
            self._end = await self._buried()
        return self._end

    async def _buried(self) -> End:
        await readable(self._pidfds["outer"])
        _, outer_status, outer_usage = os.wait4(self._outer.pid, 0)
        self._outer.returncode = 0  # reaped here, so Popen must not try
        cpu_s, largest = outer_usage.ru_utime + outer_usage.ru_stime, 0
        if "init" in self._pidfds:
            # Readable once the whole namespace is gone: the init is the last to die.
            await readable(self._pidfds["init"])
            with suppress(ChildProcessError):
                _, _, usage = os.wait4(self.init, 0)
                cpu_s += usage.ru_utime + usage.ru_stime
                largest = usage.ru_maxrss * 1024
        code, number = self._program_end(outer_status)
        return End(code, number, cpu_s, largest)

    def _program_end(self, outer_status: int) -> tuple[int | None, int | None]:
        status = exits.wait_status(self._pidfds["program"]) if "program" in self._pidfds else None
        if status is not None:
            return exits.code_and_signal(status)
        code, number = exits.code_and_signal(outer_status)
        return exits.guessed(code) if code is not None else (None, number)

    def close_stdin(self) -> None:
        if self.stdin_fd >= 0:
            os.close(self.stdin_fd)
            self.stdin_fd = -1

    def close(self) -> None:
        self.close_stdin()
        for fd in (*self._pidfds.values(), self._status_fd, self.stdout_fd, self.stderr_fd):
            os.close(fd)
        self._pidfds.clear()


def _started(command: list[str], pass_fds: tuple[int, ...]) -> "subprocess.Popen[bytes]":
    # Not by Popen's own `user`: with it the whole launcher is forked, which takes longer than all that bubblewrap does.
    with _as_spare_user():
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath)},
            cwd="/",
            pass_fds=pass_fds,
            start_new_session=True,
        )


@contextmanager
def _as_spare_user() -> Iterator[None]:
    """Be the user that sandboxes run as, to start them and to limit them.

    Containers often withhold from root the right to limit other users' processes.
    """
    if os.geteuid() != 0:
        yield
        return
    os.setgroups([])
    os.setresgid(SPARE_UID, SPARE_UID, 0)
    os.setresuid(SPARE_UID, SPARE_UID, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)


async def readable(fd: int) -> None:
    """Wait until `fd` has something to read, or has ended."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _settle, future)
    try:
        await future
    finally:
        loop.remove_reader(fd)


async def writable(fd: int) -> None:
    """Wait until `fd` takes more."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _settle, future)
    try:
        await future
    finally:
        loop.remove_writer(fd)


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
