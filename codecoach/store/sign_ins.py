"""Open sign-ins, and the one-time tickets that begin them. Of every secret only the SHA-256 is kept."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from codecoach.errors import StoreUnavailable, VersionConflict
from codecoach.store import keys
from codecoach.store.port import Delete, Item, Json, Key, Put, Table
from codecoach.store.records import from_time, to_time
from codecoach.store.revocations import Memory, Revocations

TICKET_S: Final = 30
# Activity is written down this often at most, or it would cost a write with every script run.
SEEN_EVERY_S: Final = 60.0
# An ended sign-in is kept this much longer, so that whoever comes back can be told why it ended.
KEPT_AFTER_S: Final = 24 * 3600
LONGEST_DEVICE = LONGEST_ADDRESS = 120
# Two deletes each, and one more operation for the revocation, fit into one transaction.
_CLOSED_AT_ONCE: Final = 40
_ID_LENGTH: Final = 16


class Ended(StrEnum):
    """Why a sign-in holds no more."""

    IDLE = "idle"
    TOO_LONG = "too_long"
    CLOSED = "closed"


@dataclass(frozen=True)
class SignIn:
    """One browser in which a user is signed in.

    id        tells a user's sign-ins apart; nobody can sign in with it
    seen_at   when the user was last active there, up to `SEEN_EVERY_S` behind
    device    what kind of browser it is, as it said itself; address: where it came from. Empty where unknown.
    """

    id: str
    username: str
    begun_at: datetime
    seen_at: datetime
    device: str = ""
    address: str = ""


class SignIns:
    """All open sign-ins.

    One ends when its user has not been active for `idle_s`, when `longest_s` have gone by, and when it is closed, by
    whomever. A page asks at every script run, so the answer mostly comes from memory (`store.revocations`).
    """

    def __init__(
        self,
        table: Table,
        idle_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        revocations: Revocations | None = None,
    ) -> None:
        self._table = table
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._clock = clock
        self._revocations = revocations or Revocations(table, monotonic)
        self._memory: Memory[Item] = Memory(self._revocations, monotonic)

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

    def open(self, username: str, device: str = "", address: str = "") -> str:
        """Begin a sign-in and return its secret (sid), for the browser's cookie alone."""
        self._revocations.version()  # raises where the table is not ours to use: what is restored must sign nobody in
        sid = secrets.token_urlsafe(32)
        hashed = keys.hashed(sid)
        now = from_time(self._now())
        data: dict[str, Json] = {
            "username": username,
            "begun_at": now,
            "seen_at": now,
            "device": device[:LONGEST_DEVICE],
            "address": address[:LONGEST_ADDRESS],
        }
        kept_until = int(self._clock() + self._longest_s) + KEPT_AFTER_S
        self._table.transact(
            [
                Put(Item(keys.sign_in(hashed), data, expires_at=kept_until), expected_version=0),
                Put(Item(keys.user_sign_in(username, hashed), {}, expires_at=kept_until), expected_version=0),
            ]
        )
        return sid

    def find(self, sid: str) -> str | None:
        """The username of an open sign-in, or None. After it was ended elsewhere, true for at most a second more."""
        item = self._open(keys.hashed(sid))
        return str(item.data["username"]) if item else None

    def see(self, sid: str) -> str | None:
        """As `find`, and note that the user is active, which puts off the end for want of activity."""
        hashed = keys.hashed(sid)
        item = self._open(hashed)
        if item is None:
            return None
        if (self._now() - to_time(item.data["seen_at"])).total_seconds() >= min(SEEN_EVERY_S, self._idle_s / 10):
            self._note_activity(hashed, item)
        return str(item.data["username"])

    def why_ended(self, sid: str) -> Ended:
        """Why a sign-in that is found no more has ended."""
        item = self._table.get(keys.sign_in(keys.hashed(sid)))
        return (self._ended(item) if item else None) or Ended.CLOSED

    def all_of(self, username: str) -> tuple[SignIn, ...]:
        """A user's open sign-ins, the one seen last first."""
        found: list[Item] = []
        after: str | None = None
        while True:
            page = self._table.query(keys.user(username), keys.SIGN_IN, after=after)
            hashes = [item.key.sort.removeprefix(keys.SIGN_IN) for item in page.items]
            found += self._table.batch_get([keys.sign_in(hashed) for hashed in hashes]).values()
            after = page.next
            if after is None:
                break
        still = [_sign_in(item) for item in found if not self._ended(item)]
        return tuple(sorted(still, key=lambda one: (one.seen_at, one.id), reverse=True))

    @staticmethod
    def id_of(sid: str) -> str:
        """The `SignIn.id` of the sign-in with this secret; so that a browser's own can be told from the others."""
        return keys.hashed(sid)[:_ID_LENGTH]

    def close(self, sid: str) -> None:
        """End a sign-in."""
        hashed = keys.hashed(sid)
        item = self._table.get(keys.sign_in(hashed))
        if item:
            self._close([hashed], str(item.data["username"]))

    def close_one(self, username: str, sign_in_id: str) -> None:
        """End the one of a user's sign-ins that has this id, where there is one."""
        if not re.fullmatch(f"[0-9a-f]{{{_ID_LENGTH}}}", sign_in_id):
            return
        page = self._table.query(keys.user(username), keys.SIGN_IN + sign_in_id, limit=_CLOSED_AT_ONCE)
        self._close([item.key.sort.removeprefix(keys.SIGN_IN) for item in page.items], username)

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

    def _open(self, hashed: str) -> Item | None:
        """The item of a sign-in that has not ended."""
        item = self._recall(hashed)
        if item and self._ended(item):
            self._memory.forget(hashed)  # another process may have seen its user since
            item = self._recall(hashed)
        return None if item is None or self._ended(item) else item

    def _recall(self, hashed: str) -> Item | None:
        return self._memory.recall(hashed, lambda: self._table.get(keys.sign_in(hashed)))

    def _ended(self, item: Item) -> Ended | None:
        """Why this sign-in has ended by itself, or None. One kept by an older version of ours says too little to go on."""
        if "seen_at" not in item.data:
            return Ended.TOO_LONG
        now = self._now()
        if (now - to_time(item.data["begun_at"])).total_seconds() >= self._longest_s:
            return Ended.TOO_LONG
        return Ended.IDLE if (now - to_time(item.data["seen_at"])).total_seconds() >= self._idle_s else None

    def _note_activity(self, hashed: str, item: Item) -> None:
        """Over its version alone: a sign-in that was closed meanwhile must not come back."""
        seen = Item(item.key, {**item.data, "seen_at": from_time(self._now())}, item.version, item.expires_at)
        try:
            seen = self._table.put(seen, expected_version=item.version)
        except VersionConflict:
            self._memory.forget(hashed)  # closed, or seen elsewhere: the next question reads which
            return
        except StoreUnavailable:
            pass  # no reason to stop a page that only wants to be drawn; a minute later it is tried again
        self._memory.replace(hashed, seen)

    def _close(self, hashes: list[str], username: str) -> None:
        if not hashes:
            return
        doomed: list[Key] = []
        for hashed in hashes:
            doomed += [keys.sign_in(hashed), keys.user_sign_in(username, hashed)]
        # In one transaction: a sign-in that is gone without a revocation would live on in the memory of other processes.
        self._table.transact([*(Delete(key) for key in doomed), Revocations.step()])
        for hashed in hashes:
            self._memory.forget(hashed)
        self._revocations.look_again()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _sign_in(item: Item) -> SignIn:
    data = item.data
    return SignIn(
        id=item.key.partition.removeprefix(keys.SIGN_IN)[:_ID_LENGTH],
        username=str(data["username"]),
        begun_at=to_time(data["begun_at"]),
        seen_at=to_time(data["seen_at"]),
        device=str(data["device"]),
        address=str(data["address"]),
    )


def _masked(text: bytes, ticket: str) -> bytes:
    """The text under a mask that only the ticket gives; masked twice it is itself again."""
    mask = hashlib.shake_256(f"sign-in ticket {ticket}".encode("utf-8", "surrogatepass")).digest(len(text))
    return bytes(a ^ b for a, b in zip(text, mask, strict=True))
