"""One run: sandbox, output, watcher, result."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from codecoach.runner import credentials
from codecoach.runner.credentials import AwsMode
from codecoach.runner.installed import Installed
from codecoach.runner.port import RunEvent, RunRequest, RunResult, RunStatus, StageChanged, StageResult
from codecoach.runner.sandbox import aws_files, box, endings, seccomp, usage
from codecoach.runner.sandbox.cgroups import ControlGroup, ControlGroups
from codecoach.runner.sandbox.collect import collect
from codecoach.runner.sandbox.exits import signal_name
from codecoach.runner.sandbox.forward import PORT, Forward
from codecoach.runner.sandbox.output import PASS_ON_EVERY_S, Output
from codecoach.runner.sandbox.process import SPARE_TASKS, End, SandboxBroken, SandboxProcess, readable, writable
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
_ENDPOINT = f"http://127.0.0.1:{PORT}"


class Job:
    """Runs one request; `cancel` may come at any time."""

    def __init__(
        self,
        request: RunRequest,
        runtime: Installed,
        runtime_folder: str,
        groups: ControlGroups,
        emit: Callable[[RunEvent], None],
    ) -> None:
        self._request = request
        self._runtime = runtime
        self._runtime_folder = runtime_folder
        self._groups = groups
        self._emit = emit
        self._breach: RunStatus | None = None
        self._process: SandboxProcess | None = None
        self._group: ControlGroup | None = None
        self._peak_bytes = 0
        self._cpu_s = 0.0
        self._disk_was_full = False
        self._processes: usage.Processes | None = None
        self._suspect = asyncio.Event()
        limit = request.limits.output_bytes
        self._outputs = {name: Output(name, limit, emit) for name in ("stdout", "stderr")}

    def cancel(self) -> None:
        self._end(RunStatus.CANCELLED)

    async def run(self) -> RunResult:
        """Raises `SandboxBroken` or OSError where the sandbox fails; nothing of it is left behind in any case."""
        async with AsyncExitStack() as leftovers:
            process = self._process = self._started()
            leftovers.callback(process.close)
            leftovers.push_async_callback(self._ungroup)
            leftovers.push_async_callback(process.destroy)
            await process.ready()
            disk = usage.Disk(process.init)
            leftovers.callback(disk.close)
            self._processes = usage.Processes(process.init)
            leftovers.callback(self._processes.close)
            process.bound(self._request.limits, self._request.limits.timeout_s)
            if self._request.aws.mode is AwsMode.SIMULATED:
                forward = Forward(self._request.aws.host, self._request.aws.port)
                leftovers.callback(forward.close)
                await forward.open(process.init)
            if self._breach:
                return endings.cancelled()
            end, wall_s = await self._watched(process, disk)
            return self._result(end, wall_s, disk)

    def _started(self) -> SandboxProcess:
        request, runtime = self._request, self._runtime
        simulated = request.aws.mode is AwsMode.SIMULATED
        environment = credentials.environment(request.aws, _ENDPOINT)
        status_read, status_write = os.pipe()
        descriptors = box.Descriptors()
        try:
            command = box.command(
                program=["/bin/bash", f"{runtime.mount}/run", request.files[0].name, *request.args],
                files=request.files,
                system_files=aws_files.contents(environment) if simulated else {},
                mounts={runtime.mount: self._runtime_folder},
                environment={**runtime.environment, **environment, **(aws_files.variables() if simulated else {})},
                seccomp=seccomp.program(),
                status_fd=status_write,
                descriptors=descriptors,
            )
        except BaseException:  # no descriptors left, for example: those that there are must come back
            descriptors.close()
            os.close(status_read)
            os.close(status_write)
            raise
        return SandboxProcess(command, status_read, status_write, descriptors)

    def _grouped(self, process: SandboxProcess) -> ControlGroup | None:
        """The control group of a program that has lived a while, with all of its processes in it.

        Entering one takes the kernel some ms, as much as many programs take altogether. What a program has started so soon
        that it is too much to move stays with the watcher.
        """
        limits, pids = self._request.limits, [process.init, *usage.descendants(process.init)]
        if len(pids) > _MOST_MOVED:
            return None
        # A little less than the limit that the program's user has: only the group tells that it was reached.
        group = self._groups.make(limits.memory_bytes, limits.processes + SPARE_TASKS - 2)
        if group:
            group.add(*pids)
        return group

    async def _ungroup(self) -> None:
        if self._group:
            await self._group.remove()

    async def _watched(self, process: SandboxProcess, disk: usage.Disk) -> tuple[End, float]:
        """Let the program run and end it when it must; (its end, seconds it took)."""
        self._emit(StageChanged("run"))
        readers = [
            asyncio.ensure_future(self._read(process.stdout_fd, self._outputs["stdout"])),
            asyncio.ensure_future(self._read(process.stderr_fd, self._outputs["stderr"])),
        ]
        began = time.monotonic()
        process.release()
        work = (self._feed(process), self._watch(process, disk), self._weigh(), self._pass_on())
        helpers = [asyncio.ensure_future(each) for each in work]
        for helper in helpers:
            helper.add_done_callback(lambda done: process.kill() if _failed(done) else None)
        try:
            async with asyncio.timeout(self._request.limits.timeout_s):
                await process.ended()
        except TimeoutError:
            self._end(RunStatus.TIMEOUT)
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
                        self._end(RunStatus.OUTPUT_LIMIT)
        output.finish(time.monotonic())

    async def _feed(self, process: SandboxProcess) -> None:
        """Write stdin as fast as the program reads it, then close it."""
        rest = memoryview(self._request.stdin)
        # A program that does not read its input to the end breaks the pipe; that is its business.
        with suppress(BrokenPipeError):
            while rest:
                try:
                    rest = rest[os.write(process.stdin_fd, rest[:_READ_BYTES]) :]
                except BlockingIOError:
                    await writable(process.stdin_fd)
        process.close_stdin()

    async def _watch(self, process: SandboxProcess, disk: usage.Disk) -> None:
        looks = iter(_FIRST_LOOKS_S)
        while not self._breach:
            pause_s = next(looks, None)
            if pause_s is None and self._group is None:
                self._group = self._grouped(process)
            await asyncio.sleep(pause_s or WATCH_EVERY_S)
            limits, seen = self._request.limits, self._look()
            self._disk_was_full = self._disk_was_full or disk.full()
            if seen.tasks > limits.processes:
                self._end(RunStatus.PROCESS_LIMIT)
            elif self._group and self._group.out_of_memory():
                self._end(RunStatus.MEMORY)
            elif disk.inodes() > usage.INODES:
                self._end(RunStatus.FILE_LIMIT)
            elif seen.private_bytes > limits.memory_bytes:
                self._suspect.set()

    async def _weigh(self) -> None:
        """End the program when what looked like too much memory is too much. Takes its time, for which `_watch` cannot wait."""
        while self._processes:
            await self._suspect.wait()
            self._suspect.clear()
            if await weighed(self._processes) > self._request.limits.memory_bytes:
                self._end(RunStatus.MEMORY)

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

    def _end(self, breach: RunStatus) -> None:
        """End the program; the first cause counts."""
        first = self._breach is None
        self._breach = self._breach or breach
        # A sandbox that is being set up is let to finish that first: killed in mid-way, bubblewrap cannot say what it started.
        if self._process and self._process.init:
            seen = self._look()  # the kernel does not account for what is killed with its namespace
            if first and breach is RunStatus.TIMEOUT and seen.tasks > self._request.limits.processes:
                self._breach = RunStatus.PROCESS_LIMIT  # the watcher had no time to see it
            self._process.kill()

    def _result(self, end: End, wall_s: float, disk: usage.Disk) -> RunResult:
        limits, group = self._request.limits, self._group
        seen = endings.Circumstances(
            breach=self._breach,
            out_of_memory=bool(group and group.out_of_memory()),
            out_of_tasks=bool(group and group.out_of_tasks()),
            disk_full=self._disk_was_full or disk.full(),
        )
        how = endings.status(end, seen)
        known = {file.name: file.content for file in self._request.files}
        found = collect(disk.fds["box"], known, limits.files, limits.file_bytes)
        return RunResult(
            status=how,
            run=self._stage(end, wall_s),
            reason=endings.reason(how, end, limits, limits.timeout_s),
            files=tuple(found.files),
            files_left_out=found.left_out,
        )

    def _stage(self, end: End, wall_s: float) -> StageResult:
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


def _failed(task: "asyncio.Task[None]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
