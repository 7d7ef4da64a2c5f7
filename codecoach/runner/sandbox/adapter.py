"""The Runner port over the launcher process."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from codecoach import languages
from codecoach.errors import RunnerFull, RunnerUnavailable, RuntimeMissing
from codecoach.i18n import Notice
from codecoach.runner import installed
from codecoach.runner.checking import check
from codecoach.runner.port import RunEvent, RunRequest, RunResult, Runtime
from codecoach.runner.sandbox import probing, wire
from codecoach.settings import Settings

ROOT = Path(__file__).parents[3]
_CLOSE_WITHIN_S = 5.0


class Sandbox:
    """Runs programs on this machine, each in a bubblewrap sandbox of its own.

    May be made and used from any thread; the launcher process starts with the first run.
    """

    def __init__(self, settings: Settings) -> None:
        self._cache_dir = settings.cache_dir
        self._start_with(settings.run_workers, settings.run_queue, installed.runtimes_folder(settings.cache_dir))

    @classmethod
    def of(cls, runtimes: Path, workers: int) -> "Sandbox":
        """A sandbox over a folder of runtimes, for `run_with`; used while a runtime is being installed."""
        sandbox = cls.__new__(cls)
        sandbox._start_with(workers, workers, runtimes)
        return sandbox

    def _start_with(self, workers: int, queue: int, runtimes: Path) -> None:
        self._setup = wire.Setup(workers, runtimes)
        self._queue = queue
        self._lock = threading.Lock()
        self._launcher: _Launcher | None = None
        self._problem: probing.Problem | None = None
        self._probed = False

    def probe(self) -> Notice | None:
        """Why programs cannot run on this machine and the command that mends it; None where they can."""
        problem = self._problem_now()
        return problem.notice if problem else None

    def runtimes(self) -> tuple[Runtime, ...]:
        """Every language, with its runtime or the reason why there is none."""
        problem = self.probe()
        known = {runtime.language: runtime for runtime in installed.runtimes(self._cache_dir)}
        if problem:
            return tuple(
                Runtime(runtime.language, runtime.version, False, runtime.sdk, problem) for runtime in known.values()
            )
        return tuple(known.values())

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        """See `Runner.run`; a wrong request is refused before the first event is asked for."""
        check(request)
        runtime = installed.installed(self._cache_dir, request.language)
        if runtime is None:
            self._must_work()  # nothing is installed where nothing can run: this is the reason, and the one to mend
            raise RuntimeMissing(language=languages.BY_ID[request.language].label)
        return self.run_with(runtime, request)

    def run_with(self, runtime: installed.Installed, request: RunRequest) -> Iterator[RunEvent]:
        """The same with a runtime that is not, or not yet, the language's own."""
        self._must_work()
        return self._events(wire.Start(request, runtime))

    def cancel(self, job_id: str) -> None:
        if launcher := self._launcher:
            launcher.send(wire.Cancel(job_id))

    def close(self) -> None:
        """End the launcher and with it every program that still runs."""
        with self._lock:
            if self._launcher:
                self._launcher.close()
                self._launcher = None

    def _events(self, start: wire.Start) -> Iterator[RunEvent]:
        launcher, job_id = self._running(), start.request.job_id
        events = launcher.begin(start)
        over = False
        try:
            while not over:
                event = events.get()
                if isinstance(event, wire.Broken):
                    over = True
                    raise RunnerUnavailable(detail=event.detail)
                over = isinstance(event, RunResult)
                yield event
        finally:
            launcher.forget(job_id)
            if not over:
                launcher.send(wire.Cancel(job_id))

    def _running(self) -> "_Launcher":
        with self._lock:
            if self._launcher and self._launcher.gone:
                self._launcher.close()
                self._launcher = None
            if self._launcher is None:
                self._launcher = _Launcher(self._setup, self._queue)
            return self._launcher

    def _must_work(self) -> None:
        if problem := self._problem_now():
            raise problem.error()

    def _problem_now(self) -> probing.Problem | None:
        """The problem, looked for again as long as there is one: somebody may have mended it."""
        if not self._probed or self._problem:
            self._problem, self._probed = probing.problem(), True
        return self._problem


class _Launcher:
    """The launcher process as the app sees it."""

    def __init__(self, setup: wire.Setup, queue: int) -> None:
        self._queue = queue
        self._most = setup.workers + queue
        setup.runtimes.mkdir(parents=True, exist_ok=True)
        self._socket, theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._jobs: dict[str, SimpleQueue[RunEvent | wire.Broken]] = {}
        self.gone = False
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "codecoach.runner.sandbox.launcher", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                start_new_session=True,
            )
        self.send(setup)
        self._reader = threading.Thread(target=self._read, name="sandbox-events", daemon=True)
        self._reader.start()

    def begin(self, start: wire.Start) -> "SimpleQueue[RunEvent | wire.Broken]":
        """Raises `RunnerFull`."""
        events: SimpleQueue[RunEvent | wire.Broken] = SimpleQueue()
        with self._sending:
            if len(self._jobs) >= self._most:
                raise RunnerFull(waiting=self._queue)
            self._jobs[start.request.job_id] = events
        if not self.send(start):
            self._lose_all()
        return events

    def forget(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)

    def send(self, message: wire.Message) -> bool:
        """False where the launcher is gone."""
        with self._sending:
            try:
                self._socket.sendall(wire.packed(message))
            except OSError:
                self.gone = True
        return not self.gone

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(_CLOSE_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # every sandbox dies with it
            self._process.wait()
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as stream:
            while len(head := stream.read(wire.LENGTH.size)) == wire.LENGTH.size:
                message = wire.unpacked(stream.read(*wire.LENGTH.unpack(head)))
                if not isinstance(message, wire.Happened | wire.Broken):
                    continue
                if events := self._jobs.get(message.job_id):
                    events.put(message.event if isinstance(message, wire.Happened) else message)
        self.gone = True
        self._lose_all()

    def _lose_all(self) -> None:
        for job_id, events in list(self._jobs.items()):
            events.put(wire.Broken(job_id, "the sandbox launcher has ended"))
