"""What has been used of the models: by each user in each month (UTC), and in each conversation.

    partition       sort        holds
    usage#<month>   <username>  {"total", "models": {model id: ...}, "days": {"01" to "31": ...}, "held": {call id: ...},
                                 "guessed": {call id: ...}}
    thread#<id>     spent       {"total"}

Each `...` but the last two is the list of numbers of a `Spent`. A call is counted once, by its id:

    hold ──> held: counts with the most that it may use ──┬─ settle ────────────────> counted
                  renewed while its process lives         └─ not renewed any more ──> `expired`, settled as a guess
                                                              its process lived after all, settle ──> the guess is corrected

All of that is one item, changed over its version. So calls at the same time cannot pass a limit together, whatever processes make
them, and neither a save that is repeated nor an answer that got lost counts anything twice.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Final, cast

from codecoach.store import keys
from codecoach.store.budgets import Budget, budget_of
from codecoach.store.changing import again
from codecoach.store.port import Item, Json, Put, Table
from codecoach.store.remembering import as_it_is

# Guesses that may still be corrected.
_GUESSES: Final = 50
# Models that are told apart in an item, which must stay small; of all further ones only the sum is known.
MODELS: Final = 60
OTHER_MODELS: Final = "*"
_AT_ONCE: Final = 500


@dataclass(frozen=True)
class Spent:
    """What some calls have used.

    estimated  how many of them the service gave no figures for
    unpriced   how many of them went to models without a known price; they count no dollars
    """

    input_tokens: int = 0
    output_tokens: int = 0
    micro_dollars: int = 0
    calls: int = 0
    estimated: int = 0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(*(mine - its for mine, its in zip(astuple(self), astuple(other), strict=True)))


NOTHING: Final = Spent()


@dataclass(frozen=True)
class Call:
    """A call to a model, as it is held.

    day                the day of the month on which it began, 01 to 31
    most_*             what it may use at most; dollars in millionths, 0 where no price is known
    input_tokens       what is sent, estimated
    thread_id, message_id, chars_before  see `models.port.Payer`
    until              Unix seconds at which it is taken for dead unless it has been renewed
    """

    id: str
    username: str
    month: str
    day: str
    model_id: str
    conversation_id: str = ""
    thread_id: str = ""
    message_id: str = ""
    chars_before: int = 0
    input_tokens: int = 0
    most_output_tokens: int = 0
    most_micro_dollars: int = 0
    until: float = 0.0

    @property
    def most_tokens(self) -> int:
        return self.input_tokens + self.most_output_tokens


@dataclass(frozen=True)
class MonthUsage:
    """What a user has used in a month.

    days  by the day of the month, 01 to 31
    held  what is under way
    """

    username: str
    month: str
    total: Spent = NOTHING
    models: dict[str, Spent] = field(default_factory=dict)
    days: dict[str, Spent] = field(default_factory=dict)
    held: tuple[Call, ...] = ()

    def expired(self, now_s: float) -> tuple[Call, ...]:
        """Calls whose process is taken for dead."""
        return tuple(call for call in self.held if call.until <= now_s)


@dataclass(frozen=True)
class State:
    """How a user stands: the month, a conversation, and the limits that an administrator has set."""

    month: MonthUsage
    conversation: Spent
    budget: Budget


class UsageBook:
    """What all users have used."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._now = as_it_is(table)

    def state(self, username: str, month: str, conversation_id: str = "") -> State:
        """How a user stands; one read."""
        return self._state(self._table, username, month, conversation_id)[0]

    def everybody(self, month: str) -> tuple[MonthUsage, ...]:
        """Of all who have used anything in a month, by username."""
        found: list[MonthUsage] = []
        after: str | None = None
        while True:
            page = self._table.query(keys.usage_in(month), limit=_AT_ONCE, after=after)
            found += [_month(item.key.sort, month, item.data) for item in page.items]
            after = page.next
            if after is None:
                return tuple(found)

    def hold(self, wanted: Call, admit: Callable[[State], Call]) -> tuple[Call, State]:
        """Hold what `admit` lets a call use at most; returns the call with that, and how its user stands then.

        Raises what `admit` does, which is asked again where another writer was quicker.
        """

        def attempt() -> tuple[Call, State]:
            state, item = self._state(self._now, wanted.username, wanted.month, wanted.conversation_id)
            known = next((call for call in state.month.held if call.id == wanted.id), None)
            if known:  # it was put, and the answer got lost
                return known, state
            call, data = admit(state), _data(item)
            _calls(data, "held")[call.id] = _from_call(call)
            month = keys.usage(wanted.month, wanted.username)
            self._now.put(Item(month, data), item.version if item else 0)
            return call, replace(state, month=_month(wanted.username, wanted.month, data))

        return again(attempt)

    def settle(self, call: Call, spent: Spent, guess: bool = False) -> MonthUsage:
        """Count a call that is held, once; a guess that was made of it is corrected, by no other guess."""
        return again(lambda: self._settle(call, spent, guess))

    def renew(self, username: str, month: str, ids: Iterable[str], until: float) -> None:
        """Say that calls are still under way."""

        def attempt() -> None:
            item = self._now.get(keys.usage(month, username))
            data = _data(item)
            held = _calls(data, "held")
            alive = [held[one] for one in ids if one in held]
            if item and alive:
                for call in alive:
                    call["until"] = until
                self._now.put(Item(item.key, data), item.version)

        again(attempt)

    def _state(self, table: Table, username: str, month: str, conversation_id: str) -> tuple[State, Item | None]:
        """How a user stands, and the item of the month."""
        wanted = [keys.usage(month, username), keys.budget(username)]
        wanted += [keys.spent(conversation_id)] if conversation_id else []
        found = table.batch_get(wanted)
        item, budget, *conversation = (found.get(key) for key in wanted)
        total = _spent(conversation[0].data["total"]) if conversation and conversation[0] else NOTHING
        return State(_month(username, month, _data(item)), total, budget_of(budget)), item

    def _settle(self, call: Call, spent: Spent, guess: bool) -> MonthUsage:
        month, conversation = keys.usage(call.month, call.username), keys.spent(call.conversation_id)
        found = self._now.batch_get([month, conversation] if call.conversation_id else [month])
        item = found.get(month)
        data = _data(item)
        held, guessed = _calls(data, "held"), _calls(data, "guessed")
        if call.id in held:
            del held[call.id]
        elif call.id in guessed and not guess:
            spent -= _spent(guessed.pop(call.id)["spent"])
        else:
            return _month(call.username, call.month, data)
        if spent != NOTHING:
            _count(data, call, spent)
        if guess:
            guessed[call.id] = {"spent": [*astuple(spent)]}
            for oldest in sorted(guessed)[: max(0, len(guessed) - _GUESSES)]:
                del guessed[oldest]
        puts = [Put(Item(month, data), item.version if item else 0)]
        if call.conversation_id and spent != NOTHING:
            old = found.get(conversation)
            total = (_spent(old.data["total"]) if old else NOTHING) + spent
            puts.append(Put(Item(conversation, {"total": [*astuple(total)]}), old.version if old else 0))
        self._now.transact(puts)
        if len(puts) > 1 and self._now.get(keys.gone(call.conversation_id)):
            self._now.delete(conversation)  # as everybody who writes into a thread (`store.purging`)
        return _month(call.username, call.month, data)


def _count(data: dict[str, Json], call: Call, spent: Spent) -> None:
    data["total"] = [*astuple(_spent(data["total"]) + spent)]
    models = cast("dict[str, Json]", data["models"])
    name = call.model_id if call.model_id in models or len(models) < MODELS else OTHER_MODELS
    for group, key in ((models, name), (cast("dict[str, Json]", data["days"]), call.day)):
        group[key] = [*astuple((_spent(group[key]) if key in group else NOTHING) + spent)]


def _data(item: Item | None) -> dict[str, Json]:
    """The data of a month's item, to be changed; of one that is not there yet, empty."""
    if item is not None:
        return item.data
    return {"total": [*astuple(NOTHING)], "models": {}, "days": {}, "held": {}, "guessed": {}}


def _calls(data: dict[str, Json], name: str) -> dict[str, dict[str, Json]]:
    return cast("dict[str, dict[str, Json]]", data[name])


def _month(username: str, month: str, data: dict[str, Json]) -> MonthUsage:
    return MonthUsage(
        username,
        month,
        _spent(data["total"]),
        {name: _spent(spent) for name, spent in cast("dict[str, Json]", data["models"]).items()},
        {day: _spent(spent) for day, spent in sorted(cast("dict[str, Json]", data["days"]).items())},
        tuple(Call(id=one, username=username, month=month, **held) for one, held in _calls(data, "held").items()),  # type: ignore[arg-type]
    )


def _spent(numbers: Json) -> Spent:
    return Spent(*cast(list[int], numbers))


def _from_call(call: Call) -> dict[str, Json]:
    return {name: value for name, value in asdict(call).items() if name not in ("id", "username", "month")}
