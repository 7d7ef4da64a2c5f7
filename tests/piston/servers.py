"""Real HTTP servers on loopback that fail as servers and networks do."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

Fault = Callable[["Handler", bytes], None]
"""Answers one request in place of the file."""


class Files:
    """Files by path, and faults that come first, in order, when a path is asked for."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: ClassVar[Files]

    def do_GET(self) -> None:
        files = self.files
        with files.lock:
            files.asked.append((self.path, self.headers.get("Range")))
            faults = files.faults.get(self.path, [])
            fault = faults.pop(0) if faults else None
            content = files.content.get(self.path)
        if fault:
            fault(self, content or b"")
        elif content is None:
            self.answer(404, b"Not Found")
        else:
            self.send_part(content)

    def send_part(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked and start >= len(content):
            self.answer(416, b"")
        elif asked:
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.answer(206, content[start:], {"Content-Range": whole})
        else:
            self.answer(200, content)

    def answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


def status(code: int, **headers: str) -> Fault:
    """An answer with this status, such as `status(429, Retry_After="7")`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.answer(code, b"fault", named)


def cut_after(count: int) -> Fault:
    """The connection breaks off after so many bytes of what was asked for."""

    def fault(handler: Handler, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start : start + count])
        handler.close_connection = True

    return fault


def instead(other: bytes) -> Fault:
    return lambda handler, _: handler.answer(200, other)


def whole(handler: Handler, content: bytes) -> None:
    """The file from its start, whatever range was asked for."""
    handler.answer(200, content)


def another_part(handler: Handler, content: bytes) -> None:
    """A part that was not asked for."""
    handler.answer(206, content[1:], {"Content-Range": f"bytes 1-{len(content) - 1}/{len(content)}"})


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server of its own thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def file_server() -> Iterator[Files]:
    files = Files()
    with serving(type("Bound", (Handler,), {"files": files})) as files.address:
        yield files
