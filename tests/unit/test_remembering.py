"""What a table remembers of its reads: never what is another's, never what this process changed, nothing for long."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.errors import StoreUnavailable, VersionConflict
from codecoach.store import keys
from codecoach.store.conversations import Conversations
from codecoach.store.port import Delete, Item, Key, Put
from codecoach.store.remembering import AGE_S, Remembering
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, Meanwhile, WatchedTable

KEY = Key("ann", "list#1")
OTHER = Key("ann", "other#1")
ALWAYS = float("-inf")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path):
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield WatchedTable(table)
    table.close()


@pytest.fixture
def table(store, clock) -> Remembering:
    """This process's."""
    made = Remembering(store, clock)
    made.put(Item(KEY, {"n": 1}))
    made.put(Item(OTHER, {"n": 1}))
    store.reset()
    return made


@pytest.fixture
def elsewhere(store, clock) -> Remembering:
    """Another process's, over the same store."""
    return Remembering(store, clock)


def reads(view) -> dict[str, object]:
    """What a view says of `KEY`, in every way it can be asked."""
    return {
        "get": view.get(KEY),
        "batch_get": view.batch_get([KEY]).get(KEY),
        "query": next(iter(view.query("ann", "list#").items), None),
        "all": next(iter(view.query("ann").items), None),
    }


def numbers(view) -> set[object]:
    return {item and item.data["n"] for item in reads(view).values()}


def test_what_was_read_is_not_asked_again_until_it_is_too_old(table, store, clock):
    view = table.lately(ALWAYS)
    first = reads(view)
    asked = store.calls
    clock.now += AGE_S - 0.01
    assert reads(view) == first
    assert store.calls == asked
    clock.now += 0.02
    assert reads(view) == first
    assert store.calls == 2 * asked


def test_the_table_itself_always_asks(table, elsewhere, store):
    reads(table.lately(ALWAYS))
    elsewhere.put(Item(KEY, {"n": 2}))
    assert numbers(table) == {2}


@pytest.mark.parametrize(
    "write",
    [
        lambda table: table.put(Item(KEY, {"n": 2})),
        lambda table: table.put(Item(KEY, {"n": 2}), expected_version=1),
        lambda table: table.transact([Put(Item(KEY, {"n": 2})), Delete(OTHER)]),
        lambda table: table.lately(ALWAYS).put(Item(KEY, {"n": 2})),
        lambda table: table.lately(ALWAYS).transact([Put(Item(KEY, {"n": 2}))]),
    ],
)
def test_an_own_change_is_seen_at_once(table, write):
    assert numbers(table.lately(ALWAYS)) == {1}
    write(table)
    assert numbers(table.lately(ALWAYS)) == {2}


@pytest.mark.parametrize(
    "delete",
    [
        lambda table: table.delete(KEY),
        lambda table: table.delete(KEY, expected_version=1),
        lambda table: table.transact([Delete(KEY)]),
        lambda table: table.lately(ALWAYS).delete(KEY),
    ],
)
def test_what_was_deleted_here_is_never_shown_as_living(table, delete):
    reads(table.lately(ALWAYS))
    delete(table)
    found = reads(table.lately(ALWAYS))
    assert found.pop("all") == table.get(OTHER)
    assert set(found.values()) == {None}


def test_what_is_new_here_is_seen_where_nothing_was_before(table):
    new = Key("ann", "new#1")
    view = table.lately(ALWAYS)
    assert view.get(new) is None
    assert view.query("ann", "new#").items == ()
    kept = table.put(Item(new, {"n": 1}))
    assert view.get(new) == kept
    assert view.query("ann", "new#").items == (kept,)


def test_a_change_makes_nothing_else_be_read_again(table, store):
    view = table.lately(ALWAYS)
    view.query("ann", "other#")
    view.get(OTHER)
    table.put(Item(KEY, {"n": 2}))
    table.put(Item(Key("bob", "other#1"), {"n": 2}))
    store.reset()
    view.query("ann", "other#")
    view.get(OTHER)
    assert store.calls == 0


def test_a_change_made_elsewhere_is_seen_after_a_while(table, elsewhere, clock):
    view = table.lately(ALWAYS)
    reads(view)
    elsewhere.put(Item(KEY, {"n": 2}))
    clock.now += AGE_S + 0.01
    assert numbers(view) == {2}
    elsewhere.delete(KEY)
    clock.now += AGE_S + 0.01
    assert view.get(KEY) is None


def test_a_view_is_shown_nothing_that_was_read_before_it_began(table, elsewhere, clock):
    reads(table.lately(ALWAYS))
    elsewhere.put(Item(KEY, {"n": 2}))
    clock.now += 0.01
    assert numbers(table.lately(clock.now)) == {2}


def test_users_with_the_same_names_for_their_things_get_their_own(table, store):
    view = table.lately(ALWAYS)
    for user in ("ann", "bob", "ann#list", "ann\0"):
        table.put(Item(Key(user, "list#1"), {"of": user}))
    for _ in range(2):
        for user in ("ann", "bob", "ann#list", "ann\0"):
            assert view.get(Key(user, "list#1")).data == {"of": user}
            assert [item.data for item in view.query(user, "list#").items] == [{"of": user}]
            assert [item.data for item in view.batch_get([Key(user, "list#1")]).values()] == [{"of": user}]
    assert view.query("list#", "1").items == ()


def test_pages_of_one_list_are_told_apart(table):
    for number in range(5):
        table.put(Item(Key("ann", f"page#{number}"), {"n": number}))
    view = table.lately(ALWAYS)
    for _ in range(2):
        first = view.query("ann", "page#", limit=2)
        assert [item.data["n"] for item in first.items] == [0, 1]
        assert [item.data["n"] for item in view.query("ann", "page#", limit=2, after=first.next).items] == [2, 3]
        assert [item.data["n"] for item in view.query("ann", "page#", limit=2, newest_first=True).items] == [4, 3]
        assert len(view.query("ann", "page#").items) == 5


def test_what_expires_is_not_remembered(table, store):
    passing = Key("ann", "passing")
    table.put(Item(passing, {}, expires_at=2**40))
    view = table.lately(ALWAYS)
    view.get(passing)
    store.reset()
    view.get(passing)
    assert store.calls == 1


class AwayTable(WatchedTable):
    """A table that does not answer while `away`; where `after`, it has done what it was asked for."""

    away = after = False

    def _away(self) -> None:
        if self.away:
            raise StoreUnavailable(detail="no answer")

    def get(self, key):
        self._away()
        return super().get(key)

    def put(self, item, expected_version=None):
        if not self.after:
            self._away()
        kept = super().put(item, expected_version)
        self._away()
        return kept


def test_a_store_that_is_away_is_told_and_asked_again(table, store, clock):
    away = AwayTable(store.table)
    view = Remembering(away, clock).lately(ALWAYS)
    view.get(KEY)
    away.away = True
    clock.now += AGE_S + 0.01
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            view.get(KEY)
    away.away = False
    assert view.get(KEY).data == {"n": 1}


def test_a_change_whose_answer_was_lost_is_looked_at_again(table, store, clock):
    away = AwayTable(store.table)
    here = Remembering(away, clock)
    view = here.lately(ALWAYS)
    view.get(KEY)
    away.away = away.after = True
    with pytest.raises(StoreUnavailable):
        here.put(Item(KEY, {"n": 2}))
    away.away = False
    assert view.get(KEY).data == {"n": 2}


def test_what_is_read_to_be_changed_is_what_is_there(table, elsewhere, clock):
    here, there = Conversations(table), Conversations(elsewhere)
    made = here.create("ann", "code_coach", title="First")
    shown = Conversations(table.lately(ALWAYS))
    assert shown.get("ann", made.id).title == "First"
    there.rename("ann", made.id, "Theirs")
    here.set_assistant("ann", made.id, "plain")
    kept = here.get("ann", made.id)
    assert (kept.title, kept.assistant_id) == ("Theirs", "plain")
    assert shown.get("ann", made.id) == kept


def test_an_old_version_overwrites_nothing(table, elsewhere):
    stale = table.lately(ALWAYS).get(KEY)
    elsewhere.put(Item(KEY, {"n": 2}))
    assert table.lately(ALWAYS).get(KEY) == stale
    with pytest.raises(VersionConflict):
        table.put(Item(KEY, {"n": 3}), expected_version=stale.version)
    assert numbers(table.lately(ALWAYS)) == {2}  # who was refused sees at once what is there


def test_a_long_text_replaced_elsewhere_is_the_old_or_the_new_one_whole(table, elsewhere, clock):
    shown, there = Conversations(table.lately(ALWAYS)), Conversations(elsewhere)
    message = Message(there.new_message_id(), Role.USER, "a" * 300_000, datetime.now(UTC), MessageState.COMPLETE)
    there.save("thread", message)
    for letter in "bcdef":
        before = shown.messages("thread").messages[0].text
        there.save("thread", replace(message, text=letter * 300_000))
        clock.now += AGE_S / 2
        after = shown.messages("thread").messages[0].text
        assert after in (before, letter * 300_000)
    clock.now += AGE_S + 0.01
    assert shown.messages("thread").messages[0].text == "f" * 300_000


def test_a_text_replaced_while_it_is_read_is_looked_for_anew(store, clock):
    there = Conversations(store.table)
    message = Message(there.new_message_id(), Role.USER, "a" * 300_000, datetime.now(UTC), MessageState.COMPLETE)
    there.save("thread", message)
    replaced = Meanwhile(store.table, 3, lambda: there.save("thread", replace(message, text="b" * 300_000)))
    view = Remembering(replaced, clock).lately(ALWAYS)
    view.get(keys.message("thread", message.id))  # is remembered, and names parts that are gone in a moment
    assert Conversations(view).messages("thread").messages[0].text == "b" * 300_000


class Held(WatchedTable):
    """A table whose reads wait, having read, until they are let go."""

    def __init__(self, table) -> None:
        super().__init__(table)
        self.reading, self.let_go = threading.Semaphore(0), threading.Event()

    def get(self, key):
        found = super().get(key)
        self.reading.release()
        assert self.let_go.wait(60)
        return found


def test_several_who_ask_the_same_at_the_same_time_wait_for_one_answer(table, store, clock):
    held = Held(store.table)
    view = Remembering(held, clock).lately(ALWAYS)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(view.get, KEY)
        assert held.reading.acquire(timeout=60)
        others = [pool.submit(view.get, KEY) for _ in range(7)]
        held.let_go.set()
        assert {one.result(60).data["n"] for one in (first, *others)} == {1}
    assert held.calls == 1


def test_what_a_change_crossed_is_neither_kept_nor_given_to_who_asks_after_it(table, store, clock):
    held = Held(store.table)
    here = Remembering(held, clock)
    view = here.lately(ALWAYS)
    with ThreadPoolExecutor(2) as pool:
        before = pool.submit(view.get, KEY)
        assert held.reading.acquire(timeout=60)
        here.put(Item(KEY, {"n": 2}))
        after = pool.submit(view.get, KEY)
        assert held.reading.acquire(timeout=60)  # it asks for itself
        held.let_go.set()
        assert (before.result(60).data["n"], after.result(60).data["n"]) == (1, 2)
    assert view.get(KEY).data["n"] == 2


def test_an_answer_that_comes_after_a_change_is_not_kept_where_it_may_be_of_before(table, store, clock):
    held = Held(store.table)
    here = Remembering(held, clock)
    view = here.lately(ALWAYS)
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(view.get, KEY)
        assert held.reading.acquire(timeout=60)
        here.put(Item(KEY, {"n": 2}))
        held.let_go.set()
        assert before.result(60).data["n"] == 1
    assert view.get(KEY).data["n"] == 2


def test_a_view_that_begins_while_others_ask_does_not_wait_for_their_answer(table, store, clock):
    held = Held(store.table)
    here = Remembering(held, clock)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(here.lately(ALWAYS).get, KEY)
        assert held.reading.acquire(timeout=60)
        clock.now += 1
        late = pool.submit(here.lately(clock.now).get, KEY)
        assert held.reading.acquire(timeout=60)
        held.let_go.set()
        assert early.result(60) == late.result(60)
    assert held.calls == 2


def test_who_waits_for_an_answer_that_fails_is_told_the_same(table, store, clock):
    class Failing(Held):
        def get(self, key):
            super().get(key)
            raise StoreUnavailable(detail="no answer")

    held = Failing(store.table)
    view = Remembering(held, clock).lately(ALWAYS)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(view.get, KEY)]
        assert held.reading.acquire(timeout=60)
        asked.append(pool.submit(view.get, KEY))
        held.let_go.set()
        for one in asked:
            with pytest.raises(StoreUnavailable):
                one.result(60)


def test_nobody_misses_an_own_change_however_many_are_at_work(table):
    view = table.lately(ALWAYS)

    def work(number: int) -> None:
        key = Key("ann", f"work#{number}")
        for n in range(40):
            table.put(Item(key, {"n": n}))
            assert view.get(key).data["n"] == n
            listed = {item.key.sort: item.data["n"] for item in view.query("ann", "work#").items}
            assert listed[key.sort] == n

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert {item.data["n"] for item in view.query("ann", "work#").items} == {39}


def test_no_more_is_remembered_than_is_allowed_and_what_was_used_last_stays(store, clock):
    here = Remembering(store, clock, remembered_chars=50_000)
    for number in range(20):
        here.put(Item(Key(f"user {number}", "text"), {"text": "x" * 5_000}))
    view = here.lately(ALWAYS)
    for number in range(20):
        view.get(Key("user 0", "text"))
        view.get(Key(f"user {number}", "text"))
    store.reset()
    view.get(Key("user 0", "text"))
    view.get(Key("user 19", "text"))
    assert store.calls == 0
    view.get(Key("user 5", "text"))
    assert store.calls == 1
