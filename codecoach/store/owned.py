"""The one place that ties whatever is read and written to who is signed in.

All stores work on a `Table`, and the one they get is an `OwnedTable`. While somebody acts, it holds nothing but what is theirs:

    partition            belongs to
    -------------------  -----------------------------------------------------------------------------------------
    user#<username>      this user; but the notes which sign-ins they have, and all else in `MACHINERY`, to nobody
    thread#<id>          who has a conversation, a program, an evaluation or a purge marker of this id
    thread#<id>.<more>   the same
    thread#lab-<hash>-   the user with this hash
    any other            nobody: accounts, sign-ins and failures have modules of their own that guard them

What is another's is as what is not there: nothing is found, and nothing can be put over it; what would be new raises
`NotYours`. So an id from an address bar, a widget or a session that somebody else has used before is harmless wherever it
ends up. `session.account` says who acts, at the beginning of each script run and of each click. Where nobody does (commands,
the start of the app, the routes that set the cookie), nothing is held back. Work that outlives its page goes on as its user:
start it within `contextvars.copy_context()`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Final, TypeVar

from codecoach.errors import NotYours, VersionConflict
from codecoach.store import keys
from codecoach.store.port import Delete, Item, Key, Page, Put, Table
from codecoach.store.remembering import View, lately

MACHINERY: Final = (keys.SIGN_IN,)
NOBODY: Final = ""
# Whose a thread is never changes, so it is asked of the store once. Each takes some 200 bytes.
REMEMBERED: Final = 100_000

_USER: Final = keys.user("")
_THREAD: Final = keys.thread("")
_HEADS: Final = (keys.CONVERSATION, keys.PROGRAM, keys.EVALUATION, keys.PURGE)

T = TypeVar("T")

_acting: ContextVar[str | None] = ContextVar("acting")


def _anybody() -> None:
    """Nobody who could be held back."""


_otherwise: Callable[[], str | None] = _anybody


def act_as(username: str | None) -> None:
    """From here on this user acts in this thread of execution; `NOBODY`: somebody who is signed out; None: no page at all."""
    _acting.set(username)


def acting() -> str | None:
    """Who acts: a username, `NOBODY`, or None outside of pages."""
    try:
        return _acting.get()
    except LookupError:
        return _otherwise()


def where_nobody_said(who: Callable[[], str | None]) -> None:
    """Who acts where nothing was said: whatever draws pages has what runs there, and forgot to ask, be `NOBODY`."""
    global _otherwise
    _otherwise = who


def may_see(owner: str | None) -> bool:
    """Whether what this user has going in memory is there for whoever acts; None: it was begun outside of pages."""
    return acting() in (None, owner) or (owner is None and acting() != NOBODY)


def going_on(all_of_it: dict[tuple[str | None, str], T], thread_id: str) -> T | None:
    """What is going on in a thread for whoever acts, of what this process has going by (who began it, thread).

    By both: whoever begins something in a thread that is not theirs must not be in the way of the one whose it is.
    """
    user = acting()
    if user is None:
        return next((one for (_, where), one in reversed(all_of_it.items()) if where == thread_id), None)
    return all_of_it.get((user, thread_id)) or (all_of_it.get((None, thread_id)) if user != NOBODY else None)


def demand(owner: str) -> None:
    """Raises `NotYours` where somebody else than this user acts."""
    if acting() not in (None, owner):
        raise NotYours()


@contextmanager
def on_behalf_of(username: str) -> Iterator[None]:
    """What an administrator does with another's work, such as deleting it; whether they may is the caller's to know."""
    before = _acting.set(username)
    try:
        yield
    finally:
        _acting.reset(before)


class OwnedTable(View):
    """A table that holds, for whoever acts, what is theirs; see above."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.anew = self
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()

    def lately(self, since: float) -> "OwnedTable":
        """The same for what stands behind it as it was lately (`store.remembering`)."""
        view = copy(self)  # what is known of whose the threads are stays one
        view._table = lately(self._table, since)
        return view

    def get(self, key: Key) -> Item | None:
        if not self._is_there(key.partition, key.sort):
            return None
        item = self._table.get(key)
        self._learn([key] if item else [])
        return item

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        found = self._table.batch_get([key for key in keys if self._is_there(key.partition, key.sort)])
        self._learn(found)
        return found

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        self._demand([Put(item, expected_version)])
        stored = self._table.put(item, expected_version)
        self._learn([item.key])
        return stored

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        if expected_version is None and not self._is_there(key.partition, key.sort):
            return
        self._demand([Delete(key, expected_version)])
        self._table.delete(key, expected_version)

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        if not self._is_there(partition, sort_prefix):
            return Page(())
        page = self._table.query(partition, sort_prefix, limit=limit, after=after, newest_first=newest_first)
        self._learn(item.key for item in page.items)
        return page

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        self._demand(operations)
        self._table.transact(operations)
        self._learn(operation.item.key for operation in operations if isinstance(operation, Put))

    def scan(self) -> Generator[Item, None, None]:
        self._demand_nobody()
        yield from self._table.scan()

    def restore(self, items: Sequence[Item]) -> None:
        self._demand_nobody()
        self._table.restore(items)

    def ping(self) -> str:
        return self._table.ping()

    def close(self) -> None:
        """Close what is behind it, where that can be."""
        close = getattr(self._table, "close", None)
        if close:
            close()

    # --- whose is it ---

    def _is_there(self, partition: str, sort: str) -> bool:
        """Whether what has such a key belongs to whoever acts, or to nobody."""
        user = acting()
        if user is None or not partition.startswith((_USER, _THREAD)):
            return True
        if partition.startswith(_USER):
            return partition == keys.user(user) or sort.startswith(MACHINERY)
        return user != NOBODY and self._is_thread_of(user, partition.removeprefix(_THREAD))

    def _is_thread_of(self, user: str, thread_id: str) -> bool:
        if thread_id.startswith(keys.BENCH):
            return thread_id.startswith(keys.bench(user, ""))
        root = thread_id.partition(".")[0]
        with self._lock:
            if (user, root) in self._known:
                self._known.move_to_end((user, root))
                return True
        found = self._table.batch_get([Key(keys.user(user), head + root) for head in _HEADS])
        self._learn(found)
        return bool(found)

    def _demand(self, operations: Sequence[Put | Delete]) -> None:
        """Raises what a change of something that is not there raises, or `NotYours`."""
        for operation in operations:
            key = operation.item.key if isinstance(operation, Put) else operation.key
            if self._is_there(key.partition, key.sort) or _is_new_program(operation, operations):
                continue
            raise VersionConflict if operation.expected_version else NotYours

    def _demand_nobody(self) -> None:
        """Raises `NotYours` on a page: what takes in everybody's items is for commands."""
        if acting() is not None:
            raise NotYours

    def _learn(self, found: Iterable[Key]) -> None:
        """Remember whose the threads are that these keys name."""
        user = acting()
        if not user:
            return
        for key in found:
            if key.partition == keys.user(user) and key.sort.startswith((*_HEADS, keys.RECENT)):
                with self._lock:
                    self._known[user, key.sort.rpartition("#")[2]] = None
                    while len(self._known) > REMEMBERED:
                        self._known.popitem(last=False)


def _is_new_program(operation: Put | Delete, together: Sequence[Put | Delete]) -> bool:
    """Whether it begins the thread of a program that its user gets with the same transaction, where nothing stands yet."""
    if not isinstance(operation, Put) or operation.expected_version != 0:
        return False
    program_id = operation.item.key.partition.removeprefix(_THREAD)
    listed = keys.program(acting() or NOBODY, program_id)
    begun = operation.item.key == keys.program_body(program_id)
    return begun and any(isinstance(one, Put) and one.item.key == listed for one in together)
