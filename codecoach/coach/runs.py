"""Runs that outlive the page: each is watched by a thread of the process, and pages only look on.

start ──> starting ──> queued ──> compile ──> run ──> done: result, or error where ours was the fault
             stop() works at every stage; what the program had printed stays, and the run is recorded too
"""

import atexit
import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, Protocol, cast

from codecoach.aws.simulated import SimulatedAws
from codecoach.errors import AwsRefused, CodeCoachError, InputRefused, RunnerUnavailable, StoreError
from codecoach.runner.credentials import AwsAccess, AwsMode, Credentials
from codecoach.runner.port import (
    File,
    OutputChunk,
    Queued,
    RunEvent,
    Runner,
    RunRequest,
    RunResult,
    StageChanged,
    StageResult,
    Stream,
)
from codecoach.store import keys, owned
from codecoach.store.programs import ResultFile, RunRecord

LIVE_CHARS = 1024 * 1024
# Pages are woken at most once in a frame: more often than 20 times a second nobody sees, and it costs CPU.
FRAME_S = 0.05
FINISHED_KEPT_S = 15 * 60.0
FINISHED_KEPT = 100
FINISHED_KEPT_BYTES = 256 * 1024 * 1024
CLOSE_S = 5.0

Stage = Literal["starting", "queued", "compile", "run", "done"]

log = logging.getLogger(__name__)


class RunStore(Protocol):
    """What a run asks of the store (`store.programs.Programs` answers it)."""

    def add_run(self, thread: str, record: RunRecord) -> None: ...


class Lends(Protocol):
    """What a run in the user's own AWS asks for (`coach.my_aws.MyAwsGate` answers it)."""

    def lend(self, username: str) -> Credentials: ...


class RunJob:
    """A run and what it has printed so far. Pages hold it as long as they like; it ends without them.

    owner           who started it; None: nobody who is signed in
    stage           see the drawing above
    queue_position  1 is next; 0 unless queued
    result, error   one of them is set once done
    identity        who AWS takes the program for and until when, in AwsMode.MINE and once that is known
    record          what was recorded, once done and where there is a result
    unsaved         why the record could not be stored, or None
    """

    def __init__(
        self,
        runner: Runner,
        simulated: SimulatedAws,
        store: RunStore,
        lends: Lends | None,
        thread: str,
        request: RunRequest,
    ) -> None:
        self.thread = thread
        self.owner = owned.acting()
        self.request = request
        self.started_at = datetime.now(UTC)
        self.stage: Stage = "starting"
        self.queue_position = 0
        self.result: RunResult | None = None
        self.error: CodeCoachError | None = None
        self.identity: tuple[str, datetime] | None = None
        self.record: RunRecord | None = None
        self.unsaved: StoreError | None = None
        self.ended_at: float | None = None
        self._runner = runner
        self._simulated = simulated
        self._store = store
        self._lends = lends
        self._changed = threading.Condition()
        self._version = 0
        self._live: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._live_chars = 0
        self._lent: Credentials | None = None
        self._stopping = threading.Event()
        self._done = threading.Event()

    @property
    def id(self) -> str:
        return self.request.job_id

    @property
    def done(self) -> bool:
        """True once nothing changes any more and the record, if the store works, is stored."""
        return self._done.is_set()

    @property
    def version(self) -> int:
        """Grows with every change."""
        return self._version

    @property
    def stdout(self) -> str:
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        return self._text("stderr")

    @property
    def held_bytes(self) -> int:
        """About how much memory it takes: its files, those that went in and those that came out."""
        return sum(file.size_bytes for file in (*self.request.files, *(self.result.files if self.result else ())))

    def wait(self, version: int, timeout_s: float) -> int:
        """The job's version, as soon as it is beyond `version` or the job is done; at the latest after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > version or self.done, timeout_s)
        if not self.done:
            self._done.wait(min(FRAME_S, timeout_s))  # more may come within the same frame
        return self._version

    def stop(self) -> None:
        """Stop the program; its result follows shortly, with status CANCELLED."""
        self._stopping.set()
        self._runner.cancel(self.id)

    def join(self, timeout_s: float) -> bool:
        """Wait until done; False if it was not done in time."""
        return self._done.wait(timeout_s)

    def work(self, session: str) -> None:
        """Run the program to its end; runs in the job's thread."""
        try:
            self._run(session)
        except CodeCoachError as error:
            log.warning("run %s failed: %s", self.id, error)
            self.error = error
        except Exception as error:
            self.error = CodeCoachError()
            log.exception("run %s %s", self.id, self.error, exc_info=error)
        finally:
            self._record()
            with self._changing():
                self.stage = "done"
                self.ended_at = time.monotonic()
                self._done.set()

    def _run(self, session: str) -> None:
        # Not kept in `self.request`: what is lent is the runner's alone.
        request = replace(self.request, aws=self._access(session))
        # The port's iterators are generators; closing one ends the program, whatever happened here.
        with closing(cast("_Closable", self._runner.run(request))) as events:
            for event in events:
                if isinstance(event, StageChanged) and self.identity and self.identity[1] <= datetime.now(UTC):
                    raise AwsRefused("aws_expired_waiting")
                self._take(event)
                if self._stopping.is_set():
                    # Stop may have been pressed before the runner knew the job.
                    self._runner.cancel(self.id)
        if self.result is None:
            raise RunnerUnavailable(detail="it gave no result")

    def _access(self, session: str) -> AwsAccess:
        access = self.request.aws
        if access.mode is AwsMode.SIMULATED:
            address = self._simulated.endpoint(session)
            return replace(access, host=address.host, port=address.port)
        if access.mode is AwsMode.MINE:
            if self._lends is None:
                raise AwsRefused("aws_no_role")
            lent = self._lends.lend(session)
            with self._changing():
                self._lent, self.identity = lent, (lent.arn, lent.expires_at)
            return replace(access, credentials=lent)
        return access

    def _take(self, event: RunEvent) -> None:
        with self._changing():
            self.queue_position = 0
            if isinstance(event, Queued):
                self.stage, self.queue_position = "queued", event.position
            elif isinstance(event, StageChanged):
                self.stage = event.stage
            elif isinstance(event, OutputChunk):
                room = LIVE_CHARS - self._live_chars
                self._live[event.stream].append(event.text[:room])
                self._live_chars += min(len(event.text), room)
            else:
                self.result = replace(
                    event,
                    run=self._without_secrets(event.run),
                    compile=self._without_secrets(event.compile) if event.compile else None,
                )

    def _without_secrets(self, stage: StageResult) -> StageResult:
        return replace(stage, stdout=self._masked(stage.stdout), stderr=self._masked(stage.stderr))

    def _masked(self, text: str) -> str:
        """What a program printed, without what was lent to it: it is stored, and Fix sends it to a model."""
        return self._lent.masked(text) if self._lent else text

    def _record(self) -> None:
        if self.result is None:
            return
        self.record = recorded(self.request, self.result, self.started_at)
        try:
            self._store.add_run(self.thread, self.record)
        except StoreError as error:
            log.warning("run %s could not be recorded: %s", self.id, error)
            self.unsaved = error
        except Exception as error:  # whatever it is, the job must end
            self.unsaved = StoreError(detail=type(error).__name__)
            log.exception("run %s could not be recorded: %s", self.id, self.unsaved)

    def _text(self, stream: Stream) -> str:
        with self._changed:
            pieces = self._live[stream]
            if len(pieces) > 1:
                pieces[:] = [self._masked("".join(pieces))]
            return self._masked(pieces[0]) if pieces else ""

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._version += 1
            self._changed.notify_all()


class _Closable(Iterator[RunEvent], Protocol):
    def close(self) -> None: ...


# The registry belongs to the module: whoever builds `Runs` anew (a cleared cache, a reload) finds the running ones.
# By (who started it, thread).
_jobs: dict[tuple[str | None, str], RunJob] = {}
_registry = threading.Lock()


class Runs:
    """The runs of this process, at most one in a thread (a program, or a block of a conversation)."""

    def __init__(self, runner: Runner, simulated: SimulatedAws, store: RunStore, lends: Lends | None = None) -> None:
        self._runner = runner
        self._simulated = simulated
        self._store = store
        self._lends = lends

    def start(self, thread: str, request: RunRequest, session: str) -> RunJob:
        """Start a run. `session` is the user whose simulated AWS the program reaches, or who must be allowed "my AWS".

        The job gets an id that sorts by time, whatever `request.job_id` says, because records are listed by it.
        Raises `InputRefused` where a run is under way in this thread, `NotYours` where the user is not the one who acts. What goes wrong later is the job's `error`.
        """
        owned.demand(session)
        wanted = replace(request, job_id=keys.time_ordered_id())
        job = RunJob(self._runner, self._simulated, self._store, self._lends, thread, wanted)
        with _registry:
            before = owned.going_on(_jobs, thread)
            if before and not before.done:
                raise InputRefused("run_running")
            _tidy()
            _jobs[job.owner, thread] = job
        within = copy_context().run  # as the user who started it, and under the same reference in the log
        threading.Thread(target=within, args=(job.work, session), name=f"run-{job.id}", daemon=True).start()
        return job

    def find(self, thread: str) -> RunJob | None:
        """The run under way in a thread, or its last one for a quarter of an hour; None where it is another user's."""
        with _registry:
            return owned.going_on(_jobs, thread)

    def running(self) -> int:
        """How many runs this process is watching."""
        with _registry:
            return sum(not job.done for job in _jobs.values())

    def close(self) -> None:
        """Stop all runs and have them recorded."""
        stop_all()


def recorded(request: RunRequest, result: RunResult, at: datetime) -> RunRecord:
    """What is kept of a run."""
    return RunRecord(
        id=request.job_id,
        at=at,
        language=request.language,
        status=result.status.value,
        exit_code=result.run.exit_code,
        signal=result.run.signal,
        stdout=result.run.stdout,
        stderr=result.run.stderr,
        truncated=any(stage.truncated for stage in (result.compile, result.run) if stage),
        wall_s=result.run.wall_s,
        cpu_s=result.run.cpu_s,
        peak_memory_bytes=result.run.peak_memory_bytes,
        reason=result.reason,
        files=tuple(ResultFile(file.name, file.size_bytes, file.content) for file in result.files),
        files_left_out=result.files_left_out,
        compile_output=result.compile.stdout + result.compile.stderr if result.compile else "",
        compile_wall_s=result.compile.wall_s if result.compile else None,
        code_sha256=code_sha256(request.files),
    )


def code_sha256(files: Iterable[File]) -> str:
    """A fingerprint of a program: equal where names and contents of all files are."""
    digest = hashlib.sha256()
    for file in files:
        for part in (file.name.encode(), file.content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def stop_all() -> None:
    with _registry:
        jobs = [job for job in _jobs.values() if not job.done]
    for job in jobs:
        job.stop()
    deadline = time.monotonic() + CLOSE_S
    for job in jobs:
        job.join(max(0.0, deadline - time.monotonic()))


def _tidy() -> None:
    """Forget the finished runs that are old, too many or too large; called under the lock."""
    ended = [(job.ended_at, place) for place, job in _jobs.items() if job.ended_at is not None]
    oldest_kept = time.monotonic() - FINISHED_KEPT_S
    size_bytes = 0
    for index, (ended_at, place) in enumerate(sorted(ended, key=lambda one: one[0], reverse=True)):
        size_bytes += _jobs[place].held_bytes
        if index >= FINISHED_KEPT or ended_at < oldest_kept or size_bytes > FINISHED_KEPT_BYTES:
            del _jobs[place]


atexit.register(stop_all)
