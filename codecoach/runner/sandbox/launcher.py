"""The process that starts and watches all sandboxes: `python -m codecoach.runner.sandbox.launcher SOCKET_FD APP_PID`.

It has one thread, so that it can fork cheaply and safely, and so that the thread that started a sandbox lives as long as the
sandbox (bubblewrap's --die-with-parent means the parent *thread*). It ends when the app ends, however that ends.
"""

import asyncio
import ctypes
import logging
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from codecoach.runner.port import Queued, RunEvent
from codecoach.runner.sandbox import endings, seccomp, wire
from codecoach.runner.sandbox.cgroups import ControlGroups
from codecoach.runner.sandbox.job import Job

_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_SLAVE = 1 << 12, 1 << 14, 1 << 19
_REACHABLE = "/mnt"
_DESCRIPTORS = 8192  # about 20 per run, and two per connection to the simulated AWS
_libc = ctypes.CDLL(None, use_errno=True)
_log = logging.getLogger("codecoach.sandbox")


class Launcher:
    """The queue and the jobs that run."""

    def __init__(self, setup: wire.Setup, writer: asyncio.StreamWriter) -> None:
        self._free = setup.workers
        self._runtimes = _reachable(setup.runtimes)
        self._writer = writer
        self._groups = ControlGroups()
        self._waiting: list[wire.Start] = []
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, message: wire.Start) -> None:
        self._waiting.append(message)
        self._start_waiting()
        if self._waiting and self._waiting[-1] is message:
            self._tell(message.request.job_id, Queued(len(self._waiting)))

    def cancel(self, job_id: str) -> None:
        if job := self._jobs.get(job_id):
            job.cancel()
        for position, message in enumerate(self._waiting):
            if message.request.job_id == job_id:
                del self._waiting[position]
                self._tell(job_id, endings.cancelled())
                self._tell_positions(position)
                break

    async def stop(self) -> None:
        """End all jobs and wait until nothing of them is left."""
        self._waiting.clear()
        for job in self._jobs.values():
            job.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start_waiting(self) -> None:
        while self._free and self._waiting:
            message = self._waiting.pop(0)
            self._free -= 1
            job_id = message.request.job_id
            folder = str(self._runtimes / message.runtime.folder)
            emit = partial(self._tell, job_id)
            job = Job(message.request, message.runtime, folder, self._groups, emit)
            self._jobs[job_id] = job
            self._tasks[job_id] = asyncio.create_task(self._run(job_id, job))
            self._tell_positions(0)

    async def _run(self, job_id: str, job: Job) -> None:
        last: wire.Message
        try:
            last = wire.Happened(job_id, await job.run())
        except Exception as error:
            _log.exception("the sandbox of job %s failed", job_id)
            last = wire.Broken(job_id, str(error) or type(error).__name__)
        self._free += 1
        del self._jobs[job_id], self._tasks[job_id]
        if not self._jobs:
            _reap_orphans()
        self._writer.write(wire.packed(last))
        self._start_waiting()

    def _tell(self, job_id: str, event: RunEvent) -> None:
        self._writer.write(wire.packed(wire.Happened(job_id, event)))

    def _tell_positions(self, first: int) -> None:
        for position, message in enumerate(self._waiting[first:], first + 1):
            self._tell(message.request.job_id, Queued(position))


def _reap_orphans() -> None:
    """Reap what a bubblewrap that died in mid-way had started; called while no job waits for a child of its own."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _reachable(runtimes: Path) -> Path:
    """A path of the runtimes' folder that the spare user can reach.

    As root they mostly lie under /root, which no other user may enter. So the launcher gets a mount table of its own, which
    ends with it, and in it that folder is also found under /mnt.
    """
    if os.geteuid() != 0:
        return runtimes
    if _libc.unshare(_CLONE_NEWNS) != 0 or _libc.mount(None, b"/", None, _MS_REC | _MS_SLAVE, None) != 0:
        return runtimes
    bound = _libc.mount(os.fsencode(runtimes), _REACHABLE.encode(), None, _MS_BIND | _MS_REC, None) == 0
    return Path(_REACHABLE) if bound else runtimes


async def serve(connection: socket.socket, app_pid: int) -> None:
    """Take messages until the app closes its end or is gone."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(sock=connection)
    over = asyncio.Event()
    # The socket alone does not tell: a child that the app forked may hold the other end open.
    with suppress(ProcessLookupError):
        loop.add_reader(os.pidfd_open(app_pid), over.set)
    if os.getppid() != app_pid:
        return
    taking = asyncio.create_task(_take(reader, writer))
    taking.add_done_callback(lambda _: over.set())
    await over.wait()
    taking.cancel()
    launcher = (await asyncio.gather(taking, return_exceptions=True))[0]
    if isinstance(launcher, Launcher):
        await launcher.stop()


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Launcher | None:
    launcher: Launcher | None = None
    try:
        while True:
            (length,) = wire.LENGTH.unpack(await reader.readexactly(wire.LENGTH.size))
            match wire.unpacked(await reader.readexactly(length)):
                case wire.Setup() as setup:
                    launcher = Launcher(setup, writer)
                case wire.Start() as message if launcher:
                    launcher.start(message)
                case wire.Cancel(job_id) if launcher:
                    launcher.cancel(job_id)
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        return launcher


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C goes to the app; its end is our signal
    # A sandbox's init becomes our child when bubblewrap ends before it, so that it is reaped and accounted for.
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, _DESCRIPTORS)), most))
    seccomp.program()
    connection = socket.socket(fileno=int(sys.argv[1]))
    asyncio.run(serve(connection, int(sys.argv[2])))


if __name__ == "__main__":
    main()
