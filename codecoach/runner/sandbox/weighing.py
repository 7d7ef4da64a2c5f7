"""The memory of a sandbox with each page counted once, however many forks share it.

The kernel makes whoever reads a process's memory in detail wait while that process forks, and a fork bomb does nothing else:
seconds have been seen. The launcher must not stand in that queue, so a child of it does.
"""

import os
import signal

from codecoach.runner.sandbox.process import readable
from codecoach.runner.sandbox.usage import Processes


async def weighed(processes: Processes) -> int:
    """Bytes that only these processes hold, all together."""
    ours, childs = os.pipe()
    child = os.fork()
    if child == 0:
        _weigh(processes, childs)
    os.close(childs)
    try:
        await readable(ours)
        return int(os.read(ours, 32) or b"0")
    finally:
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _weigh(processes: Processes, answer: int) -> None:
    """Run by the child; never returns."""
    try:
        _close_all_but(answer, processes.fd)
        os.write(answer, str(sum(processes.shared_fairly_bytes(pid) for pid in processes.pids())).encode())
    finally:
        os._exit(0)


def _close_all_but(*kept: int) -> None:
    """Other sandboxes' pipes above all: a program whose input is closed must see it end."""
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
