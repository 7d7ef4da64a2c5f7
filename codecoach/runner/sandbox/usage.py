"""What a running sandbox uses, read from /proc; works without any control group."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

_PAGE = os.sysconf("SC_PAGESIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What the processes of a sandbox use together.

    tasks           processes and threads
    private_bytes   memory that only they hold; what forks share is counted for each of them
    resident_bytes  the same with the pages of libraries, which they share with others
    cpu_s           processor time, with that of children that have ended
    """

    tasks: int = 0
    private_bytes: int = 0
    resident_bytes: int = 0
    cpu_s: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.tasks + other.tasks,
            self.private_bytes + other.private_bytes,
            self.resident_bytes + other.resident_bytes,
            self.cpu_s + other.cpu_s,
        )


class Processes:
    """The processes of a sandbox, seen through its own /proc: all of them, however they are related."""

    def __init__(self, init: int) -> None:
        self.fd = os.open(f"/proc/{init}/root/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def usage(self) -> Usage:
        """Of all together; the init is counted only for the processor time of what it has buried."""
        total = Usage()
        with suppress(OSError, IndexError, ValueError):
            total += Usage(cpu_s=self._times("1")[1])
        for pid in self.pids():
            # A process may end between any two reads.
            with suppress(OSError, IndexError, ValueError):
                total += self._usage_of(pid)
        return total

    def pids(self) -> list[str]:
        """Process ids as the sandbox counts them, without its init."""
        with suppress(OSError):
            return [name for name in os.listdir(self.fd) if name.isdigit() and name != "1"]
        return []

    def shared_fairly_bytes(self, pid: str) -> int:
        """Private memory of a process, where each page counts in parts if several share it.

        May take seconds; see `weighing`.
        """
        total = 0
        with suppress(OSError, IndexError, ValueError), self._opened(f"{pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                    total += int(line.split()[1]) * 1024
        return total

    def close(self) -> None:
        os.close(self.fd)
        self.fd = -1

    def _usage_of(self, pid: str) -> Usage:
        threads, cpu_s = self._times(pid)
        # Shared anonymous memory counts as private: no file backs it.
        shared_memory = 0
        with self._opened(f"{pid}/status") as file:
            for line in file:
                if line.startswith("RssShmem:"):
                    shared_memory = int(line.split()[1]) * 1024
                    break
        with self._opened(f"{pid}/statm") as file:
            _, resident, shared, *_ = (int(word) * _PAGE for word in file.read().split())
        return Usage(threads, resident - shared + shared_memory, resident, cpu_s)

    def _times(self, pid: str) -> tuple[int, float]:
        """(threads, processor seconds of it and of its ended children). Source: proc_pid_stat(5), fields 14 to 17 and 20."""
        with self._opened(f"{pid}/stat") as file:
            words = file.read().rsplit(")", 1)[1].split()
        return int(words[17]), sum(int(word) for word in words[11:15]) / _TICKS

    def _opened(self, path: str) -> TextIO:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        return os.fdopen(fd, encoding="utf-8", errors="replace")


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            # Only the threads that may have started processes matter, and each lists its own.
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                children += [int(child) for child in file.read().split()]
    return children


class Disk:
    """The three writable places of a sandbox, by descriptors that outlive it."""

    def __init__(self, init: int, disk_bytes: Mapping[str, int]) -> None:
        """Open them; OSError where one of them is not the tmpfs of its size that it should be."""
        self.fds: dict[str, int] = {}
        try:
            for place, size in disk_bytes.items():
                fd = os.open(f"/proc/{init}/root/{place}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                self.fds[place] = fd
                status = os.fstatvfs(fd)
                if status.f_blocks * status.f_frsize != size:
                    raise OSError(f"/{place} is not the folder it should be")  # noqa: TRY301 - one exit for all
        except OSError:
            self.close()
            raise

    def inodes(self) -> int:
        statuses = [os.fstatvfs(fd) for fd in self.fds.values()]
        return sum(status.f_files - status.f_ffree for status in statuses)

    def full(self) -> bool:
        return any(os.fstatvfs(fd).f_bavail == 0 for fd in self.fds.values())

    def close(self) -> None:
        for fd in self.fds.values():
            os.close(fd)
        self.fds.clear()
