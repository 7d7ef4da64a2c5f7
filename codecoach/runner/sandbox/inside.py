"""Sockets on the loopback of a sandbox, held by this process.

The sandbox's network namespace holds nothing but loopback. A child joins that namespace, opens the sockets there and hands
them back; who has them serves from its own namespace.
"""

import ctypes
import fcntl
import os
import socket
from typing import Literal

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NS_GET_USERNS = 0xB701  # the user namespace that owns a namespace. Source: ioctl_ns(2)
_libc = ctypes.CDLL(None, use_errno=True)

Port = tuple[int, Literal["tcp", "udp"]]


def sockets_inside(init: int, *ports: Port) -> list[socket.socket]:
    """Sockets on 127.0.0.1 inside the network namespace of process `init`, those of TCP listening; OSError."""
    ours, childs = socket.socketpair()
    with ours, childs:
        child = os.fork()  # setns into a user namespace needs a process of its own, with one thread
        if child == 0:
            _open_there(init, ports, childs)
        childs.close()
        try:
            _, fds, _, _ = socket.recv_fds(ours, 1, len(ports))
        finally:
            os.waitpid(child, 0)
    found = [socket.socket(fileno=fd) for fd in fds]
    if len(found) != len(ports):
        for one in found:
            one.close()
        raise OSError("the sandbox's network cannot be joined")
    return found


def _open_there(init: int, ports: tuple[Port, ...], answer: socket.socket) -> None:
    """Run by the child; never returns."""
    try:
        network = os.open(f"/proc/{init}/ns/net", os.O_RDONLY)
        owner = fcntl.ioctl(network, _NS_GET_USERNS)
        # As the owner's root also ports below 1024 may be opened.
        for namespace, kind in ((owner, _CLONE_NEWUSER), (network, _CLONE_NEWNET)):
            if _libc.setns(namespace, kind) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        opened = [_opened(*port) for port in ports]
        socket.send_fds(answer, [b"."], [one.fileno() for one in opened])
    finally:
        os._exit(0)


def _opened(port: int, kind: str) -> socket.socket:
    made = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", port))
    if kind == "tcp":
        made.listen(128)
    return made
