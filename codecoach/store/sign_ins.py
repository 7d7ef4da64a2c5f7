"""Open sign-ins, and the one-time tickets that begin them. Of every secret only the SHA-256 is kept."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from codecoach.errors import VersionConflict
from codecoach.store import keys
from codecoach.store.port import Delete, Item, Key, Put, Table

TICKET_S = 30
# How long `find` may answer from memory: until the next look at the revocations, and a minute at most.
REVOCATIONS_EVERY_S = 1.0
REMEMBERED_S = 60.0
REMEMBERED = 10_000
# Two deletes each, and one more operation for the revocation, fit into one transaction.
_CLOSED_AT_ONCE = 40


@dataclass(frozen=True)
class _Remembered:
    """What was read of a sign-in, and how the revocations stood before."""

    username: str
    revocations: int
    until: float


class SignIns:
    """All open sign-ins.

    A page asks `find` at every rerun, so it mostly answers from memory. That stays true by the revocation item, whose
    version rises with every ended sign-in and which each process reads at most once a second:

        this process            find: version 7, sign-in there -> remembered "as of 7"        version 8 -> forget, read: gone
        another one                                                close: delete, version 8
    """

    def __init__(
        self,
        table: Table,
        days: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._days = days
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._memory: dict[str, _Remembered] = {}
        self._revocations = -1
        self._looked_at = float("-inf")

    def issue_ticket(self, sid: str) -> str:
        """A secret that `redeem` turns into the sid once, within `TICKET_S`.

        The item holds the sid masked by the ticket, of which it holds the hash alone: who reads the table learns neither.
        """
        ticket = secrets.token_urlsafe(32)
        masked = _masked(sid.encode(), ticket).hex()
        self._table.put(
            Item(keys.ticket(ticket), {"sid": masked}, expires_at=int(self._clock()) + TICKET_S),
            expected_version=0,
        )
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """The sid of a ticket, to exactly one caller, whatever process asks; None for any other."""
        item = self._table.get(keys.ticket(ticket))
        if item is None:
            return None
        if "redeemed_by" in item.data:
            return None
        # By a mark that nobody else can have made: where the answer to it gets lost, it is still known whose it is.
        marked = Item(item.key, {**item.data, "redeemed_by": secrets.token_hex(8)}, expires_at=item.expires_at)
        try:
            self._table.put(marked, expected_version=item.version)
        except VersionConflict:
            return None  # somebody else was quicker
        self._table.delete(item.key)
        return _masked(bytes.fromhex(str(item.data["sid"])), ticket).decode()

    def open(self, username: str) -> str:
        """Begin a sign-in and return its secret, for the browser's cookie alone."""
        sid = secrets.token_urlsafe(32)
        hashed = keys.hashed(sid)
        expires_at = int(self._clock()) + self._days * 24 * 3600
        self._table.transact(
            [
                Put(Item(keys.sign_in(hashed), {"username": username}, expires_at=expires_at), expected_version=0),
                Put(Item(keys.user_sign_in(username, hashed), {}, expires_at=expires_at), expected_version=0),
            ]
        )
        return sid

    def find(self, sid: str) -> str | None:
        """The username of an open sign-in, or None. After it was ended elsewhere, true for at most a second more."""
        hashed = keys.hashed(sid)
        as_of = self._look_at_revocations()
        with self._lock:
            known = self._memory.get(hashed)
        if known and known.revocations == as_of and self._monotonic() < known.until:
            return known.username
        item = self._table.get(keys.sign_in(hashed))
        if item is None:
            return None
        username = str(item.data["username"])
        self._remember(hashed, item, _Remembered(username, as_of, self._monotonic() + REMEMBERED_S))
        return username

    def close(self, sid: str) -> None:
        """End a sign-in."""
        hashed = keys.hashed(sid)
        item = self._table.get(keys.sign_in(hashed))
        if item:
            self._close([hashed], str(item.data["username"]))

    def close_all(self, username: str, keep_sid: str | None = None) -> None:
        """End all sign-ins of a user, but one if given; after a new password, or when the account is disabled."""
        kept = keys.hashed(keep_sid) if keep_sid else ""
        after: str | None = None
        while True:
            page = self._table.query(keys.user(username), keys.SIGN_IN, limit=_CLOSED_AT_ONCE, after=after)
            hashes = [item.key.sort.removeprefix(keys.SIGN_IN) for item in page.items]
            self._close([hashed for hashed in hashes if hashed != kept], username)
            after = page.next
            if after is None:
                return

    def _close(self, hashes: list[str], username: str) -> None:
        if not hashes:
            return
        doomed: list[Key] = []
        for hashed in hashes:
            doomed += [keys.sign_in(hashed), keys.user_sign_in(username, hashed)]
        # In one transaction: a sign-in that is gone without a revocation would live on in the memory of other processes.
        self._table.transact([*(Delete(key) for key in doomed), Put(Item(keys.REVOCATIONS, {}))])
        with self._lock:
            for hashed in hashes:
                self._memory.pop(hashed, None)
            self._looked_at = float("-inf")

    def _look_at_revocations(self) -> int:
        """The version of the revocation item, at most `REVOCATIONS_EVERY_S` old; one thread reads, the others wait for it."""
        with self._lock:
            if self._monotonic() - self._looked_at >= REVOCATIONS_EVERY_S:
                looked_at = self._monotonic()
                item = self._table.get(keys.REVOCATIONS)
                self._revocations = item.version if item else 0
                self._looked_at = looked_at
            return self._revocations

    def _remember(self, hashed: str, item: Item, known: _Remembered) -> None:
        remaining_s = (item.expires_at or 0) - self._clock()
        with self._lock:
            if len(self._memory) >= REMEMBERED:
                self._memory.clear()
            until = min(known.until, self._monotonic() + remaining_s)
            self._memory[hashed] = _Remembered(known.username, known.revocations, until)


def _masked(text: bytes, ticket: str) -> bytes:
    """The text under a mask that only the ticket gives; masked twice it is itself again."""
    mask = hashlib.shake_256(f"sign-in ticket {ticket}".encode("utf-8", "surrogatepass")).digest(len(text))
    return bytes(a ^ b for a, b in zip(text, mask, strict=True))
