"""How a program that runs elsewhere gets to the simulated AWS on this machine."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Admission:
    """What one run needs to get through: the endpoint as its program sees it, and the access key by which it is known there."""

    endpoint_url: str
    access_key_id: str


class Gate(Protocol):
    """The way in; `codecoach.aws.gateway` is one."""

    def admit(self, host: str, port: int) -> AbstractContextManager[Admission]:
        """Let one run through to this address until the context ends. Raises `SimulationError`."""
        ...
