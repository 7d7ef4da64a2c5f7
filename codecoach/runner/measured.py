"""A runner whose runs are counted and timed (`codecoach.metrics`)."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import cast

from codecoach import metrics
from codecoach.runner.port import Queued, RunEvent, Runner, RunRequest, RunResult, RunStatus, Runtime, StageChanged


class MeasuredRunner:
    """The Runner port over another one; `name` is what figures call that."""

    def __init__(self, runner: Runner, name: str) -> None:
        self.measured = runner
        self._name = name

    def runtimes(self) -> tuple[Runtime, ...]:
        return self.measured.runtimes()

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        return self._watched(request)

    def cancel(self, job_id: str) -> None:
        self.measured.cancel(job_id)

    def close(self) -> None:
        """Close the runner, where it is one that is closed."""
        if close := getattr(self.measured, "close", None):
            close()

    def _watched(self, request: RunRequest) -> Generator[RunEvent, None, None]:
        watch = _Watch()
        metrics.runs_running.inc()
        try:
            # The port's iterators are generators; closing one ends the program.
            with closing(cast("Generator[RunEvent, None, None]", self.measured.run(request))) as events:
                for event in events:
                    watch.see(event)
                    yield event
        except GeneratorExit:
            watch.status = watch.status or RunStatus.CANCELLED.value
            raise
        finally:
            metrics.runs_running.dec()
            watch.leave_queue()
            metrics.run_ended(
                self._name,
                request.language,
                watch.status or "error",
                waited_s=watch.waited_s,
                wall_s=watch.wall_s,
                compile_s=watch.compile_s,
            )


class _Watch:
    """What has been seen of one run."""

    def __init__(self) -> None:
        self.status = ""
        self.wall_s: float | None = None
        self.compile_s: float | None = None
        self._asked_at = time.monotonic()
        self._begun_at: float | None = None
        self._queued = False

    @property
    def waited_s(self) -> float:
        """From asking to the first stage, or until now."""
        return (self._begun_at or time.monotonic()) - self._asked_at

    def see(self, event: RunEvent) -> None:
        if isinstance(event, Queued):
            if not self._queued:
                self._queued = True
                metrics.runs_queued.inc()
            return
        self.leave_queue()
        if isinstance(event, StageChanged) and self._begun_at is None:
            self._begun_at = time.monotonic()
        elif isinstance(event, RunResult):
            self.status = event.status.value
            self.compile_s = event.compile.wall_s if event.compile else None
            self.wall_s = None if event.status is RunStatus.COMPILE_FAILED else event.run.wall_s

    def leave_queue(self) -> None:
        if self._queued:
            self._queued = False
            metrics.runs_queued.dec()
