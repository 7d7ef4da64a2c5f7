"""One way out of a sandbox: a port on its loopback that reaches exactly one address on this machine."""

import asyncio
from contextlib import suppress

from codecoach.runner.sandbox.inside import sockets_inside

PORT = 4566
_CHUNK = 65536
_CONNECTIONS = 128  # at a time and sandbox; the launcher serves others too


class Forward:
    """Relays connections of one sandbox until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, init: int) -> None:
        (listener,) = sockets_inside(init, (PORT, "tcp"))
        listener.setblocking(False)
        self._server = await asyncio.start_server(self._accepted, sock=listener)

    def close(self) -> None:
        if self._server:
            self._server.close()
        for relay in self._relays:
            relay.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._relays) >= _CONNECTIONS:
            writer.close()
            return
        if task := asyncio.current_task():
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)
        there: asyncio.StreamWriter | None = None
        try:
            answers, there = await asyncio.open_connection(*self._target)
            await asyncio.gather(_pump(reader, there), _pump(answers, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the program sees its connection end; that is the answer
        finally:
            for end in (writer, there):
                if end:
                    end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction, then say so to the other side."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
