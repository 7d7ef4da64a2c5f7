"""Programs and runs are kept whole, listed cheaply, and shown to their owner only."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from codecoach.chat.messages import Message, Role
from codecoach.errors import ItemRefused, VersionConflict
from codecoach.i18n import Notice
from codecoach.store import keys
from codecoach.store.conversations import Conversations
from codecoach.store.port import Item, Put
from codecoach.store.programs import (
    KEPT_FILE_BYTES,
    KEPT_RUNS,
    LISTED_OUTPUT_CHARS,
    Programs,
    ResultFile,
    RunRecord,
    SourceFile,
)
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Died, Meanwhile, WatchedTable

MAIN = (SourceFile("main.py", "print('你好')\n"), SourceFile("empty.txt", ""))


@pytest.fixture
def table(tmp_path):
    table = SqliteTable(tmp_path / "store.sqlite")
    yield table
    table.close()


@pytest.fixture
def programs(table):
    return Programs(table)


def record(**changes) -> RunRecord:
    plain = RunRecord(
        id=keys.time_ordered_id(),
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        language="python",
        status="failed",
        exit_code=1,
        signal=None,
        stdout="out",
        stderr="",
        truncated=False,
        wall_s=0.25,
        cpu_s=None,
        peak_memory_bytes=4096,
        reason=Notice("run.failed", {"code": "1"}),
        code_sha256="abc",
    )
    return replace(plain, **changes)


def test_a_program_comes_back_as_it_was_saved(programs):
    made = programs.create("ada", "python", MAIN, name="hello", conversation_id="c", message_id="m")
    saved = programs.save(replace(made, stdin="in\n", args=("-v", "")))
    found = programs.get("ada", made.id)
    assert found == saved
    assert found.version == saved.version == 2
    assert found.files == MAIN


def test_a_program_is_its_owners_alone(programs):
    made = programs.create("ada", "python", MAIN)
    assert programs.get("grace", made.id) is None
    programs.delete("grace", made.id)
    assert programs.get("ada", made.id) == made
    assert programs.list("grace") == ()


def test_the_newest_made_program_is_listed_first(programs):
    first = programs.create("ada", "python", MAIN, name="first")
    second = programs.create("ada", "bash", MAIN, name="second")
    changed = programs.save(replace(first, name="renamed"))
    listed = programs.list("ada")
    assert [(entry.id, entry.name) for entry in listed] == [(second.id, "second"), (first.id, "renamed")]
    assert listed[1].updated_at == changed.updated_at
    assert [entry.name for entry in programs.list("ada", limit=1)] == ["second"]


def test_of_two_saves_of_the_same_state_the_second_is_refused(programs):
    made = programs.create("ada", "python", MAIN)
    programs.save(replace(made, name="mine"))
    with pytest.raises(VersionConflict):
        programs.save(replace(made, name="theirs"))
    assert programs.get("ada", made.id).name == "mine"


def test_a_program_too_large_for_the_store_is_refused_and_the_old_one_kept(programs):
    made = programs.create("ada", "python", MAIN)
    with pytest.raises(ItemRefused):
        programs.save(replace(made, files=(SourceFile("main.py", "x" * 500_000),)))
    assert programs.get("ada", made.id) == made


def test_a_deleted_program_takes_its_runs_along(programs, table):
    made = programs.create("ada", "python", MAIN)
    programs.add_run(made.id, record(stdout="x" * 100_000, files=(ResultFile("a", 1, b"a"),)))
    said = Message(keys.time_ordered_id(), Role.ASSISTANT, "x" * 500_000, datetime.now(UTC))
    for thread in (made.id, keys.explanations(made.id)):
        Conversations(table).save(thread, said)
    programs.delete("ada", made.id)
    assert programs.get("ada", made.id) is None
    assert programs.list("ada") == ()
    programs.add_run(made.id, record())  # a run that ends after the deletion
    Conversations(table).save(keys.explanations(made.id), said)  # and an explanation
    for thread in (made.id, keys.explanations(made.id)):
        assert [item.key.sort for item in table.query(keys.thread(thread)).items] == ["gone"]
    assert programs.get("ada", "../nonsense") is None


def test_a_listed_program_that_is_not_there_leaves_the_list_when_it_is_deleted(programs, table):
    made, others = (programs.create(owner, "bash", MAIN) for owner in ("ann", "bob"))
    table.delete(keys.program_body(made.id))
    programs.delete("ann", made.id)
    programs.delete("ann", others.id)
    assert programs.list("ann") == ()
    assert programs.get("bob", others.id) == others
    assert [entry.id for entry in programs.list("bob")] == [others.id]


def test_a_deletion_that_died_is_finished_by_the_next_whatever_is_deleted_then(table):
    watched = WatchedTable(table)
    programs, conversations = Programs(watched), Conversations(watched)
    for by in (programs, conversations):
        for dies_after in range(100):
            made = programs.create("ada", "python", MAIN)
            programs.add_run(made.id, record(stdout="x" * 100_000))
            said = Message(keys.time_ordered_id(), Role.ASSISTANT, "x" * 500_000, datetime.now(UTC))
            conversations.save(keys.explanations(made.id), said)
            watched.reset()
            watched.dies_after = dies_after
            try:
                programs.delete("ada", made.id)
                died = False
            except Died:
                died = True
            watched.dies_after = None
            if programs.list("ada"):  # it died before anything had happened
                assert programs.get("ada", made.id) == made
                programs.delete("ada", made.id)
            else:
                by.delete("ada", keys.new_id())
            for thread in (made.id, keys.explanations(made.id)):
                assert [item.key.sort for item in table.query(keys.thread(thread)).items] == ["gone"]
            assert table.query(keys.user("ada")).items == ()
            if not died:
                break
        assert not died


@pytest.mark.parametrize("at_call", range(1, 12))
@pytest.mark.parametrize("what", ["program", "message", "from", "conversation"])
def test_a_run_that_is_kept_while_its_place_is_deleted_leaves_nothing(programs, table, what, at_call):
    conversations = Conversations(table)
    talk = conversations.create("ada", "plain")
    message = conversations.save(talk.id, Message(keys.time_ordered_id(), Role.ASSISTANT, "x", datetime.now(UTC)))
    program = programs.create("ada", "python", MAIN)
    thread = program.id if what == "program" else keys.block(talk.id, message.id, 0)
    deletions = {
        "program": lambda: programs.delete("ada", program.id),
        "message": lambda: conversations.delete_message(talk.id, message.id),
        "from": lambda: conversations.delete_from(talk.id, message.id),
        "conversation": lambda: conversations.delete("ada", talk.id),
    }
    meanwhile = Meanwhile(table, at_call, deletions[what])
    Programs(meanwhile).add_run(thread, record(stdout="x" * 100_000, files=(ResultFile("a", 1, b"a"),)))
    if meanwhile.calls < at_call:
        deletions[what]()
    assert programs.runs(thread) == ()
    places = (thread,) if what == "program" else (thread, talk.id)
    left = [item.key.sort for place in places for item in table.query(keys.thread(place)).items]
    assert [sort for sort in left if sort != "gone"] == []


@pytest.mark.parametrize("way", ["conversation", "message", "from"])
def test_runs_of_a_block_go_with_what_they_stand_in(programs, table, way):
    conversations = Conversations(table)
    made = conversations.create("ada", "plain")
    messages = [
        Message(keys.time_ordered_id(), role, "x", datetime.now(UTC)) for role in (Role.USER, Role.ASSISTANT, Role.USER)
    ]
    for message in messages:
        conversations.save(made.id, message)
    kept, gone = (keys.block(made.id, message.id, 0) for message in messages[:2])
    for thread in (kept, gone):
        programs.add_run(thread, record(stdout="x" * 100_000, files=(ResultFile("a", 1, b"a"),)))
    if way == "conversation":
        conversations.delete("ada", made.id)
    elif way == "message":
        conversations.delete_message(made.id, messages[1].id)
    else:
        conversations.delete_from(made.id, messages[1].id)
    programs.add_run(gone, record())  # a run that ends after the deletion
    assert table.query(keys.thread(gone)).items == ()
    assert len(programs.runs(kept)) == (0 if way == "conversation" else 1)
    noted = table.query(keys.thread(made.id), keys.RAN).items
    assert len(noted) == (0 if way == "conversation" else 1)


def test_a_run_comes_back_as_it_was(programs):
    kept = record(stderr="\x00\ufffd 你好\n", compile_output="warning", signal="SIGSEGV", exit_code=None)
    programs.add_run("p", kept)
    assert programs.run("p", kept.id) == kept
    assert programs.run("p", "unknown") is None
    assert programs.run("other", kept.id) is None


def test_output_of_a_megabyte_is_kept_whole_and_cut_in_lists(programs):
    printed = "你好\x00\n" * 260_000
    kept = record(stdout=printed, stderr=printed)
    programs.add_run("p", kept)
    assert programs.run("p", kept.id) == kept
    (listed,) = programs.runs("p")
    assert not listed.whole
    assert listed.stdout == printed[:LISTED_OUTPUT_CHARS]


def test_result_files_keep_their_content_while_they_are_small(programs):
    files = (
        ResultFile("plot.png", 4, b"\x89PNG"),
        ResultFile("empty", 0, b""),
        ResultFile("limit", KEPT_FILE_BYTES, b"x" * KEPT_FILE_BYTES),
        ResultFile("large", KEPT_FILE_BYTES + 1, b"x" * (KEPT_FILE_BYTES + 1)),
        *(ResultFile(f"many{n}", KEPT_FILE_BYTES, b"y" * KEPT_FILE_BYTES) for n in range(4)),
        ResultFile("last", 1, b"z"),
    )
    kept = record(files=files)
    programs.add_run("p", kept)
    found = programs.run("p", kept.id).files
    assert [(file.name, file.size_bytes) for file in found] == [(file.name, file.size_bytes) for file in files]
    assert [file.name for file in found if file.content is None] == ["large", "many2", "many3"]
    assert all(file.content is None or file == files[n] for n, file in enumerate(found))
    assert all(file.content is None for file in programs.runs("p")[0].files)


def test_the_newest_run_is_listed_first(programs):
    first, second = record(at=datetime.now(UTC)), record(at=datetime.now(UTC) + timedelta(seconds=1))
    programs.add_run("p", first)
    programs.add_run("p", second)
    assert [run.id for run in programs.runs("p")] == [second.id, first.id]
    assert [run.id for run in programs.runs("p", limit=1)] == [second.id]


def test_of_too_many_runs_the_oldest_go_with_all_they_kept(programs, table):
    kept = [record(files=(ResultFile("a", 1, b"a"),)) for _ in range(KEPT_RUNS + 2)]
    for run in kept:
        programs.add_run("p", run)
    assert [run.id for run in programs.runs("p", limit=100)] == [run.id for run in reversed(kept[2:])]
    assert len(table.query("thread#p", "part#", limit=1000).items) == 2 * KEPT_RUNS


def conversation_of(table, *texts: str) -> tuple[str, list[str]]:
    """A conversation's id, and the ids of the messages in it."""
    conversations = Conversations(table)
    made = conversations.create("ann@example.com", "code_coach")
    ids = [conversations.new_message_id() for _ in texts]
    for message_id, text in zip(ids, texts, strict=True):
        conversations.save(made.id, Message(message_id, Role.ASSISTANT, text, datetime.now(UTC)))
    return made.id, ids


def test_the_newest_runs_of_all_blocks_are_had_at_once_however_many_there_are(programs, table):
    thread, ids = conversation_of(table, *(f"answer {number}" for number in range(30)))
    newest = {}
    for message_id in ids:
        for block in range(2):
            for number in range(2):
                name = keys.block(thread, message_id, block)
                newest[name] = record(stdout=f"{number}" * 70_000)
                programs.add_run(name, newest[name])
    watched = WatchedTable(table)
    found = Programs(watched).block_runs(thread, ids[10])
    assert found == {name: run for name, run in newest.items() if name >= keys.block(thread, ids[10], 0)}
    assert len(found) == 40
    assert watched.calls == 2
    watched.reset()
    assert Programs(watched).block_runs(thread, ids[10], found.values()) == found
    assert watched.calls == 1


def test_the_newest_run_of_a_block_stays_where_an_older_one_ends_later(programs, table):
    thread, (message_id,) = conversation_of(table, "an answer")
    block = keys.block(thread, message_id, 0)
    older, newer = record(), record()
    programs.add_run(block, newer)
    programs.add_run(block, older)
    assert programs.block_runs(thread, message_id) == {block: newer}


def test_runs_that_were_kept_before_notes_and_records_said_so_much_are_found(programs, table):
    thread, (message_id,) = conversation_of(table, "an answer")
    block = keys.block(thread, message_id, 0)
    kept = record(stdout="é" * 70_000, files=(ResultFile("a.txt", 1, b"a"),))
    programs.add_run(block, kept)
    (run_key, note_key) = keys.run(block, kept.id), keys.ran(block)[1]
    old = {name: value for name, value in table.get(run_key).data.items() if name != "pieces"} | {"whole": False}
    table.transact([Put(Item(run_key, old)), Put(Item(note_key, {}))])
    assert programs.run(block, kept.id) == kept
    assert programs.block_runs(thread, message_id) == {block: kept}


def test_a_short_run_is_whole_in_a_list_and_needs_no_further_read(programs, table):
    kept = record()
    programs.add_run("p", kept)
    watched = WatchedTable(table)
    (listed,) = Programs(watched).runs("p")
    assert listed.whole
    assert Programs(watched).whole("p", listed) == kept
    assert watched.calls == 1


def test_the_runs_of_a_deleted_message_are_gone_with_it(programs, table):
    thread, ids = conversation_of(table, "first", "second")
    for message_id in ids:
        programs.add_run(keys.block(thread, message_id, 0), record())
    Conversations(table).delete_message(thread, ids[1])
    assert list(programs.block_runs(thread, ids[0])) == [keys.block(thread, ids[0], 0)]
