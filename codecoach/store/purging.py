"""Deleting a thread: it leaves its owner's lists at once, and what is in it follows, a few items at a time.

    1  one transaction: what lists the thread goes, the owner's marker purge#<thread> and the thread's `gone` come
    2  the items of the thread go, and those of the runs of its code blocks
    3  the marker goes

Should we die before 3, the next deletion of this owner begins again at 2. Who writes to a thread asks for `gone` after
writing too: what came too late for 2 is then the writer's to delete.
"""

from codecoach.store import keys
from codecoach.store.large import LargeItems
from codecoach.store.port import Item, Put, Table

GONE_KEPT_S = 24 * 3600
_MARKERS_AT_ONCE = 20
_RUNS_AT_ONCE = 20


class Purging:
    """Step by step what is deleted in a table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._large = LargeItems(table)

    def marks(self, owner: str, thread_id: str, now_s: float) -> list[Put]:
        """What belongs into the transaction that takes a thread from its owner's lists."""
        gone = Item(keys.gone(thread_id), {}, expires_at=int(now_s) + GONE_KEPT_S)
        return [Put(Item(keys.purge(owner, thread_id), {})), Put(gone)]

    def finish(self, owner: str) -> None:
        """Delete what is in the marked threads of an owner, those included at which an earlier deletion died."""
        for marker in self._table.query(keys.user(owner), keys.PURGE, limit=_MARKERS_AT_ONCE).items:
            self._purge(marker.key.sort.removeprefix(keys.PURGE))
            self._table.delete(marker.key)

    def delete_runs(self, thread_id: str, of: str = "", first: str = "") -> None:
        """Delete the runs of code blocks whose "<message id>.<block>" starts with `of` and is not less than `first`."""
        while True:
            noted = self._table.query(
                keys.thread(thread_id), keys.RAN + of, limit=_RUNS_AT_ONCE, newest_first=True
            ).items
            doomed = [item.key for item in noted if item.key.sort >= keys.RAN + first]
            for key in doomed:
                block = f"{thread_id}.{key.sort.removeprefix(keys.RAN)}"
                for prefix in (keys.RUN, keys.PART):
                    self._large.delete_range(keys.thread(block), prefix)
                self._table.delete(key)
            if len(doomed) < _RUNS_AT_ONCE:
                return

    def _purge(self, thread_id: str) -> None:
        # Messages first: where they are gone, no run of their code is kept any more.
        self._large.delete_range(keys.thread(thread_id), keys.MESSAGE)
        self.delete_runs(thread_id)
        for prefix in (keys.RUN, keys.OUTCOME, keys.PLAN, keys.SPENT, keys.PART):
            self._large.delete_range(keys.thread(thread_id), prefix)
