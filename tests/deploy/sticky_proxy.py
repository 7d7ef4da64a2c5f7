"""A load balancer of two lines' worth: people stay on their instance by a cookie, and go to another when theirs is gone.

As an Application Load Balancer with `stickiness.type: lb_cookie` does it for HTTP/1.1 and websockets.
"""

import asyncio
import re
import threading
from contextlib import suppress

COOKIE = "AWSALB"
_CHOSEN = re.compile(rf"{COOKIE}=(\d+)".encode())


class StickyProxy:
    """Serves on loopback, from a thread of its own, until `close`."""

    def __init__(self, backends: list[int]) -> None:
        """backends: ports on this machine."""
        self._backends = backends
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, "127.0.0.1", 0), self._loop
        ).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            number, answers, there = await self._connect(_CHOSEN.search(head))
            there.write(head)
            await asyncio.gather(_pump(reader, there), self._answer(answers, writer, number))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # its client sees the connection end
        finally:
            for end in (writer, there):
                if end:
                    end.close()

    async def _connect(self, chosen: re.Match[bytes] | None) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        """The instance that the cookie names, else the next; one that is gone is passed over."""
        if chosen is None:
            self._turn += 1
        first = int(chosen[1]) if chosen else self._turn
        for step in range(len(self._backends)):
            number = (first + step) % len(self._backends)
            with suppress(OSError):
                return number, *await asyncio.open_connection("127.0.0.1", self._backends[number])
        raise ConnectionRefusedError

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        head = await answers.readuntil(b"\r\n\r\n")
        writer.write(head.replace(b"\r\n", f"\r\nSet-Cookie: {COOKIE}={number}; Path=/\r\n".encode(), 1))
        await _pump(answers, writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
