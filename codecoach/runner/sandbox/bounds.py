"""What a stage may use: the limits of the request, and those that are the same for every one."""

from collections.abc import Mapping
from dataclasses import dataclass

from codecoach.runner.port import Limits

MB = 1024 * 1024
_DISK_BYTES = {"box": 64 * MB, "tmp": 64 * MB, "dev/shm": 16 * MB}
# Compilers write large intermediate files.
_COMPILE_DISK_BYTES = {"box": 256 * MB, "tmp": 512 * MB, "dev/shm": 16 * MB}


@dataclass(frozen=True)
class Bounds:
    """Of one stage.

    disk_bytes  sizes of the three places a program can write to, by path without the leading slash
    inodes      files, folders and links at a time: an empty file takes kernel memory but no disk space
    open_files  descriptors of one process
    """

    timeout_s: float
    memory_bytes: int
    output_bytes: int
    processes: int
    disk_bytes: Mapping[str, int]
    inodes: int
    open_files: int


def of_compiling(limits: Limits) -> Bounds:
    return Bounds(
        timeout_s=limits.compile_timeout_s,
        memory_bytes=limits.compile_memory_bytes,
        output_bytes=limits.output_bytes,
        processes=limits.processes,
        disk_bytes=_COMPILE_DISK_BYTES,
        inodes=16384,
        open_files=1024,
    )


def of_running(limits: Limits, compiled_bytes: int) -> Bounds:
    """`compiled_bytes`: what compiling left takes no room from the program."""
    return Bounds(
        timeout_s=limits.timeout_s,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        processes=limits.processes,
        disk_bytes={**_DISK_BYTES, "box": _DISK_BYTES["box"] + _whole_pages(compiled_bytes)},
        inodes=4096,
        open_files=256,
    )


def _whole_pages(size_bytes: int) -> int:
    return -(-size_bytes // MB) * MB
