"""`codecoach run`: a program from files, its output as it comes, its exit code."""

import json
import signal
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from codecoach import languages
from codecoach.aws import actions, regions
from codecoach.errors import AwsRefused, InputRefused
from codecoach.i18n import Notice
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, OutputChunk, Runner, RunRequest, RunResult, RunStatus, StageResult
from codecoach.services import Services

_OPERATOR = "the command line"
Tell = Callable[[Notice], str]

EXIT_CODES = {
    RunStatus.COMPILE_FAILED: 1,
    RunStatus.TIMEOUT: 124,  # as timeout(1)
    RunStatus.MEMORY: 137,  # as a shell reports what the kernel's out-of-memory killer ended
    RunStatus.OUTPUT_LIMIT: 1,
    RunStatus.FILE_LIMIT: 1,
    RunStatus.PROCESS_LIMIT: 1,
    RunStatus.CANCELLED: 130,  # as a shell reports Ctrl-C
}


@dataclass(frozen=True)
class Program:
    """What the command line gave: files (the first is the entry point), language id or "", and how to run them."""

    files: tuple[Path, ...]
    language: str = ""
    stdin_file: Path | None = None
    args: tuple[str, ...] = ()
    timeout_s: float | None = None
    aws: AwsMode = AwsMode.NONE
    region: str = ""


def request(program: Program, limits: Limits, region: str) -> RunRequest:
    """The run to ask for, not yet with access to AWS; `region` where the program names none. Raises `InputRefused` for a file that cannot be read or a language nobody can tell."""
    language = program.language or _language(program.files[0])
    if language not in languages.BY_ID:
        raise InputRefused("language_unknown", language=language)
    return RunRequest(
        job_id=uuid.uuid4().hex,
        language=language,
        files=tuple(File(_name(path), _read(path)) for path in program.files),
        stdin=_read(program.stdin_file) if program.stdin_file else b"",
        args=program.args,
        limits=replace(limits, timeout_s=program.timeout_s) if program.timeout_s else limits,
        aws=AwsAccess(program.aws, region=_region(program.region, region)),
    )


def _region(wanted: str, usual: str) -> str:
    if wanted and wanted not in regions.alike(usual):
        raise InputRefused("region_unknown", region=wanted, known=", ".join(regions.alike(usual)))
    return wanted or usual


def confirm(wanted: RunRequest, yes: bool, tell: Tell) -> None:
    """Say which AWS actions a program in "my AWS" holds, and ask about those that do harm. Raises `AwsRefused`."""
    if wanted.aws.mode is not AwsMode.MINE:
        return
    seen = actions.found(wanted.language, wanted.files)
    if seen:
        _say(tell(Notice("cli.run.actions", {"actions": ", ".join(map(str, seen))})))
    if yes or not any(action.destructive for action in seen):
        return
    harmful = ", ".join(str(action) for action in seen if action.destructive)
    if not sys.stdin.isatty():
        raise AwsRefused("aws_unconfirmed", actions=harmful)
    _say(tell(Notice("cli.run.confirm", {"actions": harmful})))
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "是"):
        raise AwsRefused("aws_unconfirmed", actions=harmful)


def with_access(wanted: RunRequest, services: Services, tell: Tell) -> RunRequest:
    """The run with what it is to see of AWS; a simulated one is started. Raises `SimulationError`, `AwsRefused`."""
    access = wanted.aws
    if access.mode is AwsMode.SIMULATED:
        address = services.simulated.endpoint(f"command-{uuid.uuid4().hex}")
        access = replace(access, host=address.host, port=address.port)
    elif access.mode is AwsMode.MINE:
        lent = services.my_aws.lend_to_operator(_OPERATOR)
        _say(tell(Notice("cli.run.identity", {"arn": lent.arn, "until": f"{lent.expires_at:%H:%M} UTC"})))
        access = replace(access, credentials=lent)
    return replace(wanted, aws=access)


def _say(text: str) -> None:
    """Not where the program's own output goes."""
    print(text, file=sys.stderr, flush=True)


def run(runner: Runner, wanted: RunRequest, tell: Tell, as_json: bool) -> int:
    """Run it, printing output as it comes (or one JSON object at the end); returns the exit code for the shell."""
    try:
        result = _watch(runner, wanted, silent=as_json)
    except KeyboardInterrupt:
        runner.cancel(wanted.job_id)
        return EXIT_CODES[RunStatus.CANCELLED]
    if as_json:
        print(json.dumps(as_object(result, tell), ensure_ascii=False))
    elif result.reason:
        _say(tell(result.reason))
        if wanted.aws.mode is AwsMode.NONE and actions.found(wanted.language, wanted.files):
            _say(tell(Notice("cli.run.without_aws")))
    return exit_code(result)


def exit_code(result: RunResult) -> int:
    """The program's own exit code; 128 + n for signal n; see `EXIT_CODES` for the rest."""
    if result.status in EXIT_CODES:
        return EXIT_CODES[result.status]
    if result.run.signal:
        return 128 + _number(result.run.signal)
    return result.run.exit_code or 0


def _number(signal_name: str) -> int:
    """Of a signal by its name; real-time signals have none but their number (`SIG35`)."""
    known = signal.Signals.__members__.get(signal_name)
    return int(known or signal_name.removeprefix("SIG"))


def as_object(result: RunResult, tell: Tell) -> dict[str, object]:
    """The JSON form of a result.

    {"status", "exit_code", "signal", "stdout", "stderr", "truncated", "wall_s", "cpu_s", "peak_memory_bytes",
     "reason": sentence|null, "files": [{"name", "size_bytes"}], "files_left_out", "compile": {the same eight of the stage}|null}
    """
    return {
        "status": str(result.status),
        **_stage(result.run),
        "reason": tell(result.reason) if result.reason else None,
        "files": [{"name": file.name, "size_bytes": file.size_bytes} for file in result.files],
        "files_left_out": result.files_left_out,
        "compile": _stage(result.compile) if result.compile else None,
    }


def _stage(stage: StageResult) -> dict[str, object]:
    return {
        "exit_code": stage.exit_code,
        "signal": stage.signal,
        "stdout": stage.stdout,
        "stderr": stage.stderr,
        "truncated": stage.truncated,
        "wall_s": round(stage.wall_s, 4),
        "cpu_s": stage.cpu_s,
        "peak_memory_bytes": stage.peak_memory_bytes,
    }


def _watch(runner: Runner, wanted: RunRequest, silent: bool) -> RunResult:
    for event in runner.run(wanted):
        if isinstance(event, RunResult):
            return event
        if isinstance(event, OutputChunk) and not silent:
            print(event.text, end="", flush=True, file=sys.stdout if event.stream == "stdout" else sys.stderr)
    raise AssertionError("a runner's last event is its result")


def _language(first: Path) -> str:
    found = languages.from_file_name(first.name)
    if not found:
        raise InputRefused("language_of_file_unknown", file=first.name)
    return found.id


def _name(path: Path) -> str:
    """The file's name in the run: its relative path where it has one below here, else its last part."""
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputRefused("file_unreadable", file=str(path), detail=error.strerror or "") from error
