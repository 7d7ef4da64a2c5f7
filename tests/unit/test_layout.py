"""The layout of the table is numbered; what an older one holds is read after the steps to today's, taken once by whoever starts.

`layouts/layout_1.jsonl.gz` was made by the code of the first layout, through its stores: accounts, preferences, a
conversation with a long and a failed reply, a program with a run, and templates as they were then.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codecoach.chat.messages import MessageState
from codecoach.errors import StoreError, VersionConflict
from codecoach.services import build
from codecoach.settings import Settings
from codecoach.store import backup_file, keys, layout
from codecoach.store.accounts import Accounts
from codecoach.store.conversations import Conversations
from codecoach.store.layout import NEWEST, Layout, make_ready
from codecoach.store.migrations import STEPS, Step, templates_into_sheets
from codecoach.store.port import Item, Key
from codecoach.store.preferences import Preferences, UserPreferences
from codecoach.store.programs import Programs
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Templates
from tests.unit.store_tables import Died, WatchedTable

ANN = "ann@example.com"
OLDEST_FILE = Path(__file__).parents[1] / "layouts" / "layout_1.jsonl.gz"


@pytest.fixture
def table(tmp_path):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield table
    table.close()


@pytest.fixture
def old(table):
    """A table as the code of the first layout left it."""
    table.restore(tuple(backup_file.items(OLDEST_FILE, backup_file.check(OLDEST_FILE))))
    return table


def everything(table) -> dict[Key, Item]:
    return {item.key: item for item in table.scan() if item.key.partition != keys.LAYOUT.partition}


def number(table) -> int:
    return layout.read(table).number


# --- numbers ---


def test_the_steps_lead_from_each_layout_to_the_next():
    assert [step.to for step in STEPS] == list(range(layout.OLDEST + 1, NEWEST + 1))


def test_a_new_table_has_the_newest_layout_at_once(table):
    assert number(table) == 0
    make_ready(table)
    assert (number(table), everything(table)) == (NEWEST, {})


def test_a_table_without_a_number_has_the_oldest_layout(old):
    assert number(old) == layout.OLDEST


def test_making_ready_again_reads_one_item_and_writes_none(table):
    make_ready(table)
    watched = WatchedTable(table)
    make_ready(watched)
    assert (watched.read, watched.written) == (1, 0)


def test_a_newer_layout_is_refused_and_nothing_is_written(table):
    layout.write(table, Layout(NEWEST + 1))
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            make_ready(table)
        assert (caught.value.key, caught.value.values) == ("layout_newer", {"layout": NEWEST + 1, "newest": NEWEST})
    assert number(table) == NEWEST + 1


def test_the_app_does_not_start_with_a_newer_layout(tmp_path):
    services = build(Settings(data_dir=tmp_path))
    layout.write(services.table_as_it_is, Layout(NEWEST + 1))
    with pytest.raises(StoreError, match="layout_newer"):
        _ = services.accounts
    services.close()


# --- from the oldest layout ---


def template(table, name: str):
    return next(one for one in Templates(table).list(ANN) if one.name.startswith(name))


def test_todays_code_cannot_read_the_templates_of_the_oldest_layout(old):
    with pytest.raises(KeyError):  # else the step would be for nothing
        Templates(old).list(ANN)


def test_templates_of_the_oldest_layout_are_sheets_now(old):
    make_ready(old)
    assert number(old) == NEWEST
    summary = template(old, "Summary")
    assert summary.sheet.text == "Human: Summarise {text} in {words} words\n\nAssistant:"
    assert (summary.sheet.system, summary.sheet.format) == ("Be brief.", "claude_text")
    assert (summary.sheet.model_id, summary.sheet.variables) == ("anthropic.claude-v2", ("text", "words"))
    assert template(old, "A long name").sheet.text == "Long: {text} " + "body " * 30_000
    assert template(old, "?").sheet.text == "你好 {name}"


def test_migrated_templates_are_saved_renamed_and_listed_with_their_versions(old):
    make_ready(old)
    templates = Templates(old)
    for one in templates.list(ANN):
        renamed = templates.rename(ANN, one.id, f"{one.name[:70]} 2")
        assert [version.name for version in templates.versions(ANN, one.id)] == [renamed.name]
        templates.delete(ANN, one.id)
    assert not [key for key in everything(old) if key.sort.startswith(("template#", "version#", "part#template#"))]


def test_everything_else_of_the_oldest_layout_is_read_as_it_was(old):
    before = everything(old)
    make_ready(old)
    changed = {key for key, item in everything(old).items() if before.get(key) != item}
    assert {key.sort.partition("#")[0] for key in changed} <= {"template", "part"}
    assert [(one.username, one.roles) for one in Accounts(old).all()] == [(ANN, ("admin",)), ("bob@example.com", ())]
    assert Preferences(old).get(ANN) == UserPreferences("zh", "amazon.nova-lite-v1:0", "eu-west-1")
    (conversation,) = Conversations(old).list(ANN).conversations
    said, long, failed = Conversations(old).messages(conversation.id).messages
    assert (conversation.title, said.text, failed.state) == ("Buckets 桶", "List my buckets", MessageState.FAILED)
    assert long.text.endswith("long " * 20_000)
    (entry,) = Programs(old).list(ANN)
    (run,) = Programs(old).runs(entry.id)
    assert Programs(old).get(ANN, entry.id).files[0].text == "print(1)"
    assert Programs(old).run(entry.id, run.id).files[0].content == b"abc"


def test_a_step_taken_again_changes_nothing(old):
    make_ready(old)
    once = everything(old)
    for item in list(old.scan()):
        templates_into_sheets(old, item)
    assert everything(old) == once


# --- killed, and several at once ---


def test_a_migration_that_dies_at_any_call_is_finished_by_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "LEASE_S", 0)  # nobody waits here for a dead one's lease to run out
    backup = backup_file.check(OLDEST_FILE)
    items = tuple(backup_file.items(OLDEST_FILE, backup))
    died, calls = True, 0
    while died:
        table = SqliteTable(tmp_path / f"{calls}.sqlite")
        table.restore(items)
        watched = WatchedTable(table)
        watched.dies_after = calls
        try:
            make_ready(watched)
            died = False
        except Died:
            make_ready(table)
        assert number(table) == NEWEST
        assert len(Templates(table).list(ANN)) == 3
        assert template(table, "A long name").sheet.text.endswith("body " * 30_000)
        table.close()
        calls += 1
    assert calls > 15, "it died at every call"


MIGRATES = """
import sys
from pathlib import Path
from codecoach.store.layout import make_ready
from codecoach.store.sqlite import SqliteTable
make_ready(SqliteTable(Path(sys.argv[1])))
"""


def test_processes_that_start_at_once_take_the_step_once(old, tmp_path):
    command = [sys.executable, "-c", MIGRATES, tmp_path / "codecoach.sqlite"]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait() for process in processes] == [0] * 3
    assert number(old) == NEWEST
    assert template(old, "Summary").version == 3, "changed once"


def test_a_second_process_waits_for_the_one_that_is_at_it(table):
    table.put(Item(Key("user#a", "thing"), {}))
    begun, go = threading.Event(), threading.Event()
    taken = []

    def slow(_table, item):
        taken.append(item.key.sort)
        begun.set()
        assert go.wait(60)

    steps = (Step(2, slow),)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(make_ready, table, steps)
        assert begun.wait(60)
        second = pool.submit(make_ready, table, steps)
        time.sleep(0.5)
        assert not second.done()
        go.set()
        assert (first.result(60), second.result(60)) == (table, table)
    assert taken.count("thing") == 1


def test_who_takes_long_renews_the_lease_and_who_lost_it_gives_up(table):
    for name in "abc":
        table.put(Item(Key("user#a", name), {}))
    now = [time.time()]

    def slow(_table, _item):
        now[0] += layout.RENEWED_EVERY_S

    make_ready(table, (Step(2, slow),), lambda: now[0])
    assert number(table) == 2
    others = []

    def robbed(_table, _item):
        if not others:
            lease = table.get(keys.LAYOUT_LEASE)
            others.append(table.put(Item(lease.key, {"holder": "other"}, expires_at=lease.expires_at), lease.version))
            now[0] += layout.RENEWED_EVERY_S
            threading.Timer(0.5, table.delete, (lease.key,)).start()

    make_ready(table, (Step(3, robbed),), lambda: now[0])
    assert number(table) == 3
    assert table.get(keys.LAYOUT_LEASE) is None


def test_steps_of_several_layouts_are_taken_in_order(table):
    table.put(Item(Key("user#a", "thing"), {"seen": []}))

    def note(to):
        def change(table, item):
            if item.key.sort == "thing":
                now = table.get(item.key)
                table.put(Item(now.key, {"seen": [*now.data["seen"], to]}), now.version)

        return Step(to, change)

    make_ready(table, (note(2), note(3), note(4)))
    assert table.get(Key("user#a", "thing")).data == {"seen": [2, 3, 4]}
    assert number(table) == 4


def test_an_item_that_somebody_changes_meanwhile_is_asked_for_again(table):
    table.put(Item(Key("user#a", "thing"), {"n": 1}))
    tries = []

    def change(table, item):
        if item.key.sort == "thing":
            tries.append(1)
            if len(tries) == 1:
                raise VersionConflict
            table.put(Item(item.key, {"n": 2}), table.get(item.key).version)

    make_ready(table, (Step(2, change),))
    assert table.get(Key("user#a", "thing")).data == {"n": 2}


KILLED = """
import sys, time
from pathlib import Path
from codecoach.store import layout
from codecoach.store.migrations import Step, templates_into_sheets
from codecoach.store.sqlite import SqliteTable
def slow(table, item):
    templates_into_sheets(table, item)
    if item.key.sort.startswith("template#"):
        print(item.key.sort, flush=True)
        time.sleep(60)
layout.make_ready(SqliteTable(Path(sys.argv[1])), (Step(2, slow),))
"""


def test_a_migration_that_is_killed_goes_on_once_its_lease_has_run_out(old, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path / "codecoach.sqlite"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("template#")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert number(old) == layout.OLDEST
    left = old.get(keys.LAYOUT_LEASE)
    assert left.expires_at > time.time(), "held by the dead one"
    later = SqliteTable(tmp_path / "codecoach.sqlite", clock=lambda: left.expires_at + 1)
    make_ready(later, clock=lambda: left.expires_at + 1)
    assert len(Templates(later).list(ANN)) == 3
    later.close()
