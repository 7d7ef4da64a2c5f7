"""`python -m codecoach.runner.aws_gate TCP_FD UDP_FD USER_ID`: serves until standard input ends, as it does with the launcher."""

import asyncio
import concurrent.futures.thread  # noqa: F401 - used by lookups, and not readable any more for the spare user
import encodings.idna  # noqa: F401 - the same
import os
import resource
import socket
import sys

from codecoach.runner.aws_gate.addresses import PublicAddresses
from codecoach.runner.aws_gate.relay import Gate, Resolve

_DESCRIPTORS = 512
_MEMORY_BYTES = 512 * 1024 * 1024
_CPU_S = 300
_NICENESS = 5  # as a sandbox


async def serve(tcp_fd: int, udp_fd: int, resolve: Resolve) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, over.set)
    gate = Gate(resolve)
    await gate.open(socket.socket(fileno=tcp_fd), socket.socket(fileno=udp_fd))
    await over.wait()
    gate.close()


def main(resolve: Resolve) -> None:
    tcp_fd, udp_fd, user = map(int, sys.argv[-3:])
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    # What a program makes it do counts for the program: it must not take the processor from others for that.
    os.nice(_NICENESS)
    for name, most in (
        (resource.RLIMIT_NOFILE, _DESCRIPTORS),
        (resource.RLIMIT_DATA, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S),
    ):
        _, highest = resource.getrlimit(name)
        bound = most if highest == resource.RLIM_INFINITY else min(most, highest)
        resource.setrlimit(name, (bound, bound))
    asyncio.run(serve(tcp_fd, udp_fd, resolve))


if __name__ == "__main__":
    main(PublicAddresses())
