"""What models have used is counted exactly once, whoever counts at the same time and whatever gets lost, in every store."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from codecoach.errors import BudgetReached, InputRefused, StoreUnavailable, VersionConflict
from codecoach.store import keys
from codecoach.store.budgets import Budget, Budgets
from codecoach.store.conversations import Conversations
from codecoach.store.port import Table
from codecoach.store.usage import NOTHING, Call, Spent, State, UsageBook

ANN, MONTH = "ann@example.com", "2026-11"
USED = Spent(100, 20, 250, 1)


class LosesAnswers:
    """A table that writes, and then says that it did not answer, when told to."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.loses = False

    def __getattr__(self, name: str):
        def call(*args, **kwargs):
            found = getattr(self._table, name)(*args, **kwargs)
            if self.loses and name in ("put", "transact"):
                raise StoreUnavailable(detail="the answer got lost")
            return found

        return call


@pytest.fixture
def book(table) -> UsageBook:
    return UsageBook(table)


def call(number: int = 0, conversation_id: str = "", **more) -> Call:
    wanted = Call(f"{number:04d}", ANN, MONTH, "29", "some.model", conversation_id, input_tokens=100)
    return replace(wanted, most_output_tokens=50, most_micro_dollars=1000, until=10.0, **more)


def hold(book: UsageBook, wanted: Call) -> Call:
    return book.hold(wanted, lambda state: wanted)[0]


def test_a_call_is_held_at_its_most_and_counted_at_what_it_was(book):
    held = hold(book, call(conversation_id="c"))
    before = book.state(ANN, MONTH).month
    assert (before.total, before.held) == (NOTHING, (held,))
    book.settle(held, USED)
    state = book.state(ANN, MONTH, "c")
    assert (state.month.total, state.conversation, state.month.held) == (USED, USED, ())
    assert (state.month.models, state.month.days) == ({"some.model": USED}, {"29": USED})


def test_what_is_settled_again_counts_once(book):
    held = hold(book, call(conversation_id="c"))
    for _ in range(3):
        book.settle(held, USED)
    book.settle(held, USED, guess=True)
    state = book.state(ANN, MONTH, "c")
    assert (state.month.total, state.conversation) == (USED, USED)


def test_a_write_whose_answer_got_lost_counts_once(table):
    losing = LosesAnswers(table)
    book = UsageBook(losing)
    losing.loses = True
    for act in (lambda: hold(book, call()), lambda: book.settle(call(), USED)):
        with pytest.raises(StoreUnavailable):
            act()
    losing.loses = False
    assert hold(book, call(1)).id == "0001"
    book.settle(call(), USED)
    book.settle(call(1), USED)
    assert book.state(ANN, MONTH).month.total == USED + USED


def test_nothing_is_counted_twice_or_lost_by_many_at_once(book):
    def one(number: int) -> None:
        held = hold(book, call(number, conversation_id="c"))
        book.settle(held, Spent(number, 1, 10 * number, 1))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(8)))
    expected = Spent(sum(range(8)), 8, 10 * sum(range(8)), 8)
    state = book.state(ANN, MONTH, "c")
    assert (state.month.total, state.conversation, state.month.held) == (expected, expected, ())


def test_of_many_at_once_no_more_are_held_than_fit(book):
    gate = threading.Barrier(4)

    def admit(wanted: Call, state: State) -> Call:
        if len(state.month.held) >= 2:
            raise BudgetReached()
        return wanted

    def one(number: int) -> bool:
        wanted = call(number)
        gate.wait(60)
        try:
            book.hold(wanted, lambda state: admit(wanted, state))
        except BudgetReached:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == 2


def test_a_guess_is_corrected_once_by_what_it_really_was(book):
    held = hold(book, call(conversation_id="c"))
    guess = Spent(100, 50, 1000, 1, estimated=1)
    book.settle(held, guess, guess=True)
    assert book.state(ANN, MONTH, "c").conversation == guess
    for _ in range(2):
        book.settle(held, USED)
    state = book.state(ANN, MONTH, "c")
    assert (state.month.total, state.conversation) == (USED, USED)
    assert (state.month.models, state.month.days) == ({"some.model": USED}, {"29": USED})


def test_a_call_is_dead_once_it_is_no_longer_renewed(book):
    first, second = hold(book, call(1)), hold(book, call(2))
    book.renew(ANN, MONTH, [second.id, "unknown"], until=100.0)
    month = book.state(ANN, MONTH).month
    assert [dead.id for dead in month.expired(50.0)] == [first.id]
    assert len(month.expired(100.0)) == 2


def test_months_and_users_are_apart_and_everybody_is_found(book):
    others = [replace(call(), username=f"user-{number:03d}") for number in range(5)]
    for one in (*others, replace(call(), month="2026-12"), call()):
        book.settle(hold(book, one), USED)
    found = book.everybody(MONTH)
    assert [one.username for one in found] == [ANN, *(one.username for one in others)]
    assert {one.total for one in found} == {USED}
    assert [one.total for one in book.everybody("2026-12")] == [USED]
    assert book.everybody("2025-01") == ()


def test_a_sign_in_name_never_forms_another_ones_key(book):
    names = ["a", "a#b", "2026-11#a", "用户", "a" * 254]
    for number, name in enumerate(names):
        one = replace(call(), username=name)
        book.settle(hold(book, one), Spent(number + 1, 0, 0, 1))
    assert [book.state(name, MONTH).month.total.input_tokens for name in names] == [1, 2, 3, 4, 5]


def test_what_a_conversation_used_goes_with_it_and_stays_in_the_month(table, book, clock):
    conversations = Conversations(table, lambda: datetime.fromtimestamp(clock(), UTC))
    talk = conversations.create(ANN, "plain")
    late = hold(book, call(1, talk.id))
    book.settle(hold(book, call(2, talk.id)), USED)
    conversations.delete(ANN, talk.id)
    assert table.get(keys.spent(talk.id)) is None
    book.settle(late, USED)
    assert table.get(keys.spent(talk.id)) is None
    assert book.state(ANN, MONTH).month.total == USED + USED


def test_limits_are_kept_for_each_user_and_two_administrators_do_not_overwrite_one_another(table):
    budgets = Budgets(table)
    assert budgets.get(ANN) == Budget()
    first = budgets.put(ANN, Budget(month_micro_dollars=5_000_000, message_tokens=0), "root@example.com")
    assert (budgets.get(ANN), budgets.all()) == (first, {ANN: first})
    with pytest.raises(VersionConflict):
        budgets.put(ANN, Budget(month_tokens=1), "other@example.com")
    budgets.put(ANN, replace(first, month_micro_dollars=None), "root@example.com")
    limits = budgets.get(ANN).or_else(Budget(7, 7, 7, 7, 7, 7))
    assert (limits.month_micro_dollars, limits.message_tokens, limits.month_tokens) == (7, 0, 7)


@pytest.mark.parametrize("value", [-1, 10**12 + 1])
def test_a_limit_that_is_none_is_refused(table, value):
    with pytest.raises(InputRefused):
        Budgets(table).put(ANN, Budget(month_tokens=value), "root@example.com")
    assert Budgets(table).all() == {}
