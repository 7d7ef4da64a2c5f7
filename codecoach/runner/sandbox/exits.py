"""How a program ended, told apart from the exit code 128+n that shells and bubblewrap make of a signal."""

import fcntl
import os
import signal
import struct
from contextlib import suppress

# struct pidfd_info, 64 bytes: mask, cgroupid (u64), eleven u32 ids, exit_code (s32). Source: pidfd_open(2), linux/pidfd.h.
_PIDFD_INFO = struct.Struct("QQ11Ii")
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_GET_INFO = 0xC040FF0B
# Signals by which programs die of themselves. SIGKILL is not among them: nobody in a sandbox but the program could send it.
_OWN_FAULTS = {
    signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS,
    signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGXFSZ, signal.SIGXCPU,
}  # fmt: skip


def wait_status(pidfd: int) -> int | None:
    """The wait status of an ended process that is not our child; None before Linux 6.15, which cannot tell."""
    question = _PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13)
    with suppress(OSError):
        mask, *_, status = _PIDFD_INFO.unpack(fcntl.ioctl(pidfd, _PIDFD_GET_INFO, question))
        if mask & _PIDFD_INFO_EXIT:
            return int(status)
    return None


def code_and_signal(status: int) -> tuple[int | None, int | None]:
    """Of a wait status: (exit code, None) or (None, signal number)."""
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), None


def guessed(code: int) -> tuple[int | None, int | None]:
    """The same of bubblewrap's exit code, where the kernel cannot tell: 128+n counts as signal n where that is likely."""
    number = code - 128
    return (None, number) if number in _OWN_FAULTS else (code, None)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
