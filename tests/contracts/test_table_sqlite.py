"""What a file can do to us: it vanishes, is no database, is shared by processes, and one of them is killed."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from codecoach.errors import StoreUnavailable
from codecoach.store import sqlite
from codecoach.store.port import Item, Key, Put
from codecoach.store.sqlite import SqliteTable

KEY = Key("p", "s")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "new folder" / "codecoach.sqlite"


@pytest.fixture
def table(path, clock):
    table = SqliteTable(path, clock=clock)
    yield table
    table.close()


def test_nothing_is_touched_before_the_first_use(table, path):
    assert not path.parent.exists()
    table.ping()
    assert path.exists()


def test_only_its_owner_may_read_the_file(table, path):
    table.put(Item(KEY, {}))
    assert {file.stat().st_mode & 0o077 for file in [path.parent, *path.parent.iterdir()]} == {0}


def test_the_file_keeps_what_was_put(table, path):
    table.put(Item(KEY, {"n": 1}))
    table.close()
    again = SqliteTable(path)
    assert again.get(KEY) == Item(KEY, {"n": 1}, 1)
    again.close()


def test_a_file_that_vanishes_is_an_error_never_an_empty_store(table, path):
    table.put(Item(KEY, {"n": 1}))
    away = path.with_name("away.sqlite")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").rename(f"{away}{suffix}")
    for attempt in (lambda: table.get(KEY), lambda: table.put(Item(KEY, {})), lambda: table.query("p"), table.ping):
        with pytest.raises(StoreUnavailable) as caught:
            attempt()
        assert caught.value.__cause__ is not None
    assert not path.exists()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{away}{suffix}").rename(f"{path}{suffix}")
    assert table.get(KEY).data == {"n": 1}


def test_another_file_in_its_place_is_read_at_once(table, path, tmp_path):
    table.put(Item(KEY, {"n": 1}))
    other = SqliteTable(tmp_path / "other.sqlite")
    other.put(Item(KEY, {"n": 2}))
    other.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink()
    (tmp_path / "other.sqlite").replace(path)
    assert table.get(KEY).data == {"n": 2}


def test_it_works_again_once_what_was_wrong_has_passed(table, path, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.05)
    table.put(Item(KEY, {"n": 1}))
    table.close()  # the connection that waits for longer
    table = SqliteTable(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="locked"):
            table.put(Item(KEY, {"n": 2}))
    other.close()
    assert table.put(Item(KEY, {"n": 3})).version == 2
    assert table.get(KEY).data == {"n": 3}
    table.close()


def test_what_is_no_database_is_an_error(table, path):
    path.parent.mkdir()
    path.write_text("not a database, whatever its name says " * 100)
    with pytest.raises(StoreUnavailable):
        table.get(KEY)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        SqliteTable(tmp_path / "file" / "codecoach.sqlite").ping()


def test_what_has_expired_is_swept_away_a_bounded_number_at_a_time(table, path, clock, monkeypatch):
    monkeypatch.setattr(sqlite, "SWEEP_ITEMS", 3)
    for number in range(5):
        table.put(Item(Key("p", f"{number}"), {}, expires_at=int(clock.now) + 1))
    left = []
    for _ in range(4):
        clock.now += sqlite.SWEEP_EVERY_S
        table.put(Item(Key("q", "s"), {}))
        with sqlite3.connect(path) as raw:
            left.append(raw.execute("SELECT count(*) FROM items WHERE partition = CAST('p' AS BLOB)").fetchone()[0])
        raw.close()
    assert left == [2, 0, 0, 0]


def test_a_scan_tells_what_there_was_at_one_moment(table):
    for number in range(300):
        table.put(Item(Key("p", f"{number:03}"), {"n": number}))
    scan = table.scan()
    next(scan)
    table.transact([Put(Item(Key("p", f"{number:03}"), {"n": "later"})) for number in range(290, 300)])
    table.delete(Key("p", "289"))
    assert [item.data["n"] for item in scan] == list(range(1, 300))


def _count_up(path: Path, times: int) -> None:
    table = SqliteTable(path)
    for _ in range(times):
        table.put(Item(KEY, {}))
    table.close()


def test_processes_that_open_a_new_file_at_once_lose_nothing(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(path, 25)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    table = SqliteTable(path)
    assert table.get(KEY).version == 100
    table.close()


KILLED = """
import sys
from pathlib import Path
from codecoach.store.port import Item, Key, Put
from codecoach.store.sqlite import SqliteTable
table = SqliteTable(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    data = {"n": number, "text": "x" * 50_000}
    table.transact([Put(Item(Key("p", sort), data)) for sort in ("a", "b", "c")])
    print(number, flush=True)
"""


def test_kill_9_leaves_whole_transactions_and_loses_none_that_ended(path):
    writer = subprocess.Popen([sys.executable, "-c", KILLED, path], stdout=subprocess.PIPE, text=True)
    while int(writer.stdout.readline()) < 20:
        pass
    os.kill(writer.pid, signal.SIGKILL)
    ended = [20, *map(int, writer.stdout.read().split())][-1]
    writer.stdout.close()
    writer.wait()
    table = SqliteTable(path)
    numbers = {item.data["n"] for item in table.query("p").items}
    assert numbers <= {ended, ended + 1}
    assert len(numbers) == 1
    table.put(Item(KEY, {}))
    table.transact([Put(Item(Key("p", "a"), {}))])
    table.close()
