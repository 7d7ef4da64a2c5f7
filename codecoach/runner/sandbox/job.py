"""One run: compiling, where the language asks for it, then running, each a stage in a sandbox of its own.

files ──> [compile] ──> what it left beside them ──> [run] ──> result files
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

from codecoach.runner import credentials
from codecoach.runner.credentials import AwsMode
from codecoach.runner.installed import Installed
from codecoach.runner.port import RunEvent, RunRequest, RunResult, RunStatus, StageResult
from codecoach.runner.sandbox import aws_files, bounds, box, endings, seccomp
from codecoach.runner.sandbox.cgroups import ControlGroups
from codecoach.runner.sandbox.collect import Products, collect
from codecoach.runner.sandbox.forward import PORT, Forward
from codecoach.runner.sandbox.stage import Ended, Stage
from codecoach.runner.sandbox.way_out import FILES, GATE, AwsEndpoints, WayOut

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
        gate: Sequence[str] = GATE,
    ) -> None:
        """`gate` is the command behind which AWS's endpoints are."""
        self._gate = gate
        self._request = request
        self._runtime = runtime
        self._runtime_folder = runtime_folder
        self._groups = groups
        self._emit = emit
        self._stage: Stage | None = None
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        if self._stage:
            self._stage.end(RunStatus.CANCELLED)

    async def run(self) -> RunResult:
        """Raises `SandboxBroken` or OSError where the sandbox fails; nothing of it is left behind in any case."""
        with closing(Products()) as products:
            if not self._runtime.compiles:
                return await self._run(products, None)
            ended = await self._compile(products)
            if ended.status is RunStatus.OK and not self._cancelled:
                return await self._run(products, ended.result)
        return self._not_run(ended)

    async def _compile(self, products: Products) -> Ended:
        """Compile; `products` then holds what that left."""
        request, limits = self._request, bounds.of_compiling(self._request.limits)
        texts = [file.name for file in request.files if _is_text(file.content)]
        self._stage = Stage("compile", limits, self._groups, self._emit)
        async with self._stage as stage:
            command = self._command(["compile", *texts], self._runtime.environment, {}, limits, products)
            await stage.set_up(command, None)
            ended = await stage.run(b"")
            if ended.status is RunStatus.OK:
                products.take(stage.disk.fds["box"], self._known())
        return replace(ended, status=RunStatus.FILE_LIMIT) if products.too_many else ended

    async def _run(self, products: Products, compiled: StageResult | None) -> RunResult:
        request, limits = self._request, bounds.of_running(self._request.limits, products.size_bytes)
        given = credentials.environment(request.aws, _ENDPOINT)
        environment = {**self._runtime.environment, **given, **(aws_files.variables() if given else {})}
        system_files = aws_files.contents(given) if given else {}
        way_out = self._way_out(bool(given))
        if isinstance(way_out, AwsEndpoints):
            system_files |= FILES
        words = ["run", request.files[0].name, *request.args]
        self._stage = Stage("run", limits, self._groups, self._emit)
        async with self._stage as stage:
            await stage.set_up(self._command(words, environment, system_files, limits, products), way_out)
            stamps = products.stamps(stage.disk.fds["box"])
            products.close()  # they are copied; what compiling needed of memory is free again
            ended = await stage.run(request.stdin)
            most = request.limits
            found = collect(stage.disk.fds["box"], self._known(), most.files, most.file_bytes, stamps)
        return RunResult(
            status=ended.status,
            run=ended.result,
            reason=endings.reason(ended.status, ended.end, request.limits, limits.timeout_s),
            files=tuple(found.files),
            files_left_out=found.left_out,
            compile=compiled,
        )

    def _not_run(self, compiling: Ended) -> RunResult:
        """The result where it ended with compiling."""
        status = endings.status_of_compiling(RunStatus.CANCELLED if self._cancelled else compiling.status)
        reason = endings.reason_of_compiling(status, compiling.end, self._request.limits)
        return RunResult(status, endings.NEVER_RAN, reason, compile=compiling.result)

    def _command(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        system_files: Mapping[str, bytes],
        limits: bounds.Bounds,
        products: Products,
    ) -> Callable[[int, box.Descriptors], list[str]]:
        """What makes the command line of a sandbox in which one of the package's scripts runs."""
        script, *arguments = words
        return partial(
            box.command,
            script=[f"{self._runtime.mount}/{script}", *arguments],
            files=self._request.files,
            products=products.fds,
            system_files=system_files,
            mounts={self._runtime.mount: self._runtime_folder},
            environment=environment,
            disk_bytes=limits.disk_bytes,
            seccomp=seccomp.program(),
        )

    def _way_out(self, anybody: bool) -> WayOut | None:
        """What of AWS the program reaches; nothing where there is nobody to be."""
        aws = self._request.aws
        if aws.mode is AwsMode.NONE or not anybody:
            return None
        return Forward(aws.host, aws.port) if aws.mode is AwsMode.SIMULATED else AwsEndpoints(self._gate)

    def _known(self) -> dict[str, bytes]:
        return {file.name: file.content for file in self._request.files}


def _is_text(content: bytes) -> bool:
    """What Piston gives to a package's scripts by name: files that are not sent as base64."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
