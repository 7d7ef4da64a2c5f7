"""Which round trips to a sign-in provider have been used up: each signs in once, though a browser may bring it again."""

import secrets
import time
from collections.abc import Callable

from codecoach.errors import VersionConflict
from codecoach.store import keys
from codecoach.store.port import Item, Table

KEPT_S = 3600


class Arrivals:
    """All round trips that came back lately. None is accepted so late that it would be forgotten here before."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def use_up(self, proof: str) -> bool:
        """Whether this is the first time that anybody brings it, whatever process asks; True to exactly one caller.

        proof  what the provider signed for this one round trip; only its SHA-256 is kept
        """
        # By a mark that nobody else can have made: where the answer to it gets lost, it is still known whose it is.
        mark = Item(keys.arrival(proof), {"used_by": secrets.token_hex(8)}, expires_at=int(self._clock()) + KEPT_S)
        try:
            self._table.put(mark, expected_version=0)
        except VersionConflict:
            return False
        return True
