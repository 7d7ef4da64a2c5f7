"""From what Piston and the supervisor say of a job to its result."""

import signal
from dataclasses import dataclass

from codecoach.i18n import Notice
from codecoach.runner import reasons
from codecoach.runner.piston.answers import Stage
from codecoach.runner.piston.instructions import Bounds
from codecoach.runner.piston.report import End, Report
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus, StageResult

_KEEPER = (
    "Sandbox keeper received fatal signal 6\n"  # what Piston's own sandbox says when Piston ends it for its output
)
_GO_REFUSED = "# command-line-arguments\n"  # Go packages without a compile stage: the compiler speaks in the run
_NEAR = 0.7
"""A program killed with this part of its memory limit in one process was killed for memory; the rest are its other processes
and what it was about to take."""
# Signals by which programs die of themselves, for packages without the supervisor, whose shell makes 128+n of them.
_OWN_FAULTS = frozenset({4, 5, 6, 7, 8, 11, 13, 14, 15, 24, 25, 31})
_BREACHES = {"timeout": RunStatus.TIMEOUT, "output": RunStatus.OUTPUT_LIMIT, "stopped": RunStatus.CANCELLED}
NEVER_RAN = StageResult(None, None, "", "", False, 0.0)


@dataclass(frozen=True)
class Heard:
    """One stage: what Piston said at its end, what came out, and how long it took as seen from here."""

    stage: Stage
    report: Report
    wall_s: float


@dataclass(frozen=True)
class _How:
    """How a stage ended."""

    status: RunStatus
    code: int | None = None
    signal: str | None = None


def cancelled() -> RunResult:
    """Of a job that was stopped before it began."""
    return RunResult(RunStatus.CANCELLED, NEVER_RAN, Notice("run.cancelled"))


def result(request: RunRequest, bound: Bounds, compile_: Heard | None, run: Heard | None, stopped: bool) -> RunResult:
    """`run` is None where the compiler refused the program, or the job ended before it."""
    if run and not compile_ and _is_go_refusal(request, run):
        compile_, run = run, None
    if run is None or (compile_ and compile_.stage.code not in (0, None)):
        return _not_run(request, bound, compile_, stopped)
    how = _how(run, bound.run_ms / 1000, bound.memory_bytes, stopped)
    unchanged = {file.name: file.content for file in request.files}
    return RunResult(
        status=how.status,
        run=_stage(run, how),
        reason=_reason(how, request.limits, bound.timeout_s, bound.memory_bytes),
        files=tuple(file for file in run.report.files if not _is_as_it_was(file, unchanged)),
        compile=_stage(compile_, _How(RunStatus.OK, 0)) if compile_ else None,
        files_left_out=run.report.left_out,
    )


def _is_as_it_was(file: File, unchanged: dict[str, bytes]) -> bool:
    return unchanged.get(file.name) == file.content


def _not_run(request: RunRequest, bound: Bounds, compile_: Heard | None, stopped: bool) -> RunResult:
    if compile_ is None:
        return cancelled()
    how = _how(compile_, bound.compile_ms / 1000, bound.compile_memory_bytes, stopped)
    if how.status in (RunStatus.OK, RunStatus.FAILED, RunStatus.SIGNAL):
        how = _How(RunStatus.CANCELLED if stopped else RunStatus.COMPILE_FAILED, how.code, how.signal)
    return RunResult(
        how.status, NEVER_RAN, _reason_of_compiling(how, request.limits, bound), compile=_stage(compile_, how)
    )


def _is_go_refusal(request: RunRequest, run: Heard) -> bool:
    failed = run.stage.code not in (0, None)
    return request.language == "go" and failed and run.report.text("stderr").startswith(_GO_REFUSED)


def _how(heard: Heard, limit_s: float, memory_bytes: int | None, stopped: bool) -> _How:
    if heard.report.end:
        return _by_supervisor(heard.report.end, heard.report.flooded, memory_bytes)
    return _by_piston(heard, limit_s, memory_bytes, stopped)


def _by_supervisor(end: End, flooded: bool, memory_bytes: int | None) -> _How:
    name = _name(end.signal) if end.signal else None
    if end.breach in _BREACHES:
        return _How(_BREACHES[end.breach], None, name or "SIGKILL")
    if flooded:
        return _How(RunStatus.OUTPUT_LIMIT, end.code, name)
    if (name == "SIGKILL" or end.code == 137) and _was_near(end.memory_bytes, memory_bytes):
        return _How(RunStatus.MEMORY, end.code, name)
    return _plain(end.code, name)


def _by_piston(heard: Heard, limit_s: float, memory_bytes: int | None, stopped: bool) -> _How:
    """Where there is no supervisor, or it was killed: by Piston at a limit, or by the program."""
    stage = heard.stage
    if stopped:
        return _How(RunStatus.CANCELLED, stage.code, stage.signal)
    if stage.status in ("OL", "EL") or heard.report.flooded:
        return _How(RunStatus.OUTPUT_LIMIT, None, stage.signal)
    if stage.status == "TO" or (stage.status is None and stage.signal == "SIGKILL" and heard.wall_s >= 0.95 * limit_s):
        return _How(RunStatus.TIMEOUT, None, stage.signal)
    code, name = stage.code, stage.signal
    if (name == "SIGKILL" or code == 137) and _was_near(stage.memory_bytes, memory_bytes):
        return _How(RunStatus.MEMORY, code, name)
    if code and code - 128 in _OWN_FAULTS:
        return _plain(None, _name(code - 128))
    return _plain(code, name)


def _was_near(used: int | None, limit: int | None) -> bool:
    return bool(used and limit and used >= limit * _NEAR)


def _plain(code: int | None, name: str | None) -> _How:
    if name == "SIGXFSZ":
        return _How(RunStatus.FILE_LIMIT, None, name)
    if name:
        return _How(RunStatus.SIGNAL, None, name)
    return _How(RunStatus.FAILED if code else RunStatus.OK, code or 0)


def _stage(heard: Heard, how: _How) -> StageResult:
    end, stage, report = heard.report.end, heard.stage, heard.report
    stderr = report.text("stderr")
    wall_s = end.wall_s if end else stage.wall_s
    return StageResult(
        exit_code=how.code,
        signal=how.signal,
        stdout=report.text("stdout"),
        stderr=stderr.removesuffix(_KEEPER) if stage.status in ("OL", "EL") else stderr,
        truncated=report.truncated or stage.status in ("OL", "EL"),
        wall_s=round(heard.wall_s if wall_s is None else wall_s, 3),
        cpu_s=end.cpu_s if end else stage.cpu_s,
        peak_memory_bytes=end.memory_bytes if end else stage.memory_bytes,
    )


def _reason_of_compiling(how: _How, limits: Limits, bound: Bounds) -> Notice | None:
    match how.status:
        case RunStatus.COMPILE_FAILED:
            return Notice("run.compile_failed", {"code": how.code if how.code is not None else how.signal})
        case RunStatus.TIMEOUT:
            return Notice("run.compile_timeout", {"seconds": f"{bound.compile_timeout_s:g}"})
        case RunStatus.MEMORY:
            return Notice("run.compile_memory", {"megabytes": bound.compile_memory_bytes // reasons.MB})
        case _:
            return _reason(how, limits, bound.compile_timeout_s, bound.compile_memory_bytes)


def _reason(how: _How, limits: Limits, timeout_s: float, memory_bytes: int) -> Notice | None:
    return reasons.reason(how.status, how.code, how.signal or "", limits, timeout_s, memory_bytes)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
