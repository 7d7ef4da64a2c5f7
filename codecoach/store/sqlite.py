"""The Table port over one SQLite file.

    items(partition BLOB, sort BLOB, data TEXT, version INTEGER, expires_at INTEGER)

Keys are blobs of UTF-8, so that they order by bytes and may hold any character. Every thread may use one `SqliteTable`, and
several processes may open the same file: readers never wait (write-ahead log), writers take turns.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias

from codecoach.errors import StoreUnavailable, VersionConflict
from codecoach.store.items import check_key, check_transaction, decode, encode_checked
from codecoach.store.port import Delete, Item, Key, Page, Put

BUSY_TIMEOUT_S = 15.0
SWEEP_EVERY_S = 60.0
SWEEP_ITEMS = 500

_File: TypeAlias = tuple[int, int]  # device and inode

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    partition BLOB NOT NULL, sort BLOB NOT NULL, data TEXT NOT NULL, version INTEGER NOT NULL, expires_at INTEGER,
    PRIMARY KEY (partition, sort));
CREATE INDEX IF NOT EXISTS items_by_expiry ON items (expires_at) WHERE expires_at IS NOT NULL;
"""
_READ = "SELECT partition, sort, data, version, expires_at FROM items WHERE (expires_at IS NULL OR expires_at > ?)"


class SqliteTable:
    """A table in a file, which the first use creates; a file that vanishes later is an error, never a new empty store."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._writer = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._file: _File | None = None
        self._swept_at = 0.0
        self._closed = False

    def close(self) -> None:
        """Close every connection; those in use close when they are given back."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    def get(self, key: Key) -> Item | None:
        return self.batch_get([key]).get(key)

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            check_key(key)
        found = {}
        with self._reading() as connection:
            for key in set(keys):
                row = connection.execute(f"{_READ} AND partition = ? AND sort = ?", (self._clock(), *_blobs(key)))
                if item := next(map(_item, row), None):
                    found[key] = item
        return found

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        encode_checked(item)
        with self._writing() as connection:
            return self._put(connection, Put(item, expected_version))

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        check_key(key)
        with self._writing() as connection:
            self._delete(connection, Delete(key, expected_version))

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        check_key(Key(partition, sort_prefix or "-"))
        bounds = [("partition = ?", partition.encode()), ("sort >= ?", sort_prefix.encode())]
        if sort_prefix:
            bounds.append(("sort < ?", _after_prefix(sort_prefix.encode())))
        if after is not None:
            bounds.append(("sort < ?" if newest_first else "sort > ?", after.encode()))
        where = " AND ".join(condition for condition, _ in bounds)
        order = "DESC" if newest_first else "ASC"
        with self._reading() as connection:
            rows = connection.execute(
                f"{_READ} AND {where} ORDER BY sort {order} LIMIT ?",
                (self._clock(), *(value for _, value in bounds), limit + 1),
            ).fetchall()
        items = tuple(map(_item, rows[:limit]))
        return Page(items, items[-1].key.sort if len(rows) > limit else None)

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        check_transaction(operations)
        with self._writing() as connection:
            for operation in operations:
                if isinstance(operation, Put):
                    self._put(connection, operation)
                else:
                    self._delete(connection, operation)

    def scan(self) -> Generator[Item, None, None]:
        # One statement, one read transaction: it goes on seeing the table as it was, whatever is written meanwhile.
        with self._reading() as connection, closing(connection.cursor()) as cursor:
            yield from map(_item, cursor.execute(f"{_READ} ORDER BY partition, sort", (self._clock(),)))

    def restore(self, items: Sequence[Item]) -> None:
        for item in items:
            encode_checked(item)
        with self._writing() as connection:
            for item in items:
                _store(connection, item)

    def ping(self) -> str:
        with self._reading() as connection:
            connection.execute("SELECT 1 FROM items LIMIT 1").fetchone()
        return f"SQLite {sqlite3.sqlite_version}"

    def _put(self, connection: sqlite3.Connection, put: Put) -> Item:
        stored = self._version(connection, put.item.key, put.expected_version)
        item = Item(put.item.key, put.item.data, stored + 1, put.item.expires_at)
        _store(connection, item)
        return item

    def _delete(self, connection: sqlite3.Connection, delete: Delete) -> None:
        self._version(connection, delete.key, delete.expected_version)
        connection.execute("DELETE FROM items WHERE partition = ? AND sort = ?", _blobs(delete.key))

    def _version(self, connection: sqlite3.Connection, key: Key, expected: int | None) -> int:
        """The stored version, 0 where nothing is; raises `VersionConflict` where it is not the expected one."""
        row = connection.execute(f"{_READ} AND partition = ? AND sort = ?", (self._clock(), *_blobs(key))).fetchone()
        stored = _item(row).version if row else 0
        if expected is not None and expected != stored:
            raise VersionConflict
        return stored

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        # The lock spares threads of one process SQLite's polling; between processes its busy time-out does.
        with self._writer, self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                self._sweep(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """Delete some of what has expired, now and then; readers do not see it anyway."""
        now = self._clock()
        if now - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now
            connection.execute(
                "DELETE FROM items WHERE rowid IN (SELECT rowid FROM items WHERE expires_at <= ? LIMIT ?)",
                (now, SWEEP_ITEMS),
            )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of our own for a while; every error of SQLite leaves here as one of ours."""
        try:
            connection, file = self._borrow()
            try:
                yield connection
            except sqlite3.Error:
                connection.close()  # whatever state it is in, nobody gets it again
                raise
            except BaseException:
                self._give_back(connection, file)
                raise
            self._give_back(connection, file)
        except (sqlite3.Error, OSError) as error:
            raise _mapped(error) from error

    def _borrow(self) -> tuple[sqlite3.Connection, _File]:
        with self._lock:
            if self._file is None:
                self._file = self._create()
            elif self._file != (file := self._identity()):
                # Somebody put another file in its place: what is open still writes to the old one.
                self._file = file
                while self._idle:
                    self._idle.pop().close()
            return (self._idle.pop() if self._idle else self._connect()), self._file

    def _give_back(self, connection: sqlite3.Connection, file: _File) -> None:
        with self._lock:
            if file == self._file and not self._closed:
                self._idle.append(connection)
            else:
                connection.close()

    def _create(self) -> _File:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For its owner alone: it holds what people wrote, and the hashes of their passwords.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(self._connect()) as connection:
            _use_write_ahead_log(connection)
            connection.executescript(_SCHEMA)
        return self._identity()

    def _identity(self) -> _File:
        status = os.stat(self._path)
        return status.st_dev, status.st_ino

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # a connection is lent to one thread at a time
        )
        # What was saved survives a power cut too; a commit every 2 s per reply can afford it.
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL. When processes do this at the same moment SQLite refuses without waiting, so we wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _mapped(error: sqlite3.Error | OSError) -> StoreUnavailable:
    if isinstance(error, OSError):
        return StoreUnavailable(detail=f"SQLite: {error.strerror or error}")
    return StoreUnavailable(detail=f"SQLite: {error}")


def _store(connection: sqlite3.Connection, item: Item) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO items (partition, sort, data, version, expires_at) VALUES (?, ?, ?, ?, ?)",
        (*_blobs(item.key), encode_checked(item), item.version, item.expires_at),
    )


def _blobs(key: Key) -> tuple[bytes, bytes]:
    return key.partition.encode(), key.sort.encode()


def _after_prefix(prefix: bytes) -> bytes:
    """The least key after all that start with a prefix; UTF-8 never ends in 0xff, so one more always exists."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _item(row: tuple[bytes, bytes, str, int, int | None]) -> Item:
    partition, sort, data, version, expires_at = row
    return Item(Key(partition.decode(), sort.decode()), decode(data), version, expires_at)
