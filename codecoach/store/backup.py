"""Backup and restore of a whole table, from any store into any.

Restoring, in this order, so that it may be cut anywhere and begun again:

    1  the file is read to its end: what is wrong with it is found before anything is written
    2  the layout item says which backup is being restored: from here on no app starts with the table
    3  the sign-ins go, and the revocations change: a process which runs all the same forgets within a second who is signed in
    4  everything else in the table goes, but what its cookies are signed with, which such a process remembers
    5  the items of the file come, with the versions that they had
    6  the revocations change once more, for the accounts that came
    7  the layout item says the file's layout, and the table is taken to the newest one

Cut after 2, the same command does all of it again; only with the same file, or when told to replace what is there.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from codecoach.errors import InputRefused
from codecoach.store import backup_file, keys, layout
from codecoach.store.backup_file import Backup, Head
from codecoach.store.layout import NEWEST, Layout
from codecoach.store.port import Delete, Item, Key, Table
from codecoach.store.records import from_time, now
from codecoach.store.revocations import Revocations

# By 25 items of 400 KB DynamoDB takes them, and that much is in memory.
AT_ONCE: Final = 25
# A transaction holds at most 4 MB, and it may be that deleted items count.
_DELETED_AT_ONCE: Final = 10

Progress = Callable[[int], None]
T = TypeVar("T")


def _untold(_count: int) -> None:
    """Nobody watches."""


def save(table: Table, path: Path, progress: Progress = _untold) -> Backup:
    """Write a backup of a table; `progress` is told how many items it has.

    Consistent as `Table.scan` is. Where the app writes to DynamoDB meanwhile, things that belong together may be of different
    moments, such as a conversation's place in the list and its title.
    """
    head = Head(layout.read(table).number or NEWEST, from_time(now()), table.ping())
    travelling = (item for item in table.scan() if keys.travels(item.key))
    return backup_file.write(path, head, _counted(travelling, progress))


def restore(table: Table, path: Path, over: bool = False, progress: Progress = _untold) -> Backup:
    """Make a table what a backup holds; everything else in it goes, so it must be empty or meant to be replaced (`over`).

    No app should run with the table meanwhile. Raises `InputRefused` before anything is written: for a file that is no whole
    backup or newer than this code, for a table that is not empty.
    """
    backup = backup_file.check(path)
    if backup.head.layout > NEWEST:
        raise InputRefused("backup_newer", path=path)
    before = layout.read(table)
    if not over and before.restoring != backup.sha256 and not layout.is_empty(table):
        raise InputRefused("store_not_empty")
    layout.write(table, replace(before, restoring=backup.sha256))
    _sign_everybody_out(table)
    _clear(table)
    for some in _by(AT_ONCE, _counted(backup_file.items(path, backup), progress)):
        table.restore(some)
    table.transact([Revocations.step()])
    layout.write(table, Layout(backup.head.layout, version=layout.read(table).version))
    layout.make_ready(table)
    return backup


def _sign_everybody_out(table: Table) -> None:
    """Delete the sign-ins, then tell all processes: in this order, or one might read and remember a sign-in anew."""
    _delete(table, lambda key: key.partition.startswith(keys.SIGN_IN))
    table.transact([Revocations.step()])


def _clear(table: Table) -> None:
    """Delete everything but the layout, the revocations, whose version must not begin again, and the cookies' secrets.

    These are read once by each process: with others in the table, processes would not take each other's cookies.
    """
    kept = (keys.LAYOUT, keys.REVOCATIONS, keys.COOKIE_SECRETS)
    _delete(table, lambda key: key not in kept)


def _delete(table: Table, which: Callable[[Key], bool]) -> None:
    doomed = (item.key for item in table.scan() if which(item.key))
    for some in _by(_DELETED_AT_ONCE, doomed):
        table.transact([Delete(key) for key in some])


def _counted(items: Iterable[Item], progress: Progress) -> Iterator[Item]:
    for count, item in enumerate(items, 1):
        yield item
        progress(count)


def _by(size: int, things: Iterable[T]) -> Iterator[list[T]]:
    """Things in lists of a size, the last one shorter."""
    iterator = iter(things)
    while some := list(islice(iterator, size)):
        yield some
