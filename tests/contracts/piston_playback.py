"""A server that gives the answers recorded of a real Piston, over HTTP or the websocket, whatever it is asked."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import ServerConnection, serve

from codecoach.runner.installed import SUPERVISED_ALIAS

CAPTURES = Path(__file__).parents[1] / "captures"


def capture(name: str) -> dict:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def names(*, websocket: bool) -> list[str]:
    """Of the recorded jobs: those that went over the websocket, or over HTTP."""
    path = "/api/v2/connect" if websocket else "/api/v2/execute"
    return [name for name in sorted(file.stem for file in CAPTURES.glob("*.json")) if capture(name)["path"] == path]


class Played:
    """A running playback; `bodies` are the executions it was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict] = []


@contextmanager
def over_http(*answers: str, runtimes: str = "runtimes") -> Iterator[Played]:
    """Answer executions with these captures in turn, the last one for good, and a question for runtimes with `runtimes`."""
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("/connect"):
                self._answer(404, b'{"message":"Not Found"}', "application/json")
            else:
                self._play(capture(runtimes))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            played.bodies.append(json.loads(body))
            self._play(capture(waiting.pop(0) if len(waiting) > 1 else waiting[0]))

        def _play(self, recorded: dict) -> None:
            said = recorded["response"]
            body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
            headers = recorded.get("response_headers", {"Content-Type": "application/json"})
            self._answer(recorded["status"], body, headers.get("Content-Type"))

        def _answer(self, status: int, body: bytes, kind: str | None) -> None:
            self.send_response(status)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        played = Played(f"http://127.0.0.1:{server.server_port}")
        with _running(lambda: server.serve_forever(poll_interval=0.02), server.shutdown):
            yield played


@contextmanager
def over_websocket(name: str) -> Iterator[Played]:
    """Play one websocket's transcript, for packages that have the supervisor."""
    recorded = capture(name)
    listed = [
        {**entry, "aliases": [*entry["aliases"], SUPERVISED_ALIAS + entry["language"]]}
        for entry in capture("runtimes")["response"]
    ]

    def list_runtimes(_: ServerConnection, request) -> Response | None:
        if request.path != "/api/v2/runtimes":
            return None
        body = json.dumps(listed).encode()
        headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
        return Response(HTTPStatus.OK, "OK", headers, body)

    def play(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            played.bodies.append(json.loads(connection.recv()))
            for entry in recorded.get("transcript", []):
                said = entry.get("recv")
                if isinstance(said, dict):  # a few long ones were cut when they were recorded
                    connection.send(json.dumps(said))
            if code := _close_code(recorded):
                connection.close(code, recorded.get("close_reason", ""))
            else:
                connection.socket.shutdown(socket.SHUT_RDWR)

    with serve(play, "127.0.0.1", 0, process_request=list_runtimes, compression=None) as server:
        played = Played(f"http://127.0.0.1:{server.socket.getsockname()[1]}")
        with _running(server.serve_forever, server.shutdown):
            yield played


@contextmanager
def _running(serve_forever: Callable[[], None], shutdown: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        shutdown()
        thread.join()


def _close_code(recorded: dict) -> int | None:
    """None where the server was gone without a word."""
    if "close_code" in recorded:
        return recorded["close_code"]
    ends = [entry["end"] for entry in recorded.get("transcript", []) if "end" in entry]
    return int(re.search(r"code=(\d+)", ends[0])[1]) if ends else None
