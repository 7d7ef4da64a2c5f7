"""Who may run now: so many programs at a time on each server, first come first served."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from codecoach import languages
from codecoach.errors import RunnerFull, RunnerUnavailable, RuntimeMissing
from codecoach.runner.piston.server import Server

_LOOK_EVERY_S = 2.0


def look(servers: Sequence[Server]) -> list[Server]:
    """The servers that answer; where none is known to, each is asked again."""
    for server in servers:
        server.look()
    if all(server.problem for server in servers):
        for server in servers:
            server.look_now()
    return [server for server in servers if not server.problem]


@dataclass(eq=False)
class _Ticket:
    language: str
    refused_by: set[Server]
    server: Server | None = None


class Places:
    """Hands out places on servers; safe to use from any thread."""

    def __init__(self, servers: Sequence[Server], at_once: int, queue: int) -> None:
        self._servers = servers
        self._at_once = at_once
        self._queue = queue
        self._changed = threading.Condition()
        self._taken = dict.fromkeys(servers, 0)
        self._waiting: list[_Ticket] = []

    def take(
        self, language: str, refused_by: set[Server], moved: Callable[[int], None], stopped: threading.Event
    ) -> Server | None:
        """A place on a server that has the language; None when `stopped` is set meanwhile (call `wake` then).

        refused_by  servers that already refused this job
        moved       is told the position, 1 being next, whenever it changes

        Raises `RunnerUnavailable` where no server answers, `RuntimeMissing` where none has the language, `RunnerFull`.
        """
        ticket, told, given = _Ticket(language, refused_by), -1, False
        with self._changed:
            self._waiting.append(ticket)
        try:
            while not stopped.is_set():
                self._look(ticket)
                with self._changed:
                    self._assign()
                    if self._position(ticket) == told and not stopped.is_set():
                        self._changed.wait(_LOOK_EVERY_S)
                    position = self._position(ticket)
                if position == 0:
                    given = True
                    return ticket.server
                if told < 0 and position > self._queue:
                    raise RunnerFull(waiting=self._queue)
                if position != told:
                    told = position
                    moved(position)
            return None
        finally:
            with self._changed:
                if ticket in self._waiting:
                    self._waiting.remove(ticket)
                elif ticket.server and not given:
                    self._taken[ticket.server] -= 1
                self._assign()
                self._changed.notify_all()

    def give_back(self, server: Server) -> None:
        with self._changed:
            self._taken[server] -= 1
            self._assign()
            self._changed.notify_all()

    def wake(self) -> None:
        """Have everybody who waits look whether it is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def _look(self, ticket: _Ticket) -> None:
        answering = look(self._servers)
        if not answering:
            problems = "; ".join(f"{server.url}: {server.problem}" for server in self._servers)
            raise RunnerUnavailable(detail=problems)
        fitting = [server for server in answering if server.runtime(ticket.language)]
        if not fitting:
            raise RuntimeMissing(language=languages.BY_ID[ticket.language].label)
        if all(server in ticket.refused_by for server in fitting):
            raise RunnerUnavailable(detail="no server takes the job")

    def _position(self, ticket: _Ticket) -> int:
        """0 once it has a place."""
        return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0

    def _assign(self) -> None:
        """Give free places to who waits for longest and can use them; called under the lock."""
        for ticket in list(self._waiting):
            free = [server for server in self._servers if self._fits(server, ticket)]
            if free:
                ticket.server = min(free, key=lambda server: self._taken[server])
                self._taken[ticket.server] += 1
                self._waiting.remove(ticket)

    def _fits(self, server: Server, ticket: _Ticket) -> bool:
        free = self._taken[server] < self._at_once and server not in ticket.refused_by
        return free and not server.problem and server.runtime(ticket.language) is not None
