"""The Runner port: run a program, see its output as it comes, stop it.

A fault in the user's program is a `RunResult`; a fault in ours is a `RunnerError`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from codecoach.i18n import Notice
from codecoach.runner.credentials import AwsAccess

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True)
class File:
    """A file that goes into a run or comes out of it; `name` is a relative path with forward slashes."""

    name: str
    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content)


@dataclass(frozen=True)
class Limits:
    """Bounds of one run. Reaching one ends the program, or truncates what it printed, and the result says so."""

    timeout_s: float = 30.0
    compile_timeout_s: float = 120.0
    memory_bytes: int = 1024 * 1024 * 1024
    compile_memory_bytes: int = 2 * 1024 * 1024 * 1024
    output_bytes: int = 1024 * 1024
    file_bytes: int = 8 * 1024 * 1024
    files: int = 64
    processes: int = 128


@dataclass(frozen=True)
class RunRequest:
    """A program to run.

    job_id    names the run for `cancel`; unique
    language  an id of `languages.LANGUAGES`
    files     the first one is the entry point
    """

    job_id: str
    language: str
    files: tuple[File, ...]
    stdin: bytes = b""
    args: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    aws: AwsAccess = field(default_factory=AwsAccess)


@dataclass(frozen=True)
class Queued:
    """The run waits for a free worker; `position` 1 is next."""

    position: int


@dataclass(frozen=True)
class StageChanged:
    """The run enters a stage."""

    stage: Literal["compile", "run"]


@dataclass(frozen=True)
class OutputChunk:
    """More output. Text is decoded as UTF-8 across chunk borders; bytes that are not UTF-8 become U+FFFD."""

    stream: Stream
    text: str


class RunStatus(StrEnum):
    """How a run ended.

    OK              exit code 0, whatever stands on stderr
    FAILED          exit code other than 0
    COMPILE_FAILED  the compiler refused it; nothing ran
    SIGNAL          killed by a signal that was not ours
    TIMEOUT         wall-clock limit
    MEMORY          memory limit
    OUTPUT_LIMIT    printed more than allowed; what came before is kept
    FILE_LIMIT      wrote more bytes or files than allowed
    PROCESS_LIMIT   started more processes or threads than allowed
    CANCELLED       Stop was pressed
    """

    OK = "ok"
    FAILED = "failed"
    COMPILE_FAILED = "compile_failed"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    FILE_LIMIT = "file_limit"
    PROCESS_LIMIT = "process_limit"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class StageResult:
    """What one stage, compiling or running, did.

    exit_code          None where a signal ended it
    signal             its name (`SIGSEGV`), or None
    wall_s, cpu_s      seconds; cpu_s is user and system time of the whole process tree, None where unknown
    peak_memory_bytes  of the whole process tree, None where unknown
    """

    exit_code: int | None
    signal: str | None
    stdout: str
    stderr: str
    truncated: bool
    wall_s: float
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class RunResult:
    """How a run ended; always the last event.

    run             the stage that ran; on COMPILE_FAILED an empty stage
    compile         None for languages that are not compiled
    reason          one plain sentence for each way to end but OK
    files           what the program left in its working folder, new or changed, bounded by `Limits`
    files_left_out  at least how many more it left: over the bounds, or no plain files
    """

    status: RunStatus
    run: StageResult
    reason: Notice | None = None
    files: tuple[File, ...] = ()
    compile: StageResult | None = None
    files_left_out: int = 0


RunEvent = Queued | StageChanged | OutputChunk | RunResult


@dataclass(frozen=True)
class Runtime:
    """An installed (or known but missing) runtime.

    installed  False: `problem` says why it cannot run here and what would change that; True: what it lacks, if anything
    sdk        name and version of the AWS SDK in it; empty where there is none
    """

    language: str
    version: str
    installed: bool
    sdk: str = ""
    problem: Notice | None = None


class Runner(Protocol):
    """A place where programs run."""

    def runtimes(self) -> tuple[Runtime, ...]:
        """Every runtime known here, installed or not. Raises `RunnerError`."""
        ...

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        """Run a program; the last event is the `RunResult`. Closing the iterator stops the program.

        Raises `RunnerError` where the runner itself fails, `InputRefused` for a request it cannot take.
        """
        ...

    def cancel(self, job_id: str) -> None:
        """Stop a run; its result comes with status CANCELLED. Unknown or ended jobs are ignored."""
        ...
