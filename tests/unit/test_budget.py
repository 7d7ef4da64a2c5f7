"""What is left of a budget is never passed, by however many calls and whatever they turn out to use."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecoach.coach.budget import LEAST_REPLY_TOKENS, Standing, admitted, amount, defaults, resets_on
from codecoach.coach.meter import priced, spent_by
from codecoach.errors import BudgetReached
from codecoach.models.catalogue import LOCAL_MODEL
from codecoach.settings import Settings
from codecoach.store.budgets import Budget
from codecoach.store.sqlite import SqliteTable
from codecoach.store.usage import NOTHING, Call, MonthUsage, Spent, State, UsageBook

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"  # $1 and $5 per million
UNKNOWN = "acme.unknown-v1"
MONTH = "2026-11"


def call(input_tokens: int = 1000, most: int = 1000, model_id: str = HAIKU, number: int = 0) -> Call:
    return Call(f"{number:06d}", "ann", MONTH, "01", model_id, input_tokens=input_tokens, most_output_tokens=most)


def standing(limits: Budget, used: Spent = NOTHING, talk: Spent = NOTHING, held: tuple[Call, ...] = ()) -> Standing:
    return Standing(State(MonthUsage("ann", MONTH, used, held=held), talk, Budget()), limits, 80)


def room(limits: Budget, wanted: Call | None = None, may_shorten: bool = True, **used) -> Call:
    return admitted(wanted or call(), standing(limits, **used), may_shorten, "root@example.com")


def refused(limits: Budget, wanted: Call | None = None, may_shorten: bool = True, **used) -> BudgetReached:
    with pytest.raises(BudgetReached) as found:
        room(limits, wanted, may_shorten, **used)
    return found.value


def test_without_limits_a_call_is_held_at_all_it_may_use():
    held = room(Budget(0, 0, 0, 0, 0, 0))
    assert (held.most_output_tokens, held.most_micro_dollars) == (1000, 1000 + 5000)


def test_a_reply_in_chat_becomes_as_short_as_what_is_left():
    assert room(Budget(month_tokens=1500)).most_output_tokens == 500
    assert room(Budget(month_micro_dollars=3000)).most_output_tokens == 400
    assert room(Budget(message_tokens=1600, month_tokens=1500)).most_output_tokens == 500


def test_what_would_be_shorter_than_is_of_use_is_refused_and_says_what_to_do():
    error = refused(Budget(month_tokens=1000 + LEAST_REPLY_TOKENS - 1))
    assert error.key == "budget_month_tokens"
    assert error.values["limit"] == "1,255"
    assert error.values["admin"] == "root@example.com"
    assert error.values["resets"] == resets_on(datetime.now(UTC))


def test_what_may_not_be_shortened_fits_whole_or_not_at_all():
    assert room(Budget(month_tokens=2000), may_shorten=False).most_output_tokens == 1000
    assert refused(Budget(month_tokens=1999), may_shorten=False).key == "budget_month_tokens"


@pytest.mark.parametrize(
    ("limits", "key"),
    [
        (Budget(month_micro_dollars=6999), "budget_month_dollars"),
        (Budget(conversation_micro_dollars=6999), "budget_conversation_dollars"),
        (Budget(conversation_tokens=2999), "budget_conversation_tokens"),
        (Budget(message_micro_dollars=5999), "budget_message_dollars"),
        (Budget(message_tokens=1999), "budget_message_tokens"),
    ],
)
def test_each_limit_stops_what_would_pass_it(limits, key):
    used = Spent(500, 500, 1000, 1)
    assert refused(limits, may_shorten=False, used=used, talk=used).key == key
    higher = Budget(**{name: value + 1 if value else value for name, value in limits.limits.items()})
    assert room(higher, may_shorten=False, used=used, talk=used).most_output_tokens == 1000


def test_what_is_under_way_counts_as_used_and_the_refusal_says_that_it_does():
    error = refused(Budget(month_tokens=3000), held=(call(number=1),))
    assert (error.key, error.values["held"]) == ("budget_held_tokens", "2,000")
    assert refused(Budget(month_tokens=100), held=(call(number=1),)).key == "budget_month_tokens"


def test_a_model_of_this_machine_costs_nothing_and_its_tokens_count():
    used = Spent(0, 0, 10_000, 1)
    free = call(model_id=LOCAL_MODEL)
    assert room(Budget(month_micro_dollars=5000), free, used=used).most_micro_dollars == 0
    assert refused(Budget(month_tokens=1000), free).key == "budget_month_tokens"
    assert spent_by(priced(LOCAL_MODEL, 10, 5)) == Spent(10, 5, 0, 1)


def test_a_model_without_a_known_price_counts_tokens_and_is_stopped_where_no_dollars_are_left():
    limits = Budget(month_micro_dollars=5000, month_tokens=5000)
    assert room(limits, call(model_id=UNKNOWN)).most_micro_dollars == 0
    assert refused(limits, call(model_id=UNKNOWN), used=Spent(0, 0, 5000, 1)).key == "budget_month_dollars"
    assert refused(limits, call(model_id=UNKNOWN), used=Spent(4500, 0, 0, 1)).key == "budget_month_tokens"
    assert room(Budget(0, 0, 0, 0, 0, 0), call(model_id=UNKNOWN)).most_output_tokens == 1000
    assert spent_by(priced(UNKNOWN, 10, 5)) == Spent(10, 5, 0, 1, unpriced=1)


@pytest.mark.parametrize("span", ["month", "conversation", "message"])
def test_a_limit_in_dollars_alone_refuses_what_has_no_known_price_and_says_what_to_do(span):
    error = refused(Budget(**{f"{span}_micro_dollars": 5_000_000}), call(model_id=UNKNOWN))
    assert error.key == "budget_unpriced"
    assert (error.values["model"], error.values["admin"]) == (UNKNOWN, "root@example.com")
    for wider in ("month", "conversation", "message"):
        limits = Budget(**{f"{span}_micro_dollars": 5_000_000, f"{wider}_tokens": 50_000})
        ends_it = ("month", "conversation", "message").index(wider) <= ("month", "conversation", "message").index(span)
        if ends_it:
            assert room(limits, call(model_id=UNKNOWN)).most_output_tokens == 1000
        else:  # any number of such calls would pass it
            assert refused(limits, call(model_id=UNKNOWN)).key == "budget_unpriced"


def test_a_profile_whose_price_is_not_known_counts_at_the_dearest_of_its_model():
    held = room(Budget(month_micro_dollars=5_000_000), call(model_id=f"us-gov.{HAIKU}"))
    assert held.most_micro_dollars == 1100 + 5500


def test_a_warning_comes_from_its_share_on_and_names_the_fullest_limit():
    limits = Budget(month_micro_dollars=1000, conversation_tokens=100)
    assert standing(limits, Spent(0, 0, 799, 1)).warning is None
    found = standing(limits, Spent(0, 0, 800, 1), Spent(95, 0, 0, 1)).warning
    assert found is not None
    assert (found.span, found.percent) == ("conversation", 95)
    found = standing(limits, Spent(0, 0, 800, 1)).warning
    assert found is not None
    assert (found.span, found.unit, found.percent) == ("month", "dollars", 80)


def test_the_settings_are_the_default_and_zero_is_no_limit():
    set_by_us = Settings(budget_month_dollars=2.5, budget_message_tokens=10)
    assert defaults(set_by_us) == Budget(2_500_000, 0, 0, 0, 0, 10)
    assert Budget(month_micro_dollars=0).or_else(defaults(set_by_us)).month_micro_dollars == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "$0"), (12, "$0.000012"), (4200, "$0.0042"), (1_234_567, "$1.23"), (2_000_000_000, "$2,000.00")],
)
def test_amounts_have_as_many_digits_as_it_takes(value, said):
    assert amount(value, "dollars") == said


def test_the_next_month_begins_on_its_first_day():
    assert resets_on(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)) == "2027-01-01"
    assert resets_on(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-02-01"


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Iterator[UsageBook]:
    table = SqliteTable(tmp_path_factory.mktemp("usage") / "codecoach.sqlite")
    yield UsageBook(table)
    table.close()


_users = count()
_CALLS = st.tuples(
    st.sampled_from([HAIKU, LOCAL_MODEL, UNKNOWN]),
    st.integers(0, 3000),  # sent
    st.integers(1, 2000),  # the longest reply
    st.floats(0, 1),  # how much of that comes
    st.booleans(),  # may be shortened
    st.booleans(),  # is settled at once, or after all the others have begun
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tokens=st.integers(1, 20_000), micro=st.integers(1, 40_000), calls=st.lists(_CALLS, max_size=12))
def test_what_is_recorded_is_the_sum_of_the_replies_and_never_passes_a_limit(book, tokens, micro, calls):
    username = f"user-{next(_users)}"
    limits = Budget(micro, tokens, 0, 0, 0, 0)
    open_calls, recorded = [], NOTHING

    def end(held: Call, share: float) -> Spent:
        used = priced(held.model_id, held.input_tokens, int(held.most_output_tokens * share))
        book.settle(held, spent_by(used))
        return spent_by(used)

    for number, (model_id, sent, most, share, may_shorten, at_once) in enumerate(calls):
        wanted = Call(
            f"{number:06d}", username, MONTH, "01", model_id, input_tokens=sent, most_output_tokens=most, until=9.0
        )

        def admit(state: State, wanted: Call = wanted, may_shorten: bool = may_shorten) -> Call:
            return admitted(wanted, Standing(state, limits), may_shorten, "")

        try:
            held, _ = book.hold(wanted, admit)
        except BudgetReached:
            continue
        if at_once:
            recorded += end(held, share)
        else:
            open_calls.append((held, share))
    for held, share in open_calls:
        recorded += end(held, share)
    month = book.state(username, MONTH).month
    assert month.total == recorded
    assert month.held == ()
    assert sum(month.models.values(), NOTHING) == sum(month.days.values(), NOTHING) == recorded
    assert month.total.tokens <= tokens
    assert month.total.micro_dollars <= micro + len(calls)  # each is rounded to a millionth of a dollar
