"""The one plain sentence for each way in which a run ends, whichever runner it ran on."""

from codecoach.i18n import Notice
from codecoach.runner.port import Limits, RunStatus

MB = 1024 * 1024
# Signals with a sentence of their own; the others share one.
_EXPLAINED = {"SIGSEGV", "SIGABRT", "SIGKILL", "SIGTERM", "SIGFPE", "SIGILL", "SIGBUS", "SIGPIPE", "SIGSYS", "SIGXCPU"}


def reason(
    status: RunStatus, exit_code: int | None, signal: str, limits: Limits, timeout_s: float, memory_bytes: int
) -> Notice | None:
    """The sentence; None for OK. `timeout_s` and `memory_bytes` are the bounds that held, whatever was asked for."""
    match status:
        case RunStatus.OK:
            return None
        case RunStatus.FAILED:
            return Notice("run.failed", {"code": exit_code})
        case RunStatus.COMPILE_FAILED:
            return Notice("run.compile_failed", {"code": exit_code})
        case RunStatus.SIGNAL:
            return Notice(f"run.signal.{signal if signal in _EXPLAINED else 'other'}", {"signal": signal})
        case RunStatus.TIMEOUT:
            return Notice("run.timeout", {"seconds": f"{timeout_s:g}"})
        case RunStatus.MEMORY:
            return Notice("run.memory", {"megabytes": memory_bytes // MB})
        case RunStatus.OUTPUT_LIMIT:
            return Notice("run.output_limit", {"kilobytes": f"{limits.output_bytes / 1024:g}"})
        case RunStatus.FILE_LIMIT:
            return Notice("run.file_limit")
        case RunStatus.PROCESS_LIMIT:
            return Notice("run.process_limit", {"processes": limits.processes})
        case RunStatus.CANCELLED:
            return Notice("run.cancelled")
