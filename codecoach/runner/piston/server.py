"""One Piston: what it has, whether it answers, what it allows, and how it is spoken to over HTTP."""

import json
import logging
import threading
import time
from typing import Any

import httpx

from codecoach.errors import RunnerUnavailable
from codecoach.runner.installed import SUPERVISED_ALIAS
from codecoach.runner.piston import answers
from codecoach.runner.piston.answers import NotBegun, OverLimit, PistonRuntime

_log = logging.getLogger(__name__)
_CONNECT_S = 3.0
_LOOK_S = 5.0
_GOOD_FOR_S = 30.0
_BAD_FOR_S = 3.0
_ANSWER_BYTES = 64 * 1024 * 1024
_NAMES = {"sql": ("sql", "sqlite3")}
"""Piston's names for a language where they are not ours."""


class Server:
    """A Piston at one address. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.problem: str | None = None
        self._runtimes: tuple[PistonRuntime, ...] = ()
        self._looked_at = self._look_again_at = float("-inf")
        self._looking = threading.Lock()
        self._limits: dict[tuple[str, str], int] = {}
        # No connection is used twice: whether a job has begun would be unknown where an idle one turns out to be closed.
        single_use = httpx.Limits(max_keepalive_connections=0)
        # Certificates take a tenth of a second to load, which an address without TLS need not wait for.
        verify = self.url.startswith("https:")
        self._client = httpx.Client(base_url=f"{self.url}/api/v2/", limits=single_use, trust_env=False, verify=verify)

    @property
    def connect_url(self) -> str:
        """Of the websocket."""
        return "ws" + f"{self.url.removeprefix('http')}/api/v2/connect"

    # --- what it has

    def look(self) -> None:
        """Ask what it has where that is not known, or known for long; `problem` tells whether it answers.

        Only the very first answer is waited for: one dead server among several must not make every run wait.
        """
        if time.monotonic() < self._look_again_at:
            return
        if self._looked_at == float("-inf"):
            self.look_now()
        elif not self._looking.locked():
            threading.Thread(target=self.look_now, name="piston-look", daemon=True).start()

    def look_now(self) -> None:
        """Ask, and wait for the answer; whoever comes while somebody asks shares that answer."""
        asked_at = time.monotonic()
        with self._looking:
            if self._looked_at < asked_at:
                self._ask()
                self._looked_at = time.monotonic()

    def runtimes(self) -> tuple[PistonRuntime, ...]:
        return () if self.problem else self._runtimes

    def runtime(self, language: str) -> PistonRuntime | None:
        """The runtime to run a language with: one with the supervisor before one without, then the newest."""
        names = _NAMES.get(language, (language,))
        fitting = [runtime for runtime in self.runtimes() if any(name in runtime.names for name in names)]
        return max(fitting, key=lambda runtime: (is_supervised(runtime), _ordered(runtime.version)), default=None)

    def failed(self, problem: str) -> None:
        """Leave it out for a while."""
        _log.warning("Piston at %s: %s", self.url, problem)
        self.problem = problem
        self._look_again_at = time.monotonic() + _BAD_FOR_S

    def _ask(self) -> None:
        try:
            response = self._client.get("runtimes", timeout=httpx.Timeout(_LOOK_S, connect=_CONNECT_S))
            self._runtimes = answers.runtimes(response.raise_for_status().content)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self.failed(_said(error))
        except RuntimeError as error:  # closed while it was asked
            self.problem = _said(error)
        else:
            self.problem = None
            self._look_again_at = time.monotonic() + _GOOD_FOR_S

    # --- what it allows

    def allowed(self, language: str, name: str, wanted: int) -> int:
        """As much of a limit as the server is known to allow."""
        return min(wanted, self._limits.get((language, name), wanted))

    def learn(self, language: str, limit: OverLimit) -> None:
        self._limits[(language, limit.name)] = limit.most

    # --- running

    def execute(self, body: bytes, timeout_s: float, cookie: str = "") -> answers.Executed:
        """POST /execute.

        cookie  what a load balancer has given with an earlier answer, so that this goes where that came from

        Raises `NotBegun` or `OverLimit` where the job has certainly not begun, `InputRefused` for a body that Piston would
        not take, and `RunnerUnavailable` where nobody knows.
        """
        if len(body) > answers.BODY_BYTES:
            raise answers.failed(413, b"")
        try:
            status, content = self._post(body, timeout_s, cookie)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise NotBegun(_said(error)) from error
        except httpx.HTTPError as error:
            raise RunnerUnavailable(detail=_said(error)) from error
        if status != 200:
            raise answers.failed(status, content)
        try:
            return answers.executed(content)
        except ValueError as error:
            raise RunnerUnavailable("piston_failed", detail=str(error)) from error

    def _post(self, body: bytes, timeout_s: float, cookie: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        with self._client.stream("POST", "execute", content=body, headers=headers, timeout=timeout) as response:
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _ANSWER_BYTES:
                    raise httpx.DecodingError("the answer is too long", request=response.request)
            return response.status_code, content

    def close(self) -> None:
        self._client.close()


def is_supervised(runtime: PistonRuntime) -> bool:
    return any(alias.startswith(SUPERVISED_ALIAS) for alias in runtime.aliases)


def as_body(request: dict[str, Any]) -> bytes:
    return json.dumps(request, ensure_ascii=False).encode()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _ordered(version: str) -> tuple[int, ...]:
    """For comparing versions: 3.9.1 before 3.12.0; what is no number counts as 0."""
    return tuple(int(part) if part.isdecimal() else 0 for part in version.split("-")[0].split("."))
