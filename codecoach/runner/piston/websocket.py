"""A job over Piston's websocket: its output as it comes.

Nothing is ever sent after the first message: stdin that arrives while a job ends kills the server, and all jobs with it.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from codecoach.errors import InputRefused, RunnerUnavailable
from codecoach.runner.checking import MAX_MB
from codecoach.runner.piston import answers
from codecoach.runner.piston.answers import NotBegun
from codecoach.runner.piston.listening import Listener
from codecoach.runner.piston.server import Server

_wire = logging.getLogger("codecoach.piston.wire")
_wire.setLevel(logging.WARNING)  # below it the library logs the beginning of messages, and these hold secrets
_OPEN_S = 5.0
_CLOSE_S = 1.0
_PING_S = 20.0
_SILENT_PEER_S = 60.0
_MESSAGE_BYTES = 4 * 1024 * 1024  # 64 KB of a pipe, each byte written as \u0000 and more
_REQUEST_BYTES = 64 * 1024 * 1024
_QUEUE_S = 300.0  # in the server's own queue, which others may use as well
_LATE_S = 20.0
_DONE = 4999
_NOT_A_PISTON = (429, 502, 503, 504)  # a proxy without a server behind it; any other refusal is of the websocket alone


class NoWebsocket(Exception):
    """The server, or a proxy before it, does not speak websocket; nothing was begun."""


def converse(
    server: Server, body: bytes, longest_s: float, listener: Listener, opened: Callable[[ClientConnection], None]
) -> None:
    """Have one job done; returns when it is over, or when more came of it than should.

    longest_s  after which the server has ended it
    opened     is given the connection, for closing it from another thread

    Raises `NotBegun`, `OverLimit` or `NoWebsocket` where the job has certainly not begun, else `RunnerUnavailable`.
    """
    if len(body) > _REQUEST_BYTES:
        raise InputRefused("program_too_large", megabytes=MAX_MB)
    with ExitStack() as open_ones:
        connection = _connected(server, open_ones)
        opened(connection)
        try:
            connection.send(body.decode())
            _listen(connection, longest_s, listener)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != _DONE:
                raise RunnerUnavailable(detail=str(closed)) from closed
        except TimeoutError as silence:
            raise RunnerUnavailable(detail=f"{server.url}: no answer in time") from silence


def cookie_of(connection: ClientConnection | None) -> str:
    """What to send as `Cookie` to reach the same server again where a load balancer keeps clients to theirs by cookies."""
    answer = connection.response if connection else None
    given = answer.headers.get_all("Set-Cookie") if answer else []
    return "; ".join(cookie.split(";")[0].strip() for cookie in given)


def _connected(server: Server, open_ones: ExitStack) -> ClientConnection:
    try:
        return open_ones.enter_context(
            connect(
                server.connect_url,
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
                ping_interval=_PING_S,
                ping_timeout=_SILENT_PEER_S,
                max_size=_MESSAGE_BYTES,
                compression=None,
                proxy=None,
                logger=_wire,
            )
        )
    except InvalidStatus as refusal:
        status = refusal.response.status_code
        if status in _NOT_A_PISTON:
            raise NotBegun(f"HTTP {status}") from refusal
        raise NoWebsocket(f"HTTP {status}") from refusal
    except (OSError, InvalidHandshake, TimeoutError) as error:
        raise NotBegun(str(error) or type(error).__name__) from error


def _listen(connection: ClientConnection, longest_s: float, listener: Listener) -> None:
    """Until all has been heard, or too much; where the connection is closed before that, ends with ConnectionClosed."""
    deadline = time.monotonic() + _QUEUE_S
    while not (listener.flooded or listener.complete):
        message = _read(connection.recv(timeout=max(0.0, deadline - time.monotonic())))
        match message.get("type"):
            case "stage":
                listener.stage(str(message.get("stage")))
                deadline = time.monotonic() + longest_s + _LATE_S
            case "data":
                listener.data("stderr" if message.get("stream") == "stderr" else "stdout", str(message.get("data")))
            case "exit":
                listener.exit(answers.stage(message))
            case "error":
                _raise(str(message.get("message")), listener)


def _raise(message: str, listener: Listener) -> None:
    meaning = answers.refused(message)
    if listener.begun and not isinstance(meaning, RunnerUnavailable):
        meaning = RunnerUnavailable("piston_failed", detail=message)
    raise meaning


def _read(data: str | bytes) -> dict[str, object]:
    try:
        message = json.loads(data)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
