"""The gateway lets a run through to its own simulated AWS, as long as it goes on, and nobody else."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from codecoach.aws import gateway as gateways
from codecoach.aws.gateway import Gateway
from codecoach.errors import SimulationError
from codecoach.runner.gate import Admission


@contextmanager
def answering(word: str) -> Iterator[tuple[str, int]]:
    """A server that answers with its word and what it was sent, and keeps its connections."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = f"{word} {self.path} {self.headers['Host']} ".encode()
            body += self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway("127.0.0.1:0")
    yield made
    made.close()


def signed(key: str) -> dict[str, str]:
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/s3/aws4_request, Signature=0"}


def connection(endpoint_url: str) -> HTTPConnection:
    return HTTPConnection(endpoint_url.removeprefix("http://"), timeout=20)


def asked(endpoint_url: str, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    here = connection(endpoint_url)
    try:
        here.request("GET", path, headers=headers or {})
        answer = here.getresponse()
        return answer.status, answer.read().decode()
    finally:
        here.close()


def status_or_none(run: Admission) -> int | None:
    """What a request of a run comes to; None where it is not heard."""
    try:
        return asked(run.endpoint_url, "/", signed(run.access_key_id))[0]
    except (OSError, HTTPException):
        return None


def wait_until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_run_reaches_the_one_that_it_was_admitted_to(gateway):
    with answering("one") as one, answering("two") as two, gateway.admit(*one) as first, gateway.admit(*two) as second:
        assert first.access_key_id != second.access_key_id
        own_host = first.endpoint_url.removeprefix("http://")
        assert asked(first.endpoint_url, "/a", signed(first.access_key_id)) == (200, f"one /a {own_host} ")
        assert asked(second.endpoint_url, "/b", signed(second.access_key_id)) == (200, f"two /b {own_host} ")


def test_a_presigned_address_is_known_by_its_key_too(gateway):
    with answering("one") as one, gateway.admit(*one) as run:
        path = f"/x?X-Amz-Credential={run.access_key_id}%2F20260101%2Fus-east-1%2Fs3%2Faws4_request"
        assert asked(run.endpoint_url, path)[0] == 200


def test_large_bodies_and_several_requests_go_over_one_connection(gateway):
    with answering("one") as one, gateway.admit(*one) as run:
        here = connection(run.endpoint_url)
        for size in (0, 3_000_000, 5):
            here.request("PUT", "/", body=b"x" * size, headers=signed(run.access_key_id))
            assert here.getresponse().read().count(b"x") == size
        here.close()


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic eDp5"}, signed("simulated"), signed("SIM" + "0" * 32), signed("x" * 60_000)],
)
def test_who_has_no_key_of_a_run_is_refused(gateway, headers):
    with answering("one") as one, gateway.admit(*one) as run:
        status, body = asked(run.endpoint_url, "/", headers)
    assert status == 403
    assert "AccessDenied" in body


def test_a_key_is_good_until_its_run_ends_and_open_connections_end_with_it(gateway):
    with answering("one") as one:
        with gateway.admit(*one) as run:
            here = connection(run.endpoint_url)
            here.request("GET", "/", headers=signed(run.access_key_id))
            here.getresponse().read()
            held = here.sock
        assert held.recv(1) == b"", "the connection was cut"
        here.close()
        assert asked(run.endpoint_url, "/", signed(run.access_key_id))[0] == 403


def test_who_says_nothing_takes_no_more_than_a_part_of_the_connections(gateway, monkeypatch):
    monkeypatch.setattr(gateways, "_UNKNOWN", 3)
    with answering("one") as one, gateway.admit(*one) as run, ExitStack() as silent:
        here = connection(run.endpoint_url)
        here.connect()
        host, port = here.sock.getpeername()
        here.close()
        held = [silent.enter_context(socket.create_connection((host, port), timeout=20)) for _ in range(4)]
        assert held[3].recv(1) == b"", "one too many"
        held[0].close()  # and who comes next may speak again
        wait_until(lambda: status_or_none(run) == 200)


def test_one_run_leaves_connections_to_the_others(gateway, monkeypatch):
    monkeypatch.setattr(gateways, "_OF_ONE_RUN", 2)
    with answering("one") as one, gateway.admit(*one) as greedy, gateway.admit(*one) as modest:
        held = [connection(greedy.endpoint_url) for _ in range(2)]
        for here in held:
            here.request("GET", "/", headers=signed(greedy.access_key_id))
            assert here.getresponse().read()
        assert asked(greedy.endpoint_url, "/", signed(greedy.access_key_id))[0] == 503
        assert asked(modest.endpoint_url, "/", signed(modest.access_key_id))[0] == 200
        for here in held:
            here.close()
        wait_until(lambda: status_or_none(greedy) == 200)


def test_an_address_that_cannot_be_had_is_an_error_of_ours(gateway):
    with answering("taken") as taken:
        other = Gateway(f"127.0.0.1:{taken[1]}")
        with pytest.raises(SimulationError), other.admit(*taken):
            pass
        other.close()
