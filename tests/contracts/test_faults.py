"""Real faults: a network that cuts off requests and answers, a service that throttles, a disk that is full, a file that is locked."""

import json
import sqlite3
import subprocess
import sys
import threading
import uuid
from contextlib import closing, suppress

import pytest

from codecoach.errors import StoreError, StoreUnavailable, VersionConflict
from codecoach.store import dynamodb, dynamodb_table, sqlite
from codecoach.store.dynamodb import DynamoTable
from codecoach.store.port import Item, Key
from codecoach.store.sqlite import SqliteTable
from tests.contracts.conftest import dynamodb_client
from tests.contracts.faults import NetworkFault, faulty_proxy
from tests.unit import store_scenarios
from tests.unit.store_scenarios import Scenario

# One of each form: a change by reading before, a conditional transaction, parts beside an item.
SCENARIOS = {
    scenario.name: scenario
    for scenario in (*store_scenarios.PROGRAMS, *store_scenarios.LAB, *store_scenarios.CHOICES)
    if scenario.name in ("choose a language", "change a program", "keep the draft")
}

KEY = Key("p", "s")


@pytest.fixture(scope="module")
def proxied(moto_url):
    with faulty_proxy(moto_url) as found:
        yield found


@pytest.fixture
def names(moto_url):
    """Makes tables, by name; they go with the test."""
    client, made = dynamodb_client(moto_url), []

    def new() -> str:
        made.append(f"t-{uuid.uuid4()}")
        dynamodb_table.ensure(client, made[-1])
        return made[-1]

    yield new
    for name in made:
        client.delete_table(TableName=name)
    client.close()


@pytest.fixture
def client(proxied):
    """One whose first try is its last, so that it is us who must not be wrong."""
    client = dynamodb_client(proxied[0])
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(dynamodb, "LONGEST_PAUSE_S", 0.0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *args: 0.0)


def calls_of(scenario: Scenario, proxy, client, direct, names) -> tuple[object, object, int]:
    """(view before, view after, requests that it takes)."""
    name = names()
    made = scenario.prepare(DynamoTable(direct, name))
    before = scenario.view(DynamoTable(direct, name), made)
    proxy.arm(0)
    scenario.act(DynamoTable(client, name), made)
    return before, scenario.view(DynamoTable(direct, name), made), proxy.requests


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("fault", NetworkFault)
def test_a_network_fault_at_any_request_loses_and_doubles_nothing(proxied, client, moto_url, names, name, fault):
    scenario, proxy = SCENARIOS[name], proxied[1]
    direct = dynamodb_client(moto_url)
    before, after, requests = calls_of(scenario, proxy, client, direct, names)
    assert before != after
    for at in range(1, requests + 1):
        table, faulty = DynamoTable(direct, table_name := names()), DynamoTable(client, table_name)
        made = scenario.prepare(table)
        proxy.arm(at, fault)
        try:
            scenario.act(faulty, made)
            acknowledged = True
        except StoreError:
            acknowledged = False
        assert proxy.struck == 1
        seen = scenario.view(table, made)
        assert seen == after if acknowledged else seen in (before, after)
        if not acknowledged:
            proxy.arm(0)
            try:
                scenario.act(faulty, made)
            except VersionConflict:
                assert seen == after
            assert scenario.view(table, made) == after
    direct.close()


def test_a_single_fault_is_not_even_noticed(proxied, moto_url, names):
    """The app's own client tries again; whatever was done already is not done twice."""
    address, proxy = proxied
    client, direct = dynamodb.client("us-east-1", address), dynamodb_client(moto_url)
    scenario = SCENARIOS["choose a language"]
    for fault in NetworkFault:
        name = names()
        made = scenario.prepare(DynamoTable(direct, name))
        proxy.arm(1, fault)
        scenario.act(DynamoTable(client, name), made)
        assert proxy.struck == 1
    client.close()
    direct.close()


def test_a_service_that_stays_away_is_an_error_of_ours_and_later_all_is_well(proxied, client, moto_url, names):
    proxy, direct = proxied[1], dynamodb_client(moto_url)
    for scenario in SCENARIOS.values():
        table, faulty = DynamoTable(direct, name := names()), DynamoTable(client, name)
        made = scenario.prepare(table)
        before = scenario.view(table, made)
        for fault in NetworkFault:
            proxy.arm(1, fault, times=1000)
            if fault in (NetworkFault.CUT_AFTER, NetworkFault.HALF_ANSWER):
                continue  # what is done is done: see above
            with pytest.raises(StoreUnavailable):
                scenario.act(faulty, made)
            assert scenario.view(table, made) == before
        proxy.arm(0)
        scenario.act(faulty, made)
        assert scenario.view(table, made) != before
    direct.close()


def test_an_answer_that_was_cut_off_never_says_that_nothing_is_there(proxied, client, names):
    """boto3 by itself takes half an answer for an empty one."""
    proxy, table = proxied[1], DynamoTable(client, names())
    table.put(Item(KEY, {"n": 1}))
    for read in (lambda: table.get(KEY), lambda: table.batch_get([KEY])[KEY], lambda: table.query("p").items[0]):
        proxy.arm(1, NetworkFault.HALF_ANSWER)
        assert read().data == {"n": 1}
        assert proxy.struck == 1
        proxy.arm(1, NetworkFault.HALF_ANSWER, times=1000)
        with pytest.raises(StoreUnavailable):
            read()


# --- SQLite ---


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.02)


ALL = (*store_scenarios.CONVERSATIONS, *store_scenarios.PROGRAMS, *store_scenarios.LAB, *store_scenarios.CHOICES)


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_while_another_process_holds_the_file_nothing_is_half_done(tmp_path, quick, scenario):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    made = scenario.prepare(table)
    table.ping()
    before = scenario.view(table, made)
    with closing(sqlite3.connect(tmp_path / "codecoach.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            scenario.act(table, made)
        assert scenario.view(table, made) == before, "readers do not wait"
        other.execute("ROLLBACK")
    scenario.act(table, made)
    assert scenario.view(table, made) != before
    table.close()


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_a_file_that_may_not_grow_keeps_all_that_was_saved(tmp_path, scenario, monkeypatch):
    """`max_page_count` refuses just as a full disk does, with SQLITE_FULL, wherever in a transaction the space ends."""
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    made = scenario.prepare(table)
    before = scenario.view(table, made)
    connect = SqliteTable._connect

    def bounded(self):
        connection = connect(self)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(SqliteTable, "_connect", bounded)
    full = SqliteTable(tmp_path / "codecoach.sqlite")
    with suppress(StoreUnavailable):
        scenario.act(full, made)
    seen = scenario.view(table, made)
    full.close()
    monkeypatch.setattr(SqliteTable, "_connect", connect)
    if seen == before or scenario.between(seen):
        scenario.act(table, made)
        assert scenario.view(table, made) != before
    else:  # it had room, or what had none is of no account to a reader
        with suppress(VersionConflict):
            scenario.act(table, made)
        assert scenario.view(table, made) == seen or scenario.twice
    table.close()


FILLS_THE_DISK = """
import json, resource, signal, sys
from pathlib import Path
from codecoach.errors import StoreUnavailable
from codecoach.store.port import Item, Key, Put
from codecoach.store.sqlite import SqliteTable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails, as on a full disk, and does not kill
table = SqliteTable(Path(sys.argv[1]))
table.ping()
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
saved, refused, raw = [], 0, []
for number in range(200):
    keys = [Key("p", f"{number:04}.{part}") for part in range(3)]
    try:
        table.transact([Put(Item(key, {"text": "x" * 9_000})) for key in keys])
        saved.append(number)
    except StoreUnavailable:
        refused += 1
    except Exception as error:
        raw.append(repr(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
table.put(Item(Key("q", "later"), {}))
print(json.dumps([saved, refused, raw]))
"""


def test_a_disk_that_is_full_refuses_and_loses_nothing_and_works_again_once_there_is_room(tmp_path):
    path = tmp_path / "codecoach.sqlite"
    done = subprocess.run([sys.executable, "-c", FILLS_THE_DISK, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    saved, refused, raw = json.loads(done.stdout)
    assert raw == []
    assert saved
    assert refused
    table = SqliteTable(path)
    found = [item.key.sort for item in table.query("p", limit=1000).items]
    assert found == [f"{number:04}.{part}" for number in saved for part in range(3)]
    assert table.query("q").items
    table.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_writers_that_wait_for_a_locked_file_all_come_to_write(tmp_path):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    scenario = next(one for one in ALL if one.name == "keep the draft")
    table.ping()
    with closing(sqlite3.connect(tmp_path / "codecoach.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writers = [threading.Thread(target=scenario.act, args=(table, None)) for _ in range(3)]
        for writer in writers:
            writer.start()
        other.execute("COMMIT")
        for writer in writers:
            writer.join()
    assert scenario.view(table, None) == store_scenarios.LONG
    table.close()
