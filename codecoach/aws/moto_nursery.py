"""The process that simulated AWS accounts are forked from.

moto takes seconds to start; a fork of a process in which it is warm and seeded takes milliseconds. So one parent loads
everything once and forks a server per user session. It is a program of its own, `python -m codecoach.aws.moto_nursery`,
started by `aws.simulated`, and speaks JSON lines over its standard streams:

    ->  {"open": "s1"}     <-  {"port": 40001}   the server of s1, forked where there is none (alive); marks it as used
    ->  {"end": "s1"}      <-  {}                ended, with all it holds
    (when warm)            <-  {"pid": 4711}     the first line

Only the app holds the other ends. When they close, however the app died, the parent ends; the kernel then ends the
servers. What a user's program sends reaches only its own server, which holds no end of these streams and cannot connect
out, start programs or write files (moto itself would, for an SNS subscription or a recording).
"""

import argparse
import ctypes
import gc
import json
import logging
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue
    from moto.backends import SERVICE_NAMES
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

MEMORY_BYTES = 768 * 1024 * 1024
LOOK_EVERY_S = 30.0
# Built before forking, so that the first call to them is as fast as the second.
WARM_SERVICES: "tuple[SERVICE_NAMES, ...]" = (
    "ec2",
    "s3",
    "dynamodb",
    "sqs",
    "sns",
    "sts",
    "iam",
    "lambda",
    "logs",
    "cloudformation",
    "secretsmanager",
    "ssm",
    "kms",
)
_PR_SET_PDEATHSIG = 1
_FORBIDDEN = (
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.kill",
    "os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree", "ctypes.dlopen",
)  # fmt: skip


@dataclass
class _Server:
    pid: int
    port: int
    used_at: float


class Nursery:
    """Keeps one server per session; at most `sessions` of them, each for `idle_s` seconds after its last use."""

    def __init__(self, app: "DomainDispatcherApplication", sessions: int, idle_s: float) -> None:
        self._app = app
        self._sessions = sessions
        self._idle_s = idle_s
        self._servers: dict[str, _Server] = {}

    def open(self, session: str) -> dict[str, int]:
        self.tidy()
        server = self._servers.get(session)
        if server is None:
            if len(self._servers) >= self._sessions:
                self.end(min(self._servers, key=lambda name: self._servers[name].used_at))
            server = self._servers[session] = self._fork()
        server.used_at = time.monotonic()
        return {"port": server.port}

    def end(self, session: str) -> dict[str, int]:
        server = self._servers.pop(session, None)
        if server is not None:
            os.kill(server.pid, signal.SIGKILL)
            os.waitpid(server.pid, 0)
        return {}

    def tidy(self) -> None:
        """Forget the servers that died and end the idle ones."""
        for session, server in list(self._servers.items()):
            if os.waitpid(server.pid, os.WNOHANG) != (0, 0):
                del self._servers[session]
            elif time.monotonic() - server.used_at > self._idle_s:
                self.end(session)

    def _fork(self) -> _Server:
        # Listening before the fork: whoever is told the port can connect at once.
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port = listener.getsockname()[1]
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_server(self._app, listener, parent)
        listener.close()
        return _Server(pid, port, time.monotonic())


def _become_server(app: "DomainDispatcherApplication", listener: socket.socket, parent: int) -> NoReturn:
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        # A program must not be able to fill the machine's memory by uploading.
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        gc.enable()
        host, port = listener.getsockname()
        server = make_server(host, port, app, threaded=True, request_handler=MotoRequestHandler, fd=listener.fileno())
        sys.addaudithook(_refuse)
        server.serve_forever()
    finally:
        os._exit(1)


def _create_app(service: "SERVICE_NAMES") -> "Flask":
    from moto.moto_server.werkzeug_app import create_backend_app

    app = create_backend_app(service)
    app.register_error_handler(Exception, _failed)
    return app


def _failed(error: Exception) -> "ResponseReturnValue":
    """What moto cannot do becomes an answer that every SDK reads as an error of the service.

    501 and 507 are not retried; the page Flask would send is XML to no SDK and makes boto3 fail in its parser.
    """
    if isinstance(error, HTTPException):
        return error
    if isinstance(error, MemoryError):
        return "", 507
    return "", 501 if isinstance(error, OSError | NotImplementedError) else 500


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN or (event == "open" and _writes(args)):
        raise PermissionError(f"the simulated AWS does not do that: {event}")


def _writes(args: tuple[Any, ...]) -> bool:
    flags = args[2] if isinstance(args[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _warm(region: str) -> "DomainDispatcherApplication":
    """Load moto, seed the account, and return the WSGI application that serves it."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="seed",
        AWS_SECRET_ACCESS_KEY="seed",  # noqa: S106 - moto takes any
        # moto would write larger uploads into files.
        MOTO_S3_DEFAULT_KEY_BUFFER_SIZE=str(MEMORY_BYTES),
    )
    from moto import mock_aws
    from moto.core.config import default_user_config
    from moto.moto_api._internal import mock_random
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    from codecoach.aws.seed import seed

    # Without docker a Lambda function or a Batch job answers at once and runs nothing.
    default_user_config["lambda"] = default_user_config["batch"] = {"use_docker": False}
    # The same instance ids after every start.
    mock_random.seed(region)
    mock = mock_aws()
    mock.start()
    seed(region)
    mock.stop(remove_data=False)
    mock_random.seed()
    app = DomainDispatcherApplication(_create_app)
    for service in WARM_SERVICES:
        app.app_instances[service] = _create_app(service)
    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--region", required=True)
    parser.add_argument("--sessions", type=int, required=True)
    parser.add_argument("--idle-s", type=float, required=True)
    options = parser.parse_args()
    # Ctrl-C in the terminal reaches the whole group; the app decides when this ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    gc.disable()
    nursery = Nursery(_warm(options.region), options.sessions, options.idle_s)
    gc.collect()
    gc.freeze()
    with suppress(ConnectionError):  # the app may be gone with our words unread
        _answer({"pid": os.getpid()})
        _serve(nursery)


def _serve(nursery: Nursery) -> None:
    while True:
        readable, _, _ = select.select([0], [], [], LOOK_EVERY_S)
        if not readable:
            nursery.tidy()
            continue
        # One request at a time: the app waits for each answer, so a read never holds two lines.
        line = os.read(0, 65536)
        if not line:
            return
        command, session = next(iter(json.loads(line).items()))
        _answer(nursery.open(session) if command == "open" else nursery.end(session))


def _answer(message: dict[str, int]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
