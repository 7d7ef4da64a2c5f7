"""Passes TLS connections of one sandbox on to AWS, by the server name that each begins with."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from codecoach.runner.aws_gate import dns, hello
from codecoach.runner.aws_gate.addresses import Endpoint, NoAddress
from codecoach.runner.aws_gate.names import is_endpoint

_CHUNK = 65536
_DATAGRAM = 1500
# A fatal alert, which SDKs tell better than a connection that just ends. Source: RFC 8446 section 6.
_ALERT = b"\x15\x03\x03\x00\x02\x02"
_DECODE_ERROR, _UNRECOGNIZED_NAME, _INTERNAL_ERROR = 50, 112, 80

Resolve = Callable[[str], Awaitable[Sequence[Endpoint]]]

log = logging.getLogger("codecoach.aws_gate")


@dataclass(frozen=True)
class Most:
    """What one run may use of the network: connections at a time and altogether, bytes in both directions together."""

    at_a_time: int = 64
    connections: int = 4096
    total_bytes: int = 512 * 1024 * 1024
    hello_within_s: float = 10.0
    connect_within_s: float = 10.0


class _Refused(Exception):
    def __init__(self, alert: int, why: str) -> None:
        super().__init__(why)
        self.alert = alert


class Gate:
    """Serves until it is closed.

    resolve  name -> where to connect to, one after the other; raises `NoAddress`
    """

    def __init__(self, resolve: Resolve, most: Most | None = None) -> None:
        self._resolve = resolve
        self._most = most or Most()
        self._connections = 0
        self._bytes_left = self._most.total_bytes
        self._server: asyncio.Server | None = None
        self._names: socket.socket | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket, names: socket.socket | None = None) -> None:
        """Accept on `listener`, answer DNS on the datagram socket `names`."""
        self._server = await asyncio.start_server(self._accepted, sock=listener)
        if names:
            names.setblocking(False)
            self._names = names
            asyncio.get_running_loop().add_reader(names, _answer, names)

    def close(self) -> None:
        if self._names:
            asyncio.get_running_loop().remove_reader(self._names)
        if self._server:
            self._server.close()
        for relay in self._relays:
            relay.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        over = len(self._relays) >= self._most.at_a_time or self._connections > self._most.connections
        if over or self._bytes_left <= 0:
            writer.close()
            return
        if task := asyncio.current_task():
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)
        try:
            await self._relay(reader, writer)
        except _Refused as refusal:
            log.info("refused: %s", refusal)
            with suppress(OSError):
                writer.write(_ALERT + bytes([refusal.alert]))
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # the program sees its connection end; that is the answer
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name, said = await self._hello(reader)
        answers, there = await self._connected(name)
        try:
            self._spend(len(said))
            there.write(said)
            await asyncio.gather(self._pump(reader, there), self._pump(answers, writer))
        finally:
            there.close()

    async def _hello(self, reader: asyncio.StreamReader) -> tuple[str, bytes]:
        """The server name asked for, and all that was read to learn it."""
        said, name = b"", None
        try:
            async with asyncio.timeout(self._most.hello_within_s):
                while name is None:
                    data = await reader.read(_CHUNK)
                    said += data
                    if not data:
                        raise _Refused(_DECODE_ERROR, "the hello broke off")
                    name = hello.server_name(said)
        except TimeoutError:
            raise _Refused(_DECODE_ERROR, "no hello in time") from None
        except hello.NoHello as error:
            raise _Refused(_DECODE_ERROR, str(error)) from error
        if not is_endpoint(name):
            raise _Refused(_UNRECOGNIZED_NAME, "not a name of AWS's endpoints")
        return name, said

    async def _connected(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            endpoints = await self._resolve(name)
        except NoAddress as error:
            raise _Refused(_INTERNAL_ERROR, f"{name}: {error}") from error
        for host, port in endpoints:
            # By its address: nobody is asked for the name again.
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._most.connect_within_s):
                    return await asyncio.open_connection(host, port)
        raise _Refused(_INTERNAL_ERROR, f"{name} does not answer")

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy until the end of one direction, then say so to the other side."""
        while data := await reader.read(_CHUNK):
            self._spend(len(data))
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def _spend(self, count: int) -> None:
        """Count what passes; with the last allowed byte all connections end."""
        self._bytes_left -= count
        if self._bytes_left < 0:
            for relay in self._relays:
                relay.cancel()
            raise OSError("too many bytes")


def _answer(names: socket.socket) -> None:
    with suppress(OSError):
        query, asker = names.recvfrom(_DATAGRAM)
        if told := dns.answer(query):
            names.sendto(told, asker)
