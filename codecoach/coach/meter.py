"""The books of what calls to models use: held back before a call is made, counted when it has ended.

    hold ──> the call is made ──> settle            counted; should the store not take it, it is given it again
      │            every minute ──> renew           it is under way
      └─ the process is killed ──> LEASE_S later    whoever looks next counts it by what was kept of its reply

What pages ask for is remembered for some seconds, and kept up to date by what this process counts: only a call that is about to
be made reads the store each time.
"""

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime
from typing import Final, ParamSpec, TypeVar

from codecoach.chat.messages import Message, MessageState, Usage
from codecoach.coach import history
from codecoach.coach.budget import Standing, admitted, defaults
from codecoach.coach.standings import Memory, Turns
from codecoach.errors import BUDGET, BudgetReached, StoreError
from codecoach.models.catalogue import micro_dollars
from codecoach.models.port import Payer
from codecoach.settings import Settings
from codecoach.store import keys, owned
from codecoach.store.accounts import Account
from codecoach.store.records import now
from codecoach.store.usage import NOTHING, Call, MonthUsage, Spent, State, UsageBook

# A call that was not renewed for so long has lost its process; the clocks of several machines may differ by some seconds.
LEASE_S: Final = 240.0
RENEW_S: Final = 60.0
# A store that does not take a count is given it again, ever more slowly.
FIRST_PAUSE_S: Final = 0.25
# An ARN is shorter, and what somebody typed into the Prompt Lab may be anything.
_MODEL_ID_CHARS: Final = 512
PAUSE_MAX_S: Final = 15.0
# A call that fails otherwise so often never will be counted by this process: it is left to whoever looks once its lease is over.
GIVE_UP_AFTER: Final = 5

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# What is known of a reply that was being written: see `store.conversations.Conversations.get_message`.
Kept = Callable[[str, str], Message | None]
# The account of a username, mostly from memory: see `store.accounts.Accounts.current`.
AccountOf = Callable[[str], Account | None]


@dataclass(frozen=True)
class Asked:
    """What a call is about to ask.

    input_tokens   estimated, rather too many than too few
    output_tokens  the longest reply
    may_shorten    whether a shorter reply will do
    """

    model_id: str
    input_tokens: int
    output_tokens: int
    may_shorten: bool = False


class Meter:
    """Holds and counts the calls of this process. Safe to use from any thread.

    account_of  looked up before each call: work that goes on without a page asks for no more once its account is closed;
                without it every payer may
    """

    def __init__(
        self,
        usage: UsageBook,
        settings: Settings,
        kept: Kept,
        clock: Callable[[], datetime] = now,
        account_of: AccountOf | None = None,
    ) -> None:
        self._usage = usage
        self._defaults = defaults(settings)
        self._warn_percent = settings.budget_warn_percent
        self._admin = settings.admin_email
        self._kept = kept
        self._clock = clock
        self._account_of = account_of
        self._known = Memory()
        self._turns = Turns()
        self._running: dict[str, Call] = {}
        self._unsettled: dict[str, tuple[Call, Spent]] = {}
        self._faults: dict[str, int] = {}  # by call: how often it failed though the store did answer
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        _meters.add(self)

    def hold(self, payer: Payer, asked: Asked) -> Call:
        """Hold back what a call may use. Raises `BudgetReached` where a budget does not leave room for it or the payer's account
        is closed, and `StoreError`, `NotYours` among them where it would be paid by somebody else than who acts."""
        owned.demand(payer.username)
        self._demand_open(payer.username)
        at = self._clock()
        call = Call(
            keys.time_ordered_id(),
            payer.username,
            _month_of(at),
            f"{at.day:02d}",
            asked.model_id[:_MODEL_ID_CHARS],
            payer.conversation_id,
            payer.thread_id,
            payer.message_id,
            payer.chars_before,
            asked.input_tokens,
            asked.output_tokens,
            until=at.timestamp() + LEASE_S,
        )

        def admit(state: State) -> Call:
            if dead := state.month.expired(at.timestamp()):
                raise _DeadCalls(dead)
            return admitted(call, self._standing(state), asked.may_shorten, self._admin)

        while True:
            try:
                with self._turns.of(call.username):
                    held, state = self._usage.hold(call, admit)
                break
            except _DeadCalls as found:
                self._count_dead(found.calls)
            except BudgetReached:
                self._known.drop(call.username)  # what the page shows of it must not be older than the refusal
                raise
            except StoreError:
                self._queue(call, NOTHING)  # it may have been written all the same, and no call comes of it
                raise
        self._known.put(call.username, call.conversation_id, state)
        with self._changed:
            self._running[held.id] = held
            self._work()
        return held

    def settle(self, call: Call, usage: Usage) -> None:
        """Count what a call has used. Where that fails now, as when the store does not answer, it is tried again."""
        spent = spent_by(usage)
        if not self._settled(call, spent):
            self._queue(call, spent)

    def settle_soon(self, call: Call, usage: Usage) -> None:
        """As `settle`, without waiting for the store."""
        self._queue(call, spent_by(usage))

    def wait_until_counted(self, call: Call, timeout_s: float) -> bool:
        """Whether a call is counted, or given up; waits for it at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: call.id not in self._running, timeout_s)

    def standing(self, username: str, conversation_id: str = "") -> Standing:
        """How a user stands, as it was within the last seconds. Raises `StoreError`."""
        month = self.this_month
        state = self._known.get(username, conversation_id)
        if state is None or state.month.month != month:
            state = self._usage.state(username, month, conversation_id)
            self._known.put(username, conversation_id, state)
        return self._standing(state)

    def month(self, username: str, month: str) -> MonthUsage:
        """What a user has used in a month, given as 2026-11. Raises `StoreError`."""
        return self._with_dead_counted(self._usage.state(username, month).month)

    def everybody(self, month: str) -> tuple[MonthUsage, ...]:
        """What everybody has used in a month, by username. Raises `StoreError`."""
        return tuple(map(self._with_dead_counted, self._usage.everybody(month)))

    def forget(self, username: str) -> None:
        """Read a user's limits anew: they have been changed."""
        self._known.drop(username)

    @property
    def this_month(self) -> str:
        return _month_of(self._clock())

    def close(self) -> None:
        """Count what could not be counted yet; what the store does not take now is found by the next who looks."""
        with self._changed:
            left = list(self._unsettled.values())
        for call, spent in left:
            try:
                self._settle(call, spent)
            except Exception as error:  # the others are counted all the same
                log.warning("call %s is left to be counted by another process: %s", call.id, error)

    def _demand_open(self, username: str) -> None:
        """Raises `BudgetReached` where the account of a payer is disabled or gone; the command line's calls are nobody's."""
        if self._account_of is None or not username:
            return
        account = _as_nobody(self._account_of, username)
        if account is None or account.disabled:
            raise BudgetReached(f"{BUDGET}closed", admin=self._admin)

    def _standing(self, state: State) -> Standing:
        return Standing(state, state.budget.or_else(self._defaults), self._warn_percent)

    def _settle(self, call: Call, spent: Spent) -> None:
        with self._turns.of(call.username):
            _as_nobody(self._usage.settle, call, spent)
        self._known.drop(call.username)
        self._let_go(call)

    def _settled(self, call: Call, spent: Spent) -> bool:
        """Whether nothing is left to do for a call: it is counted, or given up."""
        try:
            self._settle(call, spent)
        except StoreError as error:
            log.warning("call %s could not be counted, will be tried again: %s", call.id, error)
            return False
        except Exception:
            log.exception("call %s could not be counted, though the store answers", call.id)
            return self._given_up(call)
        return True

    def _given_up(self, call: Call) -> bool:
        """Whether a call has failed too often to be tried again; it is renewed no more, so that its lease ends."""
        with self._changed:
            self._faults[call.id] = faults = self._faults.get(call.id, 0) + 1
        if faults < GIVE_UP_AFTER:
            return False
        log.error("call %s is left to whoever looks when its lease is over", call.id)
        self._let_go(call)
        return True

    def _let_go(self, call: Call) -> None:
        with self._changed:
            for known in (self._running, self._unsettled, self._faults):
                known.pop(call.id, None)
            self._changed.notify_all()

    def _queue(self, call: Call, spent: Spent) -> None:
        with self._changed:
            self._unsettled[call.id] = (call, spent)
            self._work()
            self._changed.notify_all()

    def _with_dead_counted(self, found: MonthUsage) -> MonthUsage:
        dead = found.expired(self._clock().timestamp())
        return self._count_dead(dead) if dead else found

    def _count_dead(self, calls: Iterable[Call]) -> MonthUsage:
        """Count calls whose process has died, by what is left of them; returns how their month stands then."""
        for call in calls:
            log.warning(
                "call %s of %r: its process has died, it is counted by what is left of it", call.id, call.model_id
            )
            found = _as_nobody(self._usage.settle, call, spent_by(self._guess(call)), True)
        self._known.drop(call.username)
        return found

    def _guess(self, call: Call) -> Usage:
        message = _as_nobody(self._kept, call.thread_id, call.message_id) if call.message_id else None
        if message is None:  # nobody can tell: it may have been all
            return priced(call.model_id, call.input_tokens, call.most_output_tokens, estimated=True)
        if message.state is MessageState.COMPLETE and message.usage.output_tokens and not call.chars_before:
            return message.usage
        written = history.tokens(message.text[call.chars_before :])
        return priced(call.model_id, call.input_tokens, written, estimated=True)

    # What follows runs in the meter's own thread, which is there while there is something to do.

    def _work(self) -> None:
        """Have somebody look after what is under way; to be called with the lock."""
        if self._worker is None:
            self._worker = threading.Thread(target=self._look_after, name="meter", daemon=True)
            self._worker.start()

    def _look_after(self) -> None:
        renew_at, pause_s = time.monotonic() + RENEW_S, 0.0
        while True:
            with self._changed:
                if not self._running and not self._unsettled:
                    self._worker = None
                    return
                if not self._unsettled or pause_s:
                    until = min(renew_at, time.monotonic() + pause_s) if self._unsettled else renew_at
                    self._changed.wait(max(0.0, until - time.monotonic()))
                unsettled, running = list(self._unsettled.values()), list(self._running.values())
            done = [self._settled(call, spent) for call, spent in unsettled]
            pause_s = 0.0 if all(done) else min(max(FIRST_PAUSE_S, 2 * pause_s), PAUSE_MAX_S)
            if time.monotonic() >= renew_at:
                renew_at = time.monotonic() + RENEW_S
                _done(self._renew, running)

    def _renew(self, running: Iterable[Call]) -> None:
        until = self._clock().timestamp() + LEASE_S
        of_whom: dict[tuple[str, str], list[str]] = {}
        for call in running:
            of_whom.setdefault((call.username, call.month), []).append(call.id)
        for (username, month), ids in of_whom.items():
            with self._turns.of(username):
                self._usage.renew(username, month, ids, until)


def priced(model_id: str, input_tokens: int, output_tokens: int, estimated: bool = False) -> Usage:
    """So many tokens with what they cost."""
    return Usage(input_tokens, output_tokens, micro_dollars(model_id, input_tokens, output_tokens), estimated)


def spent_by(usage: Usage) -> Spent:
    """What a call counts for; one that used nothing, as where the service refused it, is none."""
    if not usage.input_tokens and not usage.output_tokens:
        return NOTHING
    unpriced = usage.micro_dollars is None
    return Spent(
        usage.input_tokens, usage.output_tokens, usage.micro_dollars or 0, 1, int(usage.estimated), int(unpriced)
    )


class _DeadCalls(Exception):
    """Calls must be counted before it is known what is left."""

    def __init__(self, calls: tuple[Call, ...]) -> None:
        super().__init__()
        self.calls = calls


def _as_nobody(action: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """Do it as no user (`store.owned`): a call is counted whoever looks, an administrator perhaps, and once its conversation is gone."""

    def unguarded() -> T:
        owned.act_as(None)
        return action(*args, **more)

    return Context().run(unguarded)


def _done(action: Callable[..., object], *args: object) -> bool:
    """Whether it went well; whatever goes wrong is tried again, and must not keep calls from being counted."""
    try:
        action(*args)
    except Exception as error:
        log.warning("calls could not be renewed, will be tried again: %s", error)
        return False
    return True


def _month_of(moment: datetime) -> str:
    return f"{moment.year}-{moment.month:02d}"


_meters: "weakref.WeakSet[Meter]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for meter in list(_meters):
        meter.close()
