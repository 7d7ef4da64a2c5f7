"""The gateway: one port for programs on other machines, behind it the simulated AWS of each one's user.

Which one a connection goes to is told by the access key that its first request is signed with: an unguessable one for each
run, good until the run ends. A path or a host name would not do: services answer with addresses of their own (a queue's URL,
for example), which the SDKs then call; what is signed with stays the same. A connection without such a key goes nowhere.

    program ── GET /... Authorization: AWS4-HMAC-SHA256 Credential=SIM1F0A.../... ──> gateway ──> moto of that user's session
"""

import asyncio
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from codecoach.errors import SimulationError
from codecoach.runner.gate import Admission

_CREDENTIAL = re.compile(rb"Credential=(SIM[0-9A-F]{32})(?:/|%2F)")  # of a header, or of a presigned URL
_HEAD_BYTES = 64 * 1024
_HEAD_WITHIN_S = 30.0
_START_WITHIN_S = 10.0
_CHUNK = 65536
# At a time. They are descriptors of the web app's own process, two for each that is let through, of often only 1024 in all.
_CONNECTIONS = 256
_OF_ONE_RUN = 96  # or one program would keep out all others
_UNKNOWN = 96  # who has not said yet whose run it is
_REFUSAL = b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
_Relay = asyncio.Task[None]


class Gateway:
    """Listens from the first `admit` on. Safe to use from any thread.

    address  `host:port`, by number, at which the programs reach this machine; port 0 takes any free one
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._targets: dict[str, tuple[str, int]] = {}
        self._relays: dict[_Relay, str] = {}
        self._unknown = 0

    @contextmanager
    def admit(self, host: str, port: int) -> Iterator[Admission]:
        """Let one run through to the simulated AWS at `host:port`. Raises `SimulationError` where nobody can listen."""
        loop = self._listening()
        key = f"SIM{secrets.token_hex(16).upper()}"
        self._targets[key] = (host, port)
        try:
            yield Admission(f"http://{self._host}:{self._port}", key)
        finally:
            del self._targets[key]
            loop.call_soon_threadsafe(self._cut, key)

    def close(self) -> None:
        """End every connection; a later `admit` listens again."""
        with self._starting:
            if self._loop and self._server:
                self._loop.call_soon_threadsafe(self._server.close)
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
            self._loop = None

    def _listening(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(loop,), name="aws-gateway", daemon=True)
                self._thread.start()
                try:
                    asyncio.run_coroutine_threadsafe(self._open(), loop).result(_START_WITHIN_S)
                except (OSError, TimeoutError) as error:
                    loop.call_soon_threadsafe(loop.stop)
                    raise SimulationError(detail=f"{self._host}:{self._port}: {error}") from error
                self._loop = loop
            return self._loop

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accepted, self._host, self._port, limit=_HEAD_BYTES)
        self._port = self._server.sockets[0].getsockname()[1]

    def _cut(self, key: str) -> None:
        for relay, through in list(self._relays.items()):
            if through == key:
                relay.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        relay = asyncio.current_task()
        try:
            head = await self._head(reader)
            key = _key(head)
            target = self._targets.get(key)
            if target is None or relay is None:
                writer.write(_refusal(b"403 Forbidden", b"AccessDenied", b"No run that goes on has this access key."))
                await writer.drain()
                return
            if not self._has_room(key):  # SDKs try again
                writer.write(_refusal(b"503 Slow Down", b"SlowDown", b"Too many connections at a time."))
                await writer.drain()
                return
            self._relays[relay] = key
            answers, there = await asyncio.open_connection(*target)
            there.write(head)
            await asyncio.gather(_pump(reader, there), _pump(answers, writer))
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the program sees its connection end; that is the answer
        finally:
            if relay:
                self._relays.pop(relay, None)
            for end in (writer, there):
                if end:
                    end.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        """The first request without its body; an OSError where too many wait to be heard, or it does not come in time."""
        if self._unknown >= _UNKNOWN:
            raise ConnectionRefusedError
        self._unknown += 1
        try:
            async with asyncio.timeout(_HEAD_WITHIN_S):
                return await reader.readuntil(b"\r\n\r\n")
        finally:
            self._unknown -= 1

    def _has_room(self, key: str) -> bool:
        of_this_run = sum(through == key for through in self._relays.values())
        return len(self._relays) < _CONNECTIONS and of_this_run < _OF_ONE_RUN


def _refusal(status: bytes, code: bytes, message: bytes) -> bytes:
    body = b"<Error><Code>%s</Code><Message>%s</Message></Error>" % (code, message)
    return _REFUSAL % (status, len(body), body)


def _key(head: bytes) -> str:
    found = _CREDENTIAL.search(head)
    return found[1].decode() if found else ""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction, then say so to the other side."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """The thread of a loop, which ends what is left of it when it is stopped."""
    asyncio.set_event_loop(loop)
    loop.run_forever()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
