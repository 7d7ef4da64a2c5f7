"""One way out of a sandbox: a port on its loopback that reaches exactly one address on this machine.

The sandbox's network namespace holds nothing but loopback. A child of the launcher joins that namespace, opens the
listening socket there and hands it back; the launcher accepts on it and relays from its own namespace.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
from contextlib import suppress

PORT = 4566
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NS_GET_USERNS = 0xB701  # the user namespace that owns a namespace. Source: ioctl_ns(2)
_CHUNK = 65536
_CONNECTIONS = 128  # at a time and sandbox; the launcher serves others too
_libc = ctypes.CDLL(None, use_errno=True)


def listening_socket(init: int) -> socket.socket:
    """A socket that listens on 127.0.0.1:PORT inside the network namespace of process `init`; OSError."""
    ours, childs = socket.socketpair()
    with ours, childs:
        child = os.fork()  # setns into a user namespace needs a process of its own, with one thread
        if child == 0:
            _listen_there(init, childs)
        childs.close()
        try:
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        finally:
            os.waitpid(child, 0)
    if not fds:
        raise OSError("the sandbox's network cannot be joined")
    return socket.socket(fileno=fds[0])


def _listen_there(init: int, answer: socket.socket) -> None:
    """Run by the child; never returns."""
    try:
        network = os.open(f"/proc/{init}/ns/net", os.O_RDONLY)
        owner = fcntl.ioctl(network, _NS_GET_USERNS)
        for namespace, kind in ((owner, _CLONE_NEWUSER), (network, _CLONE_NEWNET)):
            if _libc.setns(namespace, kind) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", PORT))
            listener.listen(128)
            socket.send_fds(answer, [b"."], [listener.fileno()])
    finally:
        os._exit(0)


class Forward:
    """Relays connections of one sandbox until it is closed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, init: int) -> None:
        listener = listening_socket(init)
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
