"""One stage of a run, compiling or running: a sandbox of its own, its output, the watcher, how it ended."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from codecoach.runner.port import RunEvent, RunStatus, StageChanged, StageResult
from codecoach.runner.sandbox import box, endings, usage
from codecoach.runner.sandbox.bounds import Bounds
from codecoach.runner.sandbox.cgroups import ControlGroup, ControlGroups
from codecoach.runner.sandbox.exits import signal_name
from codecoach.runner.sandbox.output import PASS_ON_EVERY_S, Output
from codecoach.runner.sandbox.process import SPARE_TASKS, End, SandboxBroken, SandboxProcess, readable, writable
from codecoach.runner.sandbox.way_out import WayOut
from codecoach.runner.sandbox.weighing import weighed

WATCH_EVERY_S = 0.05
_FIRST_LOOKS_S = (
    0.005,
    0.01,
    0.02,
    0.05,
    0.05,
    0.05,
)  # a short life needs fewer ms between looks, and no control group
_MOST_MOVED = 8
_READ_BYTES = 65536


@dataclass(frozen=True)
class Ended:
    """How a stage ended."""

    status: RunStatus
    end: End
    result: StageResult


_NEVER_BEGAN = Ended(RunStatus.CANCELLED, End(None, None, 0.0, 0), endings.NEVER_RAN)


class Stage:
    """One command in one sandbox; `end` may come at any time. Nothing of it is left behind after its `async with`.

    The order of things:  set_up (the sandbox stands) -> run -> what it left is read from `disk`
    """

    disk: usage.Disk

    def __init__(
        self,
        name: Literal["compile", "run"],
        bounds: Bounds,
        groups: ControlGroups,
        emit: Callable[[RunEvent], None],
    ) -> None:
        self._name = name
        self._bounds = bounds
        self._groups = groups
        self._emit = emit
        self._leftovers = AsyncExitStack()
        self._breach: RunStatus | None = None
        self._process: SandboxProcess | None = None
        self._processes: usage.Processes | None = None
        self._group: ControlGroup | None = None
        self._peak_bytes = 0
        self._cpu_s = 0.0
        self._disk_was_full = False
        self._suspect = asyncio.Event()
        self._outputs = {stream: Output(stream, bounds.output_bytes, emit) for stream in ("stdout", "stderr")}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leftovers.aclose()

    async def set_up(self, command: Callable[[int, box.Descriptors], list[str]], way_out: WayOut | None) -> None:
        """Start the sandbox; `command` makes its command line of a status descriptor and those it is to hold.

        way_out  to what the program is to reach; None: nothing

        Raises `SandboxBroken` or OSError.
        """
        process = self._process = _started(command)
        self._leftovers.callback(process.close)
        self._leftovers.push_async_callback(self._ungroup)
        self._leftovers.push_async_callback(process.destroy)
        await process.ready()
        self.disk = usage.Disk(process.init, self._bounds.disk_bytes)
        self._leftovers.callback(self.disk.close)
        self._processes = usage.Processes(process.init)
        self._leftovers.callback(self._processes.close)
        process.bound(self._bounds)
        if way_out:
            self._leftovers.callback(way_out.close)
            await way_out.open(process.init)

    async def run(self, stdin: bytes) -> Ended:
        """Let the program of a sandbox that stands run to its end. Raises `SandboxBroken` or OSError."""
        if self._breach or self._process is None:
            return _NEVER_BEGAN
        end, wall_s = await self._watched(self._process, stdin)
        seen = endings.Circumstances(
            breach=self._breach,
            out_of_memory=bool(self._group and self._group.out_of_memory()),
            out_of_tasks=bool(self._group and self._group.out_of_tasks()),
            disk_full=self._disk_was_full or self.disk.full(),
        )
        return Ended(endings.status(end, seen), end, self._result(end, wall_s))

    def end(self, breach: RunStatus) -> None:
        """End the program; the first cause counts."""
        first = self._breach is None
        self._breach = self._breach or breach
        # A sandbox that is being set up is let to finish that first: killed in mid-way, bubblewrap cannot say what it started.
        if self._process and self._process.init:
            seen = self._look()  # the kernel does not account for what is killed with its namespace
            if first and breach is RunStatus.TIMEOUT and seen.tasks > self._bounds.processes:
                self._breach = RunStatus.PROCESS_LIMIT  # the watcher had no time to see it
            self._process.kill()

    def _grouped(self, process: SandboxProcess) -> ControlGroup | None:
        """The control group of a program that has lived a while, with all of its processes in it.

        Entering one takes the kernel some ms, as much as many programs take altogether. What a program has started so soon
        that it is too much to move stays with the watcher.
        """
        bounds, pids = self._bounds, [process.init, *usage.descendants(process.init)]
        if len(pids) > _MOST_MOVED:
            return None
        # A little less than the limit that the program's user has: only the group tells that it was reached.
        group = self._groups.make(bounds.memory_bytes, bounds.processes + SPARE_TASKS - 2)
        if group:
            group.add(*pids)
        return group

    async def _ungroup(self) -> None:
        if self._group:
            await self._group.remove()

    async def _watched(self, process: SandboxProcess, stdin: bytes) -> tuple[End, float]:
        """Let the program run and end it when it must; (its end, seconds it took)."""
        self._emit(StageChanged(self._name))
        readers = [
            asyncio.ensure_future(self._read(process.stdout_fd, self._outputs["stdout"])),
            asyncio.ensure_future(self._read(process.stderr_fd, self._outputs["stderr"])),
        ]
        began = time.monotonic()
        process.release()
        work = (_feed(process, stdin), self._watch(process), self._weigh(), self._pass_on())
        helpers = [asyncio.ensure_future(each) for each in work]
        for helper in helpers:
            helper.add_done_callback(lambda done: process.kill() if _failed(done) else None)
        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                await process.ended()
        except TimeoutError:
            self.end(RunStatus.TIMEOUT)
            await process.ended()
        finally:
            for helper in helpers:
                helper.cancel()
        wall_s = time.monotonic() - began
        end = await process.destroy()
        await asyncio.gather(*readers)  # every writer is dead, so both pipes end
        for failure in (helper.exception() for helper in helpers if _failed(helper)):
            raise SandboxBroken(f"a watcher failed: {failure!r}") from failure
        return end, wall_s

    async def _read(self, fd: int, output: Output) -> None:
        """Take output until its end; after a breach the rest is dropped unseen."""
        while True:
            await readable(fd)
            with suppress(BlockingIOError):
                data = os.read(fd, _READ_BYTES)
                if not data:
                    break
                if not output.truncated:
                    output.feed(data, time.monotonic())
                    if output.truncated:
                        self.end(RunStatus.OUTPUT_LIMIT)
        output.finish(time.monotonic())

    async def _watch(self, process: SandboxProcess) -> None:
        looks = iter(_FIRST_LOOKS_S)
        while not self._breach:
            pause_s = next(looks, None)
            if pause_s is None and self._group is None:
                self._group = self._grouped(process)
            await asyncio.sleep(pause_s or WATCH_EVERY_S)
            bounds, seen = self._bounds, self._look()
            self._disk_was_full = self._disk_was_full or self.disk.full()
            if seen.tasks > bounds.processes:
                self.end(RunStatus.PROCESS_LIMIT)
            elif self._group and self._group.out_of_memory():
                self.end(RunStatus.MEMORY)
            elif self.disk.inodes() > bounds.inodes:
                self.end(RunStatus.FILE_LIMIT)
            elif seen.private_bytes > bounds.memory_bytes:
                self._suspect.set()

    async def _weigh(self) -> None:
        """End the program when what looked like too much memory is too much. Takes its time, for which `_watch` cannot wait."""
        while self._processes:
            await self._suspect.wait()
            self._suspect.clear()
            if await weighed(self._processes) > self._bounds.memory_bytes:
                self.end(RunStatus.MEMORY)

    def _look(self) -> usage.Usage:
        seen = self._processes.usage() if self._processes else usage.Usage()
        self._peak_bytes = max(self._peak_bytes, seen.resident_bytes)
        self._cpu_s = max(self._cpu_s, seen.cpu_s)
        return seen

    async def _pass_on(self) -> None:
        while True:
            await asyncio.sleep(PASS_ON_EVERY_S)
            for output in self._outputs.values():
                output.pass_on(time.monotonic())

    def _result(self, end: End, wall_s: float) -> StageResult:
        return StageResult(
            exit_code=end.exit_code,
            signal=signal_name(end.signal) if end.signal else None,
            stdout=self._outputs["stdout"].text,
            stderr=self._outputs["stderr"].text,
            truncated=any(output.truncated for output in self._outputs.values()),
            wall_s=round(wall_s, 3),
            cpu_s=round(max(end.cpu_s, self._cpu_s), 3),
            peak_memory_bytes=max(self._peak_bytes, end.largest_process_bytes),
        )


def _started(command: Callable[[int, box.Descriptors], list[str]]) -> SandboxProcess:
    status_read, status_write = os.pipe()
    descriptors = box.Descriptors()
    try:
        words = command(status_write, descriptors)
    except BaseException:  # no descriptors left, for example: those that there are must come back
        descriptors.close()
        os.close(status_read)
        os.close(status_write)
        raise
    return SandboxProcess(words, status_read, status_write, descriptors)


async def _feed(process: SandboxProcess, stdin: bytes) -> None:
    """Write stdin as fast as the program reads it, then close it."""
    rest = memoryview(stdin)
    # A program that does not read its input to the end breaks the pipe; that is its business.
    with suppress(BrokenPipeError):
        while rest:
            try:
                rest = rest[os.write(process.stdin_fd, rest[:_READ_BYTES]) :]
            except BlockingIOError:
                await writable(process.stdin_fd)
    process.close_stdin()


def _failed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
