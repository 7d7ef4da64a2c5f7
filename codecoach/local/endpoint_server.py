"""Runs the endpoint's application, on loopback alone: in this thread until stopped, or in a thread of its own."""

import logging
import socket
import threading
import time
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

# What still streams when the endpoint ends is cut after this long.
_GRACE_S = 1


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes any free one. Raises OSError that names the port."""
    # With the protocol named, asyncio sends small frames at once; else each first text waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"port {port}: {error.strerror}") from error
    listener.listen(256)
    return listener


def url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def server(app: ASGIApp) -> uvicorn.Server:
    """A server that says nothing of its own: requests are logged by the application, cut connections are meant."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=60,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )


class ThreadedServer:
    """The endpoint in a thread of this process, for as long as the `with` lasts."""

    def __init__(self, app: ASGIApp) -> None:
        self._listener = bind(0)
        self.url = url(self._listener)
        self._server = server(app)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    def start(self) -> None:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> "ThreadedServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
