"""Conversations of any length and messages of any size are kept whole, and opening one reads little."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.chat.messages import Message, MessageError, MessageState, Role, Usage
from codecoach.errors import InputRefused
from codecoach.store import keys
from codecoach.store.conversations import Conversations
from codecoach.store.items import encoded_bytes
from codecoach.store.large import PART_BYTES, split
from codecoach.store.port import Item, Put
from codecoach.store.records import from_message, to_message
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Died, Meanwhile, WatchedTable

ME = "me@example.com"


class Calendar:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def calendar():
    return Calendar()


@pytest.fixture
def table(tmp_path, calendar):
    sqlite = SqliteTable(tmp_path / "codecoach.sqlite", clock=lambda: calendar.now.timestamp())
    yield WatchedTable(sqlite)
    sqlite.close()


@pytest.fixture
def conversations(table, calendar):
    return Conversations(table, clock=calendar)


@pytest.fixture
def thread(conversations):
    return conversations.create(ME, "code_coach").id


def message(conversations: Conversations, text: str = "", **fields) -> Message:
    fields = {"role": Role.ASSISTANT, "created_at": datetime(2026, 1, 1, tzinfo=UTC)} | fields
    return Message(id=conversations.new_message_id(), text=text, **fields)


def varied(letter: str, size: int) -> str:
    """A text of which no two pieces are the same."""
    return "".join(f"{letter}{number} " for number in range(size // 3))[:size]


def texts(conversations: Conversations, thread: str) -> list[str]:
    return [found.text for found in conversations.messages(thread).messages]


def sorts(table: WatchedTable, thread: str) -> list[str]:
    """The sort keys of all that is stored of a thread."""
    return [item.key.sort for item in table.table.query(keys.thread(thread), limit=10_000).items]


# --- conversations ---


def test_a_conversation_is_its_owners_alone(conversations):
    mine = conversations.create(ME, "code_coach", "Buckets")
    assert conversations.get(ME, mine.id) == mine
    assert conversations.get("you@example.com", mine.id) is None
    assert conversations.list("you@example.com").conversations == ()


@pytest.mark.parametrize("nonsense", ["", "x" * 5000, "../..", "\ud83d", "ABC", "recent#"])
def test_an_id_from_the_address_bar_may_be_anything(conversations, nonsense):
    assert conversations.get(ME, nonsense) is None


def test_conversations_are_listed_newest_change_first_page_by_page(conversations, calendar):
    made = []
    for number in range(5):
        calendar.tick()
        made.append(conversations.create(ME, "code_coach", f"c{number}").id)
    calendar.tick()
    conversations.touch(ME, made[1])
    first = conversations.list(ME, limit=3)
    second = conversations.list(ME, limit=3, after=first.next)
    assert [found.title for found in first.conversations] == ["c1", "c4", "c3"]
    assert [found.title for found in second.conversations] == ["c2", "c0"]
    assert second.next is None


def test_conversations_of_the_same_moment_are_all_listed(conversations):
    made = {conversations.create(ME, "code_coach").id for _ in range(20)}
    assert {found.id for found in conversations.list(ME).conversations} == made


def test_listing_reads_no_messages(conversations, table, thread):
    for _ in range(30):
        conversations.save(thread, message(conversations, "x"))
    table.reset()
    assert len(conversations.list(ME).conversations) == 1
    assert table.read == 1


def test_renaming_and_another_assistant_show_everywhere_and_keep_the_place(conversations, calendar):
    old = conversations.create(ME, "code_coach", "old")
    calendar.tick()
    conversations.create(ME, "code_coach", "newer")
    conversations.rename(ME, old.id, "new")
    conversations.set_assistant(ME, old.id, "plain")
    listed = conversations.list(ME).conversations
    assert [found.title for found in listed] == ["newer", "new"]
    assert listed[1] == conversations.get(ME, old.id) == dataclasses.replace(old, title="new", assistant_id="plain")
    assert listed[1].version == conversations.get(ME, old.id).version == 3


def test_changing_what_is_gone_is_refused(conversations, thread):
    conversations.delete(ME, thread)
    for change in (lambda: conversations.rename(ME, thread, "x"), lambda: conversations.touch(ME, thread)):
        with pytest.raises(InputRefused):
            change()
    assert conversations.list(ME).conversations == ()


def test_changes_at_the_same_moment_all_hold(conversations, calendar, thread):
    def change(number: int) -> None:
        conversations.touch(ME, thread)
        if number == 3:
            conversations.rename(ME, thread, "renamed")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(8)))
    assert [found.title for found in conversations.list(ME).conversations] == ["renamed"]


def test_deleting_takes_everything_along(conversations, table, thread):
    for text in ("x", varied("y", 400_000)):
        conversations.save(thread, message(conversations, text))
    table.table.transact([Put(Item(keys.run(thread, "1"), {}))])
    conversations.delete(ME, thread)
    conversations.delete(ME, thread)
    assert conversations.get(ME, thread) is None
    assert sorts(table, thread) == ["gone"]
    assert table.table.query(keys.user(ME)).items == ()


def test_a_deletion_that_died_is_finished_by_the_next(conversations, table, thread):
    for _ in range(60):
        conversations.save(thread, message(conversations, "x"))
    other = conversations.create(ME, "code_coach").id
    table.reset()
    table.dies_after = 6
    with pytest.raises(Died):
        conversations.delete(ME, thread)
    table.dies_after = None
    assert len(sorts(table, thread)) > 1
    assert [found.id for found in conversations.list(ME).conversations] == [other]
    conversations.delete(ME, other)
    assert sorts(table, thread) == ["gone"]


def test_a_reply_that_streams_into_a_deleted_conversation_leaves_no_ghost(conversations, table, thread):
    reply = conversations.save(thread, message(conversations, "half", state=MessageState.STREAMING))
    conversations.delete(ME, thread)
    assert conversations.stop_requested(thread, reply.id)
    conversations.save(thread, reply)
    assert sorts(table, thread) == ["gone"]


@pytest.mark.parametrize("at_call", range(1, 7))
@pytest.mark.parametrize("saved_before", [False, True])
def test_a_message_that_is_saved_while_its_conversation_is_deleted_leaves_no_ghost(
    conversations, table, thread, calendar, saved_before, at_call
):
    reply = message(conversations, varied("y", 400_000))
    if saved_before:
        conversations.save(thread, reply)
    meanwhile = Meanwhile(table, at_call, lambda: conversations.delete(ME, thread))
    Conversations(meanwhile, clock=calendar).save(thread, reply)
    if meanwhile.calls < at_call:
        conversations.delete(ME, thread)
    assert sorts(table, thread) == ["gone"]


# --- messages ---


def test_every_field_of_a_message_survives(conversations, thread):
    whole = message(
        conversations,
        "",
        state=MessageState.FAILED,
        model_id="m",
        stop_reason="end_turn",
        usage=Usage(1, 2),
        updated_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        error=MessageError("model_throttled", {"detail": ""}, "ab12"),
    )
    conversations.save(thread, whole)
    assert conversations.get_message(thread, whole.id) == whole


def test_a_message_is_replaced_in_its_place(conversations, thread):
    first, second = message(conversations, "1"), message(conversations, "2")
    for one in (first, second, dataclasses.replace(first, text="one")):
        conversations.save(thread, one)
    assert texts(conversations, thread) == ["one", "2"]


def test_messages_page_backwards(conversations, thread):
    for number in range(7):
        conversations.save(thread, message(conversations, str(number)))
    newest = conversations.messages(thread, limit=3)
    older = conversations.messages(thread, limit=3, before=newest.before)
    oldest = conversations.messages(thread, limit=3, before=older.before)
    assert [[found.text for found in page.messages] for page in (newest, older, oldest)] == [
        list("456"),
        list("123"),
        ["0"],
    ]
    assert oldest.before is None


def test_opening_a_conversation_of_5000_messages_reads_only_what_it_shows(conversations, table, thread):
    for start in range(0, 5000, 100):
        rows = [message(conversations, str(start + number)) for number in range(100)]
        table.table.transact([Put(Item(keys.message(thread, row.id), from_message(row))) for row in rows])
    table.reset()
    page = conversations.messages(thread)
    assert [found.text for found in page.messages] == [str(number) for number in range(4950, 5000)]
    assert table.read <= 51
    assert table.calls == 1


def test_a_message_of_1_mb_is_kept_whole(conversations, table, thread):
    text = "".join(f"{number:x} 你好 \n" for number in range(100_000))
    assert len(text.encode()) > 1_000_000
    saved = conversations.save(thread, message(conversations, text))
    assert conversations.get_message(thread, saved.id) == saved
    table.reset()
    assert texts(conversations, thread) == [text]
    assert table.read < 15


def test_saving_a_growing_reply_is_cheap(conversations, table, thread):
    reply = message(conversations, "", state=MessageState.STREAMING)
    for size in (0, 100, 50_000, 300_000, 300_100, 900_000, 900_100, 1_000_000):
        before = conversations.get_message(thread, reply.id)
        grown = size - len(before.text if before else "")
        table.reset()
        conversations.save(thread, dataclasses.replace(reply, text=varied("x", size)))
        # The item, the part that was the last one anew, what grew, and the deletion of the part that was replaced.
        assert table.written <= 3 + math.ceil(grown / PART_BYTES)
        assert table.read <= 3
        assert len(conversations.get_message(thread, reply.id).text) == size


def test_replaced_texts_leave_no_parts_behind(conversations, table, thread):
    one = message(conversations)
    for text in (varied("a", 1_000_000), varied("b", 500_000), varied("a", 1_000_000), "short"):
        conversations.save(thread, dataclasses.replace(one, text=text))
    assert sorts(table, thread) == [f"message#{one.id}"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (varied("a", 500_000), varied("b", 700_000)),
        ("a", varied("b", 300_000)),
        (varied("a", 300_000), "b"),
        ("a", "b"),
    ],
)
def test_a_crash_while_saving_leaves_the_old_text_or_the_new_one(conversations, table, thread, old, new):
    one = message(conversations)
    seen = set()
    for dies_after in range(20):
        conversations.save(thread, dataclasses.replace(one, text=old))
        table.reset()
        table.dies_after = dies_after
        try:
            conversations.save(thread, dataclasses.replace(one, text=new))
            finished = True
        except Died:
            finished = False
        table.dies_after = None
        (text,) = texts(conversations, thread)
        assert text in (old, new)
        seen.add(text)
        if finished:
            break
    assert finished
    assert seen == {old, new}
    conversations.delete_message(thread, one.id)
    assert sorts(table, thread) == []


class StutteringTable(WatchedTable):
    """Sends each put twice, as an SDK does when the first answer got lost."""

    def put(self, item, expected_version=None):
        super().put(item, expected_version)
        return super().put(item, expected_version)


@pytest.mark.parametrize("size", [10, 300_000, 1_000_000])
def test_a_save_whose_answer_got_lost_loses_nothing(conversations, table, calendar, thread, size):
    one = message(conversations, varied("a", 500_000))
    conversations.save(thread, one)
    stuttering = Conversations(StutteringTable(table.table), clock=calendar)
    for text in (varied("b", size), varied("b", size + 5000)):
        stuttering.save(thread, dataclasses.replace(one, text=text))
        assert texts(conversations, thread) == [text]
    assert len(sorts(table, thread)) == 1 + (len(split(text)) if size > 64_000 else 0)


def test_writers_of_one_message_never_mix_their_texts(conversations, table, thread):
    one = message(conversations)
    written = [varied(letter, 400_000) for letter in "abcd"]

    def write(text: str) -> None:
        for size in (250_000, 400_000):
            conversations.save(thread, dataclasses.replace(one, text=text[:size]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, written))
    (text,) = texts(conversations, thread)
    assert text in written
    assert len(sorts(table, thread)) == 1 + len(split(text))


def test_a_reader_sees_whole_texts_while_they_are_replaced(conversations, thread):
    one = message(conversations)
    conversations.save(thread, dataclasses.replace(one, text=varied("a", 300_000)))

    def write() -> None:
        for number in range(15):
            conversations.save(thread, dataclasses.replace(one, text=varied("ab"[number % 2], 300_000)))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            (text,) = texts(conversations, thread)
            assert text in (varied("a", 300_000), varied("b", 300_000))
        writing.result()


def test_deleting_one_message_leaves_the_others(conversations, table, thread):
    rows = [message(conversations, text) for text in ("1", varied("2", 300_000), "3")]
    for row in rows:
        conversations.save(thread, row)
    conversations.delete_message(thread, rows[1].id)
    conversations.delete_message(thread, rows[1].id)
    assert texts(conversations, thread) == ["1", "3"]
    assert len(sorts(table, thread)) == 2


def test_deleting_from_a_message_takes_all_later_ones(conversations, table, thread):
    rows = [message(conversations, str(number) if number % 10 else varied("x", 300_000)) for number in range(90)]
    for row in rows:
        conversations.save(thread, row)
    conversations.delete_from(thread, rows[25].id)
    assert [found.id for found in conversations.messages(thread, limit=100).messages] == [row.id for row in rows[:25]]
    assert len(sorts(table, thread)) == 25 + 3 * 2


# --- stopping, and writers that die ---


def test_a_stop_reaches_the_writer_and_ends_with_it(conversations, thread):
    reply = conversations.save(thread, message(conversations, "x", state=MessageState.STREAMING))
    assert not conversations.stop_requested(thread, reply.id)
    conversations.request_stop(thread, reply.id)
    assert conversations.stop_requested(thread, reply.id)
    conversations.save(thread, dataclasses.replace(reply, state=MessageState.STOPPED))
    assert not conversations.stop_requested(thread, reply.id)


def test_a_stop_that_comes_too_late_does_not_stop_what_continues_the_message(conversations, thread):
    reply = conversations.save(thread, message(conversations, "x"))
    conversations.request_stop(thread, reply.id)
    assert not conversations.stop_requested(thread, reply.id)


def test_a_stop_that_nobody_obeyed_is_forgotten(conversations, calendar, thread):
    reply = conversations.save(thread, message(conversations, "x", state=MessageState.STREAMING))
    conversations.request_stop(thread, reply.id)
    conversations.clear_stop(thread, reply.id)
    assert not conversations.stop_requested(thread, reply.id)
    conversations.request_stop(thread, reply.id)
    calendar.tick(61)
    assert not conversations.stop_requested(thread, reply.id)


@pytest.mark.parametrize("delete", ["delete_message", "delete_from"])
def test_deleting_a_streaming_reply_stops_it_and_keeps_it_away(conversations, thread, delete):
    reply = conversations.save(thread, message(conversations, "x", state=MessageState.STREAMING))
    getattr(conversations, delete)(thread, reply.id)
    assert conversations.stop_requested(thread, reply.id)
    conversations.save(thread, reply)
    conversations.save(thread, dataclasses.replace(reply, state=MessageState.STOPPED))
    assert texts(conversations, thread) == []


def test_a_reply_whose_writer_died_reads_as_interrupted(conversations, calendar, thread):
    reply = conversations.save(thread, message(conversations, "x", state=MessageState.STREAMING))
    calendar.tick(10)
    assert conversations.get_message(thread, reply.id).state is MessageState.STREAMING
    calendar.tick(0.1)
    assert conversations.get_message(thread, reply.id).state is MessageState.INTERRUPTED
    assert conversations.messages(thread).messages[0].state is MessageState.INTERRUPTED
    conversations.save(thread, reply)
    assert conversations.get_message(thread, reply.id).state is MessageState.STREAMING


# --- search ---


def test_search_finds_titles_and_texts_whatever_the_case(conversations, calendar):
    def make(title: str, *said: str) -> None:
        calendar.tick()
        made = conversations.create(ME, "code_coach", title)
        for text in said:
            conversations.save(made.id, message(conversations, text))

    make("List my Buckets", "ok")
    make("Other", varied("x", 300_000) + " all BUCKETS of the list")
    make("Split", "list", "buckets")
    make("桶", "列出 S3 桶")
    assert [found.title for found in conversations.search(ME, "bucket LIST").conversations] == [
        "Other",
        "List my Buckets",
    ]
    assert [found.title for found in conversations.search(ME, "列出").conversations] == ["桶"]
    assert conversations.search(ME, "nowhere").conversations == ()
    assert not conversations.search(ME, "nowhere").more
    assert len(conversations.search(ME, " ").conversations) == 4


def test_search_is_bounded_and_says_so(conversations, table, thread):
    for start in range(0, 1100, 100):
        rows = [message(conversations, "needle" if start + n == 0 else "hay") for n in range(100)]
        table.table.transact([Put(Item(keys.message(thread, row.id), from_message(row))) for row in rows])
    table.reset()
    result = conversations.search(ME, "needle")
    assert (result.conversations, result.more) == ((), True)
    assert table.read < 1100


# --- pieces ---

any_text = st.text(st.characters(), max_size=300)
long_text = st.builds(lambda unit, times: unit * times, any_text, st.integers(1, 4000))


@given(long_text)
def test_pieces_join_to_the_text_and_each_fits(text):
    pieces = split(text)
    assert "".join(pieces) == text
    assert all(0 < encoded_bytes(piece) <= PART_BYTES + 2 for piece in pieces)


@given(long_text, any_text)
def test_a_growing_text_keeps_all_pieces_but_the_last(text, more):
    assert split(text + more)[: len(split(text)) - 1] == split(text)[:-1]


@given(
    st.builds(
        Message,
        id=st.just("1"),
        role=st.sampled_from(Role),
        text=any_text,
        created_at=st.datetimes(timezones=st.just(UTC)),
        state=st.sampled_from(MessageState),
        model_id=any_text,
        updated_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        stop_reason=any_text,
        usage=st.builds(Usage, st.integers(0), st.integers(0)),
        error=st.none() | st.builds(MessageError, any_text, st.dictionaries(any_text, any_text), any_text),
    )
)
def test_messages_become_json_and_back(original):
    assert to_message("1", from_message(original)) == original
