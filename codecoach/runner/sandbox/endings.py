"""From what happened to the status of a run and its one plain sentence."""

from dataclasses import dataclass

from codecoach.i18n import Notice
from codecoach.runner import reasons
from codecoach.runner.port import Limits, RunResult, RunStatus, StageResult
from codecoach.runner.sandbox.exits import signal_name
from codecoach.runner.sandbox.process import End


@dataclass(frozen=True)
class Circumstances:
    """What the watcher and the kernel know beside the exit status.

    breach  the limit at which we ended the program, or CANCELLED; None where it ended by itself
    """

    breach: RunStatus | None
    out_of_memory: bool = False
    out_of_tasks: bool = False
    disk_full: bool = False


NEVER_RAN = StageResult(None, None, "", "", False, 0.0)
"""The stage of a run that was stopped before its program started."""


def cancelled() -> RunResult:
    """The result of such a run."""
    return RunResult(RunStatus.CANCELLED, NEVER_RAN, Notice("run.cancelled"))


def status(end: End, seen: Circumstances) -> RunStatus:
    if seen.breach:
        return seen.breach
    if end.exit_code == 0:
        return RunStatus.OK
    if seen.out_of_memory:
        return RunStatus.MEMORY
    if seen.out_of_tasks:
        return RunStatus.PROCESS_LIMIT
    if seen.disk_full or (end.signal and signal_name(end.signal) == "SIGXFSZ"):
        return RunStatus.FILE_LIMIT
    return RunStatus.SIGNAL if end.signal else RunStatus.FAILED


def status_of_compiling(how: RunStatus) -> RunStatus:
    """Whatever else ended a compiler, it did not compile."""
    return RunStatus.COMPILE_FAILED if how in (RunStatus.FAILED, RunStatus.SIGNAL, RunStatus.OK) else how


def reason_of_compiling(how: RunStatus, end: End, limits: Limits) -> Notice | None:
    """The sentence for a run that ended with compiling."""
    match how:
        case RunStatus.COMPILE_FAILED:
            code = end.exit_code if end.exit_code is not None else 128 + (end.signal or 0)
            return Notice("run.compile_failed", {"code": code})
        case RunStatus.TIMEOUT:
            return Notice("run.compile_timeout", {"seconds": f"{limits.compile_timeout_s:g}"})
        case RunStatus.MEMORY:
            return Notice("run.compile_memory", {"megabytes": limits.compile_memory_bytes // reasons.MB})
        case _:
            return reason(how, end, limits, limits.compile_timeout_s)


def reason(how: RunStatus, end: End, limits: Limits, timeout_s: float) -> Notice | None:
    """The sentence; None for OK."""
    name = signal_name(end.signal or 0) if how is RunStatus.SIGNAL else ""
    return reasons.reason(how, end.exit_code, name, limits, timeout_s, limits.memory_bytes)
