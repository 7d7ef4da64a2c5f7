"""The way out of a sandbox to AWS's endpoints, as the launcher sees it: sockets inside, and a process that serves them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Protocol

from codecoach.runner.sandbox.inside import sockets_inside
from codecoach.runner.sandbox.process import SPARE_UID

GATE = (sys.executable, "-m", "codecoach.runner.aws_gate")
_HTTPS, _DNS = 443, 53
FILES = {
    "/etc/resolv.conf": b"nameserver 127.0.0.1\noptions timeout:5 attempts:2\n",
    "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
}
"""How programs inside find the gate's name server."""


class WayOut(Protocol):
    """What a sandbox may reach beyond itself."""

    async def open(self, init: int) -> None:
        """Open it for the sandbox whose init is this process. Raises OSError."""
        ...

    def close(self) -> None: ...


class AwsEndpoints:
    """AWS's own endpoints over TLS, and nothing else."""

    def __init__(self, gate: Sequence[str] = GATE) -> None:
        """`gate` is the command that serves."""
        self._gate = gate
        self._process: subprocess.Popen[bytes] | None = None

    async def open(self, init: int) -> None:
        sockets = sockets_inside(init, (_HTTPS, "tcp"), (_DNS, "udp"))
        fds = [one.fileno() for one in sockets]
        try:
            self._process = subprocess.Popen(
                [*self._gate, *map(str, fds), str(SPARE_UID)],
                stdin=subprocess.PIPE,  # never written to; ends with this process, however that ends
                env={"PATH": os.environ.get("PATH", os.defpath)},
                pass_fds=fds,
            )
        finally:
            for one in sockets:
                one.close()

    def close(self) -> None:
        if self._process and self._process.stdin:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
