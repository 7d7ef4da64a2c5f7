"""All data go into a file and back, from SQLite into DynamoDB and from there into SQLite, and are the same."""

import gzip
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.errors import InputRefused, StoreError, StoreUnavailable
from codecoach.lab.cases import Cases, Check
from codecoach.lab.evaluation import Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.store import backup, backup_file, keys, layout
from codecoach.store.accounts import Accounts
from codecoach.store.backup_file import Head
from codecoach.store.case_sets import CaseSet, CaseSets
from codecoach.store.conversations import Conversations
from codecoach.store.cookie_seal import kept_secrets
from codecoach.store.evaluations import Evaluations
from codecoach.store.failures import Failures
from codecoach.store.layout import NEWEST, Layout, make_ready
from codecoach.store.port import Item, Key
from codecoach.store.preferences import Preferences
from codecoach.store.programs import Programs, ResultFile, RunRecord, SourceFile
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Draft, Template, Templates
from tests.contracts.conftest import dynamodb_table
from tests.unit.store_tables import Died, WatchedTable

ANN, BOB = "ann@example.com", "bob@example.com"
AT = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture
def sqlite(tmp_path, clock):
    table = SqliteTable(tmp_path / "a.sqlite", clock=clock)
    yield make_ready(table, clock=clock)
    table.close()


@pytest.fixture
def other(tmp_path, clock):
    table = SqliteTable(tmp_path / "b.sqlite", clock=clock)
    yield table
    table.close()


@pytest.fixture
def dynamodb(moto_url, clock):
    with dynamodb_table(moto_url, clock) as table:
        yield table


def travelling(table) -> list[Item]:
    return sorted((item for item in table.scan() if keys.travels(item.key)), key=lambda item: item.key)


def fill(table) -> None:
    """Something of every kind, through the stores."""
    accounts, sign_ins, preferences = Accounts(table), SignIns(table, 3600, 3600), Preferences(table)
    for name in (ANN, BOB):
        accounts.create(name, "$2b$12$hash", ("admin",))
        Failures(table).begin(name, "192.0.2.1")
        Failures(table).clear(name, "192.0.2.1")
        Failures(table).begin(name, "192.0.2.2")
        preferences.change(name, language="zh")
        preferences.record_test(name, "amazon.nova-lite-v1:0")
        sign_ins.issue_ticket(sign_ins.open(name))
        sign_ins.close(sign_ins.open(name))
    fill_conversations(table)
    fill_lab(table)
    programs = Programs(table)
    program = programs.create(ANN, "python", (SourceFile("main.py", "print('桶')"),), name="Buckets")
    record = RunRecord(keys.time_ordered_id(), AT, "python", "ok", 0, None, "out\n" * 20_000, "", False, 0.5)
    programs.add_run(program.id, record)
    files = (ResultFile("plot.png", 3, b"\x89PN"),)
    programs.add_run(
        program.id, RunRecord(keys.time_ordered_id(), AT, "python", "failed", 1, None, "", "x", False, 1, files=files)
    )


def fill_conversations(table) -> None:
    conversations = Conversations(table)
    kept, doomed = (conversations.create(ANN, "code_coach", title) for title in ("Buckets \ud83d", "Queues"))
    for size in (0, 10, 150_000, 1_000_000):
        message = Message(
            conversations.new_message_id(), Role.ASSISTANT, "桶x" * (size // 2), AT, MessageState.COMPLETE
        )
        for thread in (kept.id, doomed.id):
            conversations.save(thread, message)
    conversations.request_stop(kept.id, conversations.new_message_id())
    conversations.delete(ANN, doomed.id)


def fill_lab(table) -> None:
    templates = Templates(table)
    saved = templates.save(Template("", ANN, "Summary", Sheet("Say {text}")))
    templates.save(Template(saved.id, ANN, "Summary", Sheet("Say {text}. " * 20_000), version=saved.version))
    templates.keep_draft(ANN, Draft(Sheet("{draft}")))
    cases = Cases(("text",), (("a",), ("b",)), (Check("contains"),))
    CaseSets(table).save(CaseSet("", ANN, "Words", cases))
    evaluations = Evaluations(table)
    evaluation = evaluations.create(ANN, "Words", Plan(cases, (Variant("v", Sheet("{text}")),)))
    evaluations.add(evaluation, Outcome(0, 0, "answer", MessageState.COMPLETE))


# --- there and back ---


def test_real_data_go_from_sqlite_to_dynamodb_and_back_unchanged(sqlite, dynamodb, other, tmp_path):
    fill(sqlite)
    files = [tmp_path / name for name in ("1.jsonl", "2.jsonl.gz", "3.jsonl")]
    there = travelling(sqlite)
    written = backup.save(sqlite, files[0])
    assert written.items == len(there) > 30
    assert backup.restore(dynamodb, files[0]) == written
    assert travelling(dynamodb) == there
    backup.save(dynamodb, files[1])
    backup.restore(other, files[1])
    assert travelling(other) == there
    backup.save(other, files[2])
    assert sorted(files[2].read_bytes().splitlines()[1:-1]) == sorted(files[0].read_bytes().splitlines()[1:-1])
    unpacked = gzip.decompress(files[1].read_bytes())
    assert sorted(unpacked.splitlines()[1:-1]) == sorted(files[0].read_bytes().splitlines()[1:-1])


def test_the_stores_go_on_where_they_were_after_a_restore(sqlite, dynamodb, tmp_path):
    fill(sqlite)
    backup.save(sqlite, tmp_path / "backup.jsonl")
    backup.restore(dynamodb, tmp_path / "backup.jsonl")
    templates, conversations = Templates(dynamodb), Conversations(dynamodb)
    (template,) = templates.list(ANN)
    assert template.version == 2
    templates.rename(ANN, template.id, "Another name")
    assert [version.number for version in templates.versions(ANN, template.id)] == [3, 2, 1]
    (conversation,) = conversations.list(ANN).conversations
    conversations.rename(ANN, conversation.id, "Mine")
    assert [len(message.text) for message in conversations.messages(conversation.id).messages] == [
        0,
        10,
        150_000,
        10**6,
    ]
    (entry,) = Programs(dynamodb).list(ANN)
    newest, oldest = Programs(dynamodb).runs(entry.id)
    assert Programs(dynamodb).run(entry.id, newest.id).files[0].content == b"\x89PN"
    assert Programs(dynamodb).run(entry.id, oldest.id).stdout == "out\n" * 20_000


_TEXT = st.text(st.characters(codec=None, categories=None) | st.sampled_from("\ud83d\udc00\0é你#"), max_size=20)
_KEY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_ITEMS = st.builds(
    Item,
    st.builds(Key, _KEY_TEXT, _KEY_TEXT).filter(keys.travels),
    st.dictionaries(_TEXT, _JSON, max_size=4),
    st.integers(1, 10**12),
    st.none() | st.integers(4_000_000_001, 10**11),
)


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(items=st.lists(_ITEMS, max_size=8, unique_by=lambda item: item.key))
def test_any_data_go_there_and_back_unchanged(sqlite, dynamodb, other, tmp_path, items):
    backup._clear(sqlite)
    sqlite.restore(items)
    for source, target, name in ((sqlite, dynamodb, "a.jsonl"), (dynamodb, other, "b.jsonl.gz")):
        backup.save(source, tmp_path / name)
        backup.restore(target, tmp_path / name, over=True)
        found = travelling(target)
        assert found == sorted(items, key=lambda item: item.key)
        assert [repr(item) for item in found] == [repr(item) for item in sorted(items, key=lambda item: item.key)]


# --- what does not travel ---


def test_nobody_is_signed_in_by_a_restore_and_running_processes_forget_who_was(sqlite, other, clock, tmp_path):
    theirs, ours = (SignIns(table, 3600, 3600, clock=clock, monotonic=clock) for table in (sqlite, other))
    ticket, taken_along = theirs.issue_ticket("a sid"), theirs.open(ANN)
    signed_in = ours.open(BOB)
    assert ours.find(signed_in) == BOB
    backup.save(sqlite, tmp_path / "backup.jsonl")
    backup.restore(other, tmp_path / "backup.jsonl", over=True)
    clock.now += 2
    assert [ours.find(sid) for sid in (taken_along, signed_in)] == [None, None]
    assert ours.redeem(ticket) is None
    content = (tmp_path / "backup.jsonl").read_text()
    assert keys.hashed(taken_along) not in content
    assert keys.hashed(ticket) not in content


# How long a kind of item is kept, as the layout says it: what is of this moment stays behind.
_LASTING = ("-", "1 day", "7 days", "90 days")
_PASSING = ("30 s", "1 minute", "1 hour", "1 day after its end", "as the sign-in")
_SECRET = (keys.LAYOUT, keys.REVOCATIONS, keys.COOKIE_SECRETS)


def test_every_kind_of_item_is_known_to_travel_or_not():
    """A new kind of item, or a new time for which one is kept, must be decided here."""
    lines = [line.strip() for line in (keys.__doc__ or "").splitlines() if line.startswith("    ")]
    rows = [re.split(r"\s{2,}", line) for line in lines[2:]]
    assert len(rows) > 30
    for partition, sort, *_, expires in rows:
        key = Key(partition.replace("(any)", "user#a"), sort)
        assert expires in _LASTING + _PASSING, (key, expires)
        assert keys.travels(key) is (expires in _LASTING and key not in _SECRET), (key, expires)


@pytest.mark.parametrize("name", ["stop#ann@example.com", "sign-in#ann@example.com"])
def test_whatever_an_account_is_called_it_travels(name):
    assert keys.travels(keys.account(name))
    assert keys.travels(keys.usage("2026-11", name))
    assert not keys.travels(keys.user_sign_in(name, "0" * 64))
    assert not keys.travels(keys.stop("ab12", "message"))


def test_what_has_expired_stays_behind(sqlite, other, clock, tmp_path):
    sqlite.put(Item(Key("user#a", "soon"), {}, expires_at=int(clock.now) + 5))
    sqlite.put(Item(Key("user#a", "now"), {}, expires_at=int(clock.now) + 1))
    clock.now += 1
    backup.save(sqlite, tmp_path / "backup.jsonl")
    backup.restore(other, tmp_path / "backup.jsonl")
    assert [(item.key.sort, item.expires_at) for item in travelling(other)] == [("soon", int(clock.now) + 4)]


# --- refused, and nothing is written ---


def test_a_store_that_is_not_empty_is_left_alone_unless_told(table, tmp_path):
    table.put(Item(Key("user#ann", "preferences"), {"mine": True}))
    backup_file.write(tmp_path / "backup.jsonl", Head(NEWEST, "", ""), (Item(Key("user#bob", "preferences"), {}, 4),))
    for _ in range(2):
        with pytest.raises(InputRefused) as caught:
            backup.restore(table, tmp_path / "backup.jsonl")
        assert caught.value.key == "store_not_empty"
    assert [item.data for item in table.scan()] == [{"mine": True}]
    backup.restore(table, tmp_path / "backup.jsonl", over=True)
    assert travelling(table) == [Item(Key("user#bob", "preferences"), {}, 4)]
    assert layout.read(table).number == NEWEST


def test_running_processes_notice_before_anything_else_goes_and_keep_the_key_of_their_cookies(table, clock, tmp_path):
    for number in range(30):
        table.put(Item(Key(f"user#{number}", "preferences"), {}))
    ours = SignIns(table, 3600, 3600, clock=clock, monotonic=clock)
    signed_in, secrets = [ours.open(BOB) for _ in range(12)], kept_secrets(table)
    assert {ours.find(sid) for sid in signed_in} == {BOB}
    backup_file.write(tmp_path / "backup.jsonl", Head(NEWEST, "", ""), ())
    dying = WatchedTable(table)
    noticed = False
    while not noticed:  # each time it dies one call later
        dying.reset()
        dying.dies_after = (dying.dies_after or 0) + 1
        with suppress(Died):
            backup.restore(dying, tmp_path / "backup.jsonl", over=True)
        noticed = _as_of(table) > 0
    assert len([item for item in table.scan() if item.key.sort == "preferences"]) == 30
    assert not [item for item in table.scan() if item.key.partition.startswith(keys.SIGN_IN)]
    backup.restore(table, tmp_path / "backup.jsonl", over=True)
    clock.now += 2
    assert {ours.find(sid) for sid in signed_in} == {None}
    assert kept_secrets(table) == secrets
    assert travelling(table) == []


def _as_of(table) -> int:
    """How often the revocations have changed."""
    item = table.get(keys.REVOCATIONS)
    return item.version if item else 0


def test_a_store_that_only_an_app_was_started_with_is_empty(sqlite, tmp_path):
    backup_file.write(tmp_path / "backup.jsonl", Head(NEWEST, "", ""), ())
    backup.restore(sqlite, tmp_path / "backup.jsonl")


@pytest.mark.parametrize("break_it", ["cut", "newer", "edited"])
def test_a_wrong_file_changes_nothing(sqlite, tmp_path, break_it):
    path = tmp_path / "backup.jsonl"
    item = Item(Key("user#ann", "preferences"), {"mine": True}, 1)
    backup_file.write(path, Head(NEWEST + (break_it == "newer"), "", ""), (item,))
    if break_it == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    if break_it == "edited":
        path.write_bytes(path.read_bytes().replace(b"mine", b"ours"))
    sqlite.put(Item(item.key, {"theirs": True}))
    before = list(sqlite.scan())
    with pytest.raises(InputRefused):
        backup.restore(sqlite, path, over=True)
    assert list(sqlite.scan()) == before


# --- cut, and begun again ---


def test_a_restore_that_dies_at_any_call_is_finished_by_the_same_command(tmp_path, clock):
    path = tmp_path / "backup.jsonl"
    items = [Item(Key("user#ann", f"{number:02}"), {"n": number}, number + 1) for number in range(60)]
    backup_file.write(path, Head(NEWEST, "", ""), items)
    calls, died = 0, True
    while died:
        table = SqliteTable(tmp_path / f"{calls}.sqlite", clock=clock)
        watched = WatchedTable(table)
        watched.dies_after = calls
        try:
            backup.restore(watched, path)
            died = False
        except Died:
            if layout.read(table).restoring:
                with pytest.raises(StoreError, match="restore_unfinished"):
                    make_ready(table)
            if layout.read(table).restoring or not layout.read(table).number:
                backup.restore(table, path)  # else it died after its last write
        assert travelling(table) == items
        make_ready(table)
        table.close()
        calls += 1
    assert calls > 8


def test_while_one_restore_is_unfinished_another_file_is_refused(sqlite, tmp_path):
    layout.write(sqlite, Layout(NEWEST, "another digest", layout.read(sqlite).version))
    sqlite.put(Item(Key("user#ann", "preferences"), {}))
    backup_file.write(tmp_path / "backup.jsonl", Head(NEWEST, "", ""), ())
    with pytest.raises(InputRefused, match="store_not_empty"):
        backup.restore(sqlite, tmp_path / "backup.jsonl")


def test_a_backup_of_the_oldest_layout_is_taken_to_todays(table, tmp_path):
    oldest = Path(__file__).parents[1] / "layouts" / "layout_1.jsonl.gz"
    backup.restore(table, oldest)
    assert layout.read(table).number == NEWEST
    assert {template.name for template in Templates(table).list(ANN)} >= {"Summary", "?"}


def test_how_far_it_has_come_is_told(sqlite, other, tmp_path):
    for number in range(30):
        sqlite.put(Item(Key("user#ann", f"{number}"), {}))
    told: list[int] = []
    backup.save(sqlite, tmp_path / "backup.jsonl", told.append)
    backup.restore(other, tmp_path / "backup.jsonl", progress=told.append)
    assert told == [*range(1, 31), *range(1, 31)]


def test_a_store_that_goes_away_leaves_the_backup_before_as_it_was(sqlite, tmp_path):
    class Leaving(WatchedTable):
        def scan(self):
            yield Item(Key("user#ann", "preferences"), {}, 1)
            raise StoreUnavailable(detail="gone")

    backup.save(sqlite, tmp_path / "backup.jsonl")
    before = (tmp_path / "backup.jsonl").read_bytes()
    with pytest.raises(StoreUnavailable):
        backup.save(Leaving(sqlite), tmp_path / "backup.jsonl")
    assert (tmp_path / "backup.jsonl").read_bytes() == before
    assert json.loads(before.splitlines()[-1])["items"] == 0
