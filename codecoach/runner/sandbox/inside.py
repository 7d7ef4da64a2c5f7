"""Sockets on the loopback of a sandbox, held by this process.

The sandbox's network namespace holds nothing but loopback. The sockets are opened in there; who has them serves from its own
namespace. Root visits that namespace itself. Anybody else has a child join it, which cannot come back but hands them over.
"""

import ctypes
import fcntl
import os
import socket
from contextlib import suppress
from typing import Literal

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NS_GET_USERNS = 0xB701  # the user namespace that owns a namespace. Source: ioctl_ns(2)
_libc = ctypes.CDLL(None, use_errno=True)

Port = tuple[int, Literal["tcp", "udp"]]


def sockets_inside(init: int, *ports: Port) -> list[socket.socket]:
    """Sockets on 127.0.0.1 inside the network namespace of process `init`, those of TCP listening; OSError."""
    if os.geteuid() == 0:
        with suppress(PermissionError):  # a root without the right to come back, as in many containers
            return _visiting(init, ports)
    return _by_a_child(init, ports)


def _visiting(init: int, ports: tuple[Port, ...]) -> list[socket.socket]:
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/proc/{init}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _join(home, _CLONE_NEWNET)  # where we are already: whoever may do this may come back
        _join(there, _CLONE_NEWNET)
        try:
            return [_opened(*port) for port in ports]
        finally:
            _join(home, _CLONE_NEWNET)
    finally:
        os.close(home)
        os.close(there)


def _by_a_child(init: int, ports: tuple[Port, ...]) -> list[socket.socket]:
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
            _join(namespace, kind)
        opened = [_opened(*port) for port in ports]
        socket.send_fds(answer, [b"."], [one.fileno() for one in opened])
    finally:
        os._exit(0)


def _join(namespace: int, kind: int) -> None:
    if _libc.setns(namespace, kind) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _opened(port: int, kind: str) -> socket.socket:
    made = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", port))
    if kind == "tcp":
        made.listen(128)
    return made
