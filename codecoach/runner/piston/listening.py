"""What is heard of one job, over the websocket as it comes or over HTTP at its end."""

import time
from collections.abc import Callable

from codecoach.runner.piston.answers import Executed, Stage
from codecoach.runner.piston.endings import Heard
from codecoach.runner.piston.report import Report
from codecoach.runner.port import Limits, RunEvent, StageChanged, Stream


class Listener:
    """Takes the words of a job and makes events of them; `compile` and `run` are set as the stages end.

    token  of the supervisor's lines, None where there is no supervisor
    """

    def __init__(self, token: str | None, limits: Limits, emit: Callable[[RunEvent], None]) -> None:
        self.compile: Heard | None = None
        self.run: Heard | None = None
        self._token = token
        self._limits = limits
        self._emit = emit
        self._report: Report | None = None
        self._name = ""
        self._began = 0.0

    @property
    def begun(self) -> bool:
        """True once a stage has begun: from then on the job must not be given to another server."""
        return self._name != ""

    @property
    def complete(self) -> bool:
        """True once the program has ended and the supervisor's last word on it has come: what follows is Piston tidying up."""
        return self.run is not None and self.run.report.end is not None

    @property
    def flooded(self) -> bool:
        return self._report is not None and self._report.flooded

    def stage(self, name: str) -> None:
        self.finish()
        self._name, self._began = name, time.monotonic()
        self._report = Report(self._token, self._limits, self._emit)
        self._emit(StageChanged("compile" if name == "compile" else "run"))

    def data(self, stream: Stream, text: str) -> None:
        if self._report:
            self._report.feed(stream, text)

    def exit(self, stage: Stage) -> None:
        self._end(stage)

    def finish(self) -> None:
        """Nothing more comes; of a stage that still goes on nothing is known."""
        self._end(Stage())

    def replay(self, answer: Executed) -> None:
        """Take the answer of a whole job; `stage("run")` was called before."""
        wall_s = time.monotonic() - self._began
        if answer.compile:
            self.compile = self._replayed(answer.compile, wall_s)
        if not answer.compile or answer.compile.code == 0:
            self.run = self._replayed(answer.run, wall_s)
        self._report = None

    def _replayed(self, stage: Stage, wall_s: float) -> Heard:
        report = Report(self._token, self._limits, self._emit)
        report.feed("stdout", stage.stdout)
        report.feed("stderr", stage.stderr)
        report.finish()
        return Heard(stage, report, wall_s)

    def _end(self, stage: Stage) -> None:
        if self._report is None:
            return
        self._report.finish()
        heard = Heard(stage, self._report, time.monotonic() - self._began)
        if self._name == "compile":
            self.compile = heard
        else:
            self.run = heard
        self._report = None
