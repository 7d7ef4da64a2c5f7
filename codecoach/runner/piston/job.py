"""One run: waits for a place, has it done by one server, and is stopped if need be."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue

from websockets.sync.client import ClientConnection

from codecoach.errors import CodeCoachError, InputRefused, RunnerUnavailable
from codecoach.runner import credentials
from codecoach.runner.credentials import AwsMode
from codecoach.runner.gate import Gate
from codecoach.runner.piston import endings, instructions
from codecoach.runner.piston.answers import NotBegun, OverLimit, PistonRuntime
from codecoach.runner.piston.instructions import Bounds, Secrets
from codecoach.runner.piston.listening import Listener
from codecoach.runner.piston.places import Places
from codecoach.runner.piston.server import Server, as_body, is_supervised
from codecoach.runner.piston.websocket import NoWebsocket, converse, cookie_of
from codecoach.runner.port import Queued, RunEvent, RunRequest, RunResult, StageChanged

_log = logging.getLogger(__name__)
_LIMITS = 8  # as many as Piston has; each refusal teaches one
_STOP_WITHIN_S = 12.0
_STOP_AGAIN_S = 1.0
_LOOK_S = 0.05
_STOPPING_S = 15.0
_LATE_S = 20.0


class Job:
    """Runs one request in the thread that calls `work`; `cancel` may come at any time from any other."""

    def __init__(self, request: RunRequest, places: Places, gate: Gate | None) -> None:
        self._gate = gate
        self.events: SimpleQueue[RunEvent | CodeCoachError] = SimpleQueue()
        self._request = request
        self._places = places
        self._stopped = threading.Event()
        self._over = threading.Event()
        self._finishing = threading.Lock()
        self._finished = False
        self._stop_it: Callable[[], None] | None = None
        self._connection: ClientConnection | None = None
        self._abandoned = False

    def work(self) -> None:
        """Everything up to the last event, which is the `RunResult` or our error."""
        try:
            self._finish(self._result())
        except CodeCoachError as error:
            self._finish(error)
        except Exception as error:
            _log.exception("a run through Piston failed")
            self._finish(RunnerUnavailable(detail=str(error) or type(error).__name__))
        finally:
            self._over.set()

    def cancel(self) -> None:
        with self._finishing:
            if self._finished or self._stopped.is_set():
                return
            self._stopped.set()
        self._places.wake()
        threading.Thread(target=self._stop, name="piston-stop", daemon=True).start()

    def wait(self, timeout_s: float) -> None:
        """Until it is over."""
        self._over.wait(timeout_s)

    def _finish(self, last: RunEvent | CodeCoachError) -> None:
        with self._finishing:
            if not self._finished:
                self._finished = True
                self.events.put(last)

    # --- on which server

    def _result(self) -> RunResult:
        refused_by: set[Server] = set()
        while True:
            language = self._request.language
            server = self._places.take(language, refused_by, lambda at: self.events.put(Queued(at)), self._stopped)
            if server is None:
                return endings.cancelled()
            keep_s = 0.0
            try:
                result, keep_s = self._on(server)
            except NotBegun as refusal:
                server.failed(str(refusal))
                refused_by.add(server)
            else:
                return result
            finally:
                self._leave(server, keep_s)

    def _leave(self, server: Server, keep_s: float) -> None:
        """Give the place back; `keep_s` later where the job may still go on there."""
        if keep_s:
            later = threading.Timer(keep_s, self._places.give_back, [server])
            later.daemon = True
            later.start()
        else:
            self._places.give_back(server)

    def _on(self, server: Server) -> tuple[RunResult, float]:
        """The result, and for how many seconds the job may still take its place."""
        runtime = server.runtime(self._request.language)
        if runtime is None:
            raise NotBegun("the runtime is gone")
        for _ in range(_LIMITS):
            bound = instructions.bounds(self._request, runtime.language, server, is_supervised(runtime))
            try:
                if is_supervised(runtime):
                    return self._supervised(server, runtime, bound)
                return self._plain(server, runtime, bound)
            except OverLimit as limit:
                server.learn(runtime.language, limit)
        raise RunnerUnavailable("piston_failed", detail="limits")

    # --- on it

    def _supervised(self, server: Server, runtime: PistonRuntime, bound: Bounds) -> tuple[RunResult, float]:
        with ExitStack() as until_it_ends:
            environment = self._environment(until_it_ends)
            return self._told(server, runtime, bound, environment)

    def _environment(self, until_it_ends: ExitStack) -> dict[str, str]:
        """What tells the program of its AWS."""
        access = self._request.aws
        if access.mode is not AwsMode.SIMULATED or self._gate is None:
            return credentials.environment(access, "")
        admission = until_it_ends.enter_context(self._gate.admit(access.host, access.port))
        variables = credentials.environment(access, admission.endpoint_url)
        return {**variables, "AWS_ACCESS_KEY_ID": admission.access_key_id}

    def _told(
        self, server: Server, runtime: PistonRuntime, bound: Bounds, environment: dict[str, str]
    ) -> tuple[RunResult, float]:
        own = Secrets.new()
        body = as_body(instructions.supervised(self._request, runtime, bound, own, environment))
        stop = as_body(instructions.stopping(runtime, own))
        listener = Listener(own.token, self._request.limits, self._emit_and(lambda: self._stop_by(server, stop)))
        try:
            converse(server, body, bound.longest_s, listener, self._opened)
        except NoWebsocket as why:
            _log.info("Piston at %s has no websocket (%s): output comes at the end", server.url, why)
            listener.stage("run")
            listener.replay(server.execute(body, bound.longest_s + _LATE_S))
        except RunnerUnavailable:
            if not self._abandoned:
                raise
        finally:
            listener.finish()
        result = endings.result(self._request, bound, listener.compile, listener.run, self._stopped.is_set())
        runs_on = self._abandoned or any(heard and heard.report.flooded for heard in (listener.compile, listener.run))
        if runs_on and not self._abandoned:
            self._stop_by(server, stop)
            threading.Thread(target=self._ask_to_stop, name="piston-stop", daemon=True).start()
        return result, bound.longest_s if runs_on else 0.0

    def _plain(self, server: Server, runtime: PistonRuntime, bound: Bounds) -> tuple[RunResult, float]:
        if self._request.aws.mode is not AwsMode.NONE:
            raise InputRefused("piston_package_without_aws", language=runtime.language)
        listener = Listener(None, self._request.limits, self._emit)
        listener.stage("run")
        body = as_body(instructions.unsupervised(self._request, runtime, bound))
        listener.replay(server.execute(body, bound.longest_s + _LATE_S))
        return endings.result(self._request, bound, listener.compile, listener.run, self._stopped.is_set()), 0.0

    def _emit(self, event: RunEvent) -> None:
        with self._finishing:
            if not self._finished:
                self.events.put(event)

    def _emit_and(self, begun: Callable[[], None]) -> Callable[[RunEvent], None]:
        def emit(event: RunEvent) -> None:
            if isinstance(event, StageChanged):
                begun()
            self._emit(event)

        return emit

    def _opened(self, connection: ClientConnection) -> None:
        self._connection = connection

    # --- stopping it

    def _stop_by(self, server: Server, body: bytes) -> None:
        self._stop_it = lambda: _execute(server, body, cookie_of(self._connection))

    def _stop(self) -> None:
        """Have the supervisor end the program; where there is none, or it does not listen, leave the job to its time limit."""
        give_up_at = time.monotonic() + _STOP_WITHIN_S
        while not self._over.wait(_LOOK_S) and time.monotonic() < give_up_at:
            if self._stop_it:
                self._ask_to_stop()
                self._over.wait(_STOP_AGAIN_S)
        if not self._over.is_set():
            self._abandon()

    def _ask_to_stop(self) -> None:
        if self._stop_it:
            self._stop_it()

    def _abandon(self) -> None:
        self._abandoned = True
        if self._connection:
            self._connection.close()
        else:
            self._finish(endings.cancelled())


def _execute(server: Server, body: bytes, cookie: str) -> None:
    try:
        server.execute(body, _STOPPING_S, cookie)
    except (
        CodeCoachError,
        NotBegun,
        OverLimit,
        RuntimeError,
    ) as error:  # the last where the client was closed meanwhile
        _log.warning("a job of Piston at %s could not be told to stop: %s", server.url, error)
