"""An HTTP proxy before a DynamoDB that fails as networks and services do."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class NetworkFault(StrEnum):
    CUT_BEFORE = "the connection is cut before the request arrives"
    CUT_AFTER = "it is done, and the connection is cut before the answer"
    HALF_ANSWER = "it is done, and half of the answer arrives"
    THROTTLED = "too many requests"
    BROKEN = "an internal error"


_REFUSALS = {
    NetworkFault.THROTTLED: (400, "ProvisionedThroughputExceededException"),
    NetworkFault.BROKEN: (500, "InternalServerError"),
}


class FaultyProxy:
    """Passes requests on to `target`.

    at        number of the first request that fails, the first one being 1; 0: none
    requests  how many have come since `arm`
    """

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.requests = self.struck = 0
        self._at, self._times, self._fault = 0, 0, NetworkFault.THROTTLED
        self._lock = threading.Lock()

    def arm(self, at: int, fault: NetworkFault = NetworkFault.THROTTLED, times: int = 1) -> None:
        """Count anew, and let so many requests fail from this one on."""
        with self._lock:
            self.requests = self.struck = 0
            self._at, self._times, self._fault = at, times, fault

    def next_fault(self) -> NetworkFault | None:
        with self._lock:
            self.requests += 1
            if self._at and self._at <= self.requests < self._at + self._times:
                self.struck += 1
                return self._fault
            return None


@contextmanager
def faulty_proxy(target: str) -> Iterator[tuple[str, FaultyProxy]]:
    """(its address, the proxy)."""
    proxy = FaultyProxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = proxy.next_fault()
            if fault in _REFUSALS:
                status, code = _REFUSALS[fault]
                self._answer(status, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode())
                return
            if fault is NetworkFault.CUT_BEFORE:
                self._cut()
                return
            status, answer = self._passed_on(body)
            if fault is NetworkFault.CUT_AFTER:
                self._cut()
            elif fault is NetworkFault.HALF_ANSWER:
                self._answer(status, answer, len(answer) // 2)
                self._cut()
            else:
                self._answer(status, answer)

        def _passed_on(self, body: bytes) -> tuple[int, bytes]:
            upstream = http.client.HTTPConnection(proxy.target.hostname or "", proxy.target.port, timeout=60)
            try:
                upstream.request("POST", self.path, body, {k: v for k, v in self.headers.items() if k != "Host"})
                answer = upstream.getresponse()
                return answer.status, answer.read()
            finally:
                upstream.close()

        def _answer(self, status: int, body: bytes, so_much: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:so_much])

        def _cut(self) -> None:
            # With a reset, as a machine that vanished would; and nothing that is kept alive.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", proxy
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
