"""What is left of budgets, and how much of it a call may use. Values only: `coach.meter` keeps the books."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from codecoach.errors import BUDGET, BudgetReached
from codecoach.models.catalogue import Price, entry
from codecoach.settings import Settings
from codecoach.store.budgets import Budget
from codecoach.store.usage import Call, State

Span = Literal["month", "conversation", "message"]
Unit = Literal["dollars", "tokens"]

# A reply that had to be shorter than this would be of no use: better say beforehand that the budget is used up.
LEAST_REPLY_TOKENS: Final = 256


@dataclass(frozen=True)
class Gauge:
    """One limit, and what counts against it: tokens, or millionths of a dollar.

    held  what replies under way may use at most
    """

    span: Span
    unit: Unit
    limit: int
    used: int
    held: int = 0

    @property
    def left(self) -> int:
        return self.limit - self.used - self.held

    @property
    def percent(self) -> int:
        """How much of it is used, in per cent, rounded down: 100 only where nothing is left."""
        return self.used * 100 // self.limit


@dataclass(frozen=True)
class Standing:
    """How a user stands, with the limits that hold for them; `conversation` of the state is that of one conversation."""

    state: State
    limits: Budget
    warn_percent: int = 100

    @property
    def gauges(self) -> tuple[Gauge, ...]:
        """The limits on the month and on the conversation, the fullest first."""
        return tuple(sorted(_gauges(self.state, self.limits), key=lambda gauge: -gauge.percent))

    @property
    def warning(self) -> Gauge | None:
        """The fullest limit, where it is full enough to be told of."""
        return next((gauge for gauge in self.gauges if gauge.percent >= self.warn_percent), None)


def defaults(settings: Settings) -> Budget:
    """The limits of everybody to whom none have been given."""
    return Budget(
        month_micro_dollars=round(settings.budget_month_dollars * 1e6),
        month_tokens=settings.budget_month_tokens,
        conversation_micro_dollars=round(settings.budget_conversation_dollars * 1e6),
        conversation_tokens=settings.budget_conversation_tokens,
        message_micro_dollars=round(settings.budget_message_dollars * 1e6),
        message_tokens=settings.budget_message_tokens,
    )


def admitted(call: Call, standing: Standing, may_shorten: bool, admin: str) -> Call:
    """The call with what it may use at most: all of its `most_output_tokens`, or as much as is left.

    may_shorten  whether a shorter reply will do
    admin        who can be asked for more

    Raises `BudgetReached` where that does not fit, and where nobody knows the model's price but a limit in dollars alone is to
    hold: it could not. What is held back already counts as used, so that calls at the same time together keep to the limits too.
    """
    known = entry(call.model_id)
    price = known.price_of(call.model_id) if known else None
    if price is None and not _kept_by_tokens(standing.limits):
        raise BudgetReached(f"{BUDGET}unpriced", model=call.model_id, admin=admin)
    wanted = call.most_output_tokens
    needed = min(wanted, LEAST_REPLY_TOKENS) if may_shorten else wanted
    room = wanted
    for gauge in (*_of_message(standing.limits), *standing.gauges):
        fits = _fitting(gauge.left, gauge.unit, call, price)
        if fits < needed:
            raise _reached(gauge, _fitting(gauge.left + gauge.held, gauge.unit, call, price) >= needed, admin)
        room = min(room, fits)
    cost = call.input_tokens * price.input_per_mtok + room * price.output_per_mtok if price else 0
    return replace(call, most_output_tokens=room, most_micro_dollars=round(cost))


def resets_on(now: datetime) -> str:
    """The day on which the next month begins (UTC), as 2026-12-01."""
    day = now.astimezone(UTC)
    return f"{day.year + day.month // 12}-{day.month % 12 + 1:02d}-01"


def amount(value: int, unit: Unit) -> str:
    """An amount for people: `$0.0042`, `12,345`. Enough digits to tell a small amount from none, and no more."""
    if unit == "tokens":
        return f"{value:,}"
    if value == 0:
        return "$0"
    dollars = value / 1e6
    digits = 2 if abs(dollars) >= 1 else 4 if abs(dollars) >= 0.001 else 6
    return f"${dollars:,.{digits}f}"


def _gauges(state: State, limits: Budget) -> Iterator[Gauge]:
    month, talk = state.month.total, state.conversation
    held_dollars = sum(call.most_micro_dollars for call in state.month.held)
    held_tokens = sum(call.most_tokens for call in state.month.held)
    if limits.month_micro_dollars:
        yield Gauge("month", "dollars", limits.month_micro_dollars, month.micro_dollars, held_dollars)
    if limits.month_tokens:
        yield Gauge("month", "tokens", limits.month_tokens, month.tokens, held_tokens)
    # One reply at a time is written in a conversation, so nothing else can be held there.
    if limits.conversation_micro_dollars:
        yield Gauge("conversation", "dollars", limits.conversation_micro_dollars, talk.micro_dollars)
    if limits.conversation_tokens:
        yield Gauge("conversation", "tokens", limits.conversation_tokens, talk.tokens)


def _of_message(limits: Budget) -> Iterator[Gauge]:
    if limits.message_micro_dollars:
        yield Gauge("message", "dollars", limits.message_micro_dollars, 0)
    if limits.message_tokens:
        yield Gauge("message", "tokens", limits.message_tokens, 0)


def _kept_by_tokens(limits: Budget) -> bool:
    """Whether each limit in dollars has one in tokens, of the same span or a longer one, that ends what costs nobody knows what."""
    month, talk = limits.month_tokens, limits.conversation_tokens
    by_tokens = (
        (limits.month_micro_dollars, month),
        (limits.conversation_micro_dollars, month or talk),
        (limits.message_micro_dollars, month or talk or limits.message_tokens),
    )
    return all(tokens for dollars, tokens in by_tokens if dollars)


def _fitting(left: int, unit: Unit, call: Call, price: Price | None) -> int:
    """How many tokens of reply fit into what is left, at most those wanted; below 0 where not even the question does."""
    wanted = call.most_output_tokens
    if unit == "tokens":
        return min(wanted, left - call.input_tokens)
    if price is None:  # nobody knows what it costs: as long as anything is left; a limit in tokens is what ends it
        return wanted if left > 0 else -1
    rest = left - call.input_tokens * price.input_per_mtok
    if rest < 0 and any(price):
        return -1
    return min(wanted, int(rest / price.output_per_mtok)) if price.output_per_mtok else wanted


def _reached(gauge: Gauge, waits: bool, admin: str) -> BudgetReached:
    """`waits`: it would fit if what is under way did not hold so much back."""
    values = {
        "limit": amount(gauge.limit, gauge.unit),
        "used": amount(gauge.used, gauge.unit),
        "held": amount(gauge.held, gauge.unit),
        "resets": resets_on(datetime.now(UTC)),
        "admin": admin,
    }
    return BudgetReached(f"{BUDGET}{'held' if waits else gauge.span}_{gauge.unit}", **values)
