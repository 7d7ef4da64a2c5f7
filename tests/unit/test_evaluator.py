"""Evaluations: every trial is made once, kept as it comes, stopped, capped, resumed, and goes on without its page."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from codecoach.chat.messages import MessageState, Usage
from codecoach.coach import evaluator
from codecoach.coach.evaluator import Evaluator
from codecoach.coach.spending import Spending
from codecoach.errors import InputRefused, StoreUnavailable, VersionConflict
from codecoach.lab.cases import Cases, Check
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan, Variant, Verdict, summaries
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.store.evaluations import Evaluations
from codecoach.store.sqlite import SqliteTable
from tests.replies import eventually

ANN, BOB = "ann@example.com", "bob@example.com"
MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"


class ToldTrials:
    """Makes each trial when `go` lets it, as `what` says."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []
        self.at_once = self.most_at_once = 0
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.dollars = 0.0
        self.fails: set[tuple[int, int]] = set()
        self._lock = threading.Lock()

    def make(self, plan, row, variant, stop, waits, payer) -> Outcome:
        with self._lock:
            self.made.append((row, variant))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        with stop.ends(self.go.set):
            assert self.go.wait(60)
        with self._lock:
            self.at_once -= 1
        if stop.pressed:
            return Outcome(row, variant, "part", MessageState.STOPPED)
        if (row, variant) in self.fails:
            return Outcome(row, variant, "", MessageState.FAILED)
        verdict = Verdict("contains", row % 2 == 0)
        return Outcome(row, variant, f"answer {row}", MessageState.COMPLETE, (verdict,), Usage(1, 2), self.dollars)


@pytest.fixture
def table(tmp_path) -> Iterator[SqliteTable]:
    made = SqliteTable(tmp_path / "codecoach.sqlite")
    yield made
    made.close()


@pytest.fixture
def store(table) -> Evaluations:
    return Evaluations(table)


@pytest.fixture
def trials() -> ToldTrials:
    return ToldTrials()


@pytest.fixture
def making(trials, store, monkeypatch) -> Iterator[Evaluator]:
    monkeypatch.setattr(evaluator, "SAVE_S", 0.05)
    yield Evaluator(trials, store)
    evaluator.interrupt_all()


def plan(rows: int = 5, cap: float | None = None, model: str = MODEL) -> Plan:
    cases = Cases(("word",), tuple((f"w{row}",) for row in range(rows)), (Check("contains"),))
    sheets = (Sheet(text, model_id=model, parameters=Parameters(100)) for text in ("Say {word}.", "{word}"))
    return Plan(cases, tuple(Variant(f"v{n}", sheet) for n, sheet in enumerate(sheets)), cap)


def test_every_trial_is_made_and_kept(making, store, trials):
    trials.go.clear()
    job = making.start(ANN, "Words", plan())
    eventually(lambda: trials.most_at_once == evaluator.AT_ONCE)
    trials.go.set()
    assert job.join(60)
    assert sorted(trials.made) == list(plan().trials)
    assert trials.most_at_once == evaluator.AT_ONCE
    (head,) = store.list(ANN)
    assert (head.state, head.done, head.total, head.passed, head.name) == (EvaluationState.COMPLETE, 10, 10, 6, "Words")
    assert store.outcomes(head) == job.outcomes
    assert store.plan(head) == plan()
    assert store.list(BOB) == ()
    assert store.get(BOB, head.id) is None


def test_stopping_keeps_what_came_and_resuming_makes_only_what_is_missing(making, store, trials):
    trials.go.clear()
    trials.fails = {(0, 0)}
    job = making.start(ANN, "Words", plan())
    assert trials.begun.wait(60)
    making.stop(job.id)
    assert job.join(60)
    head = store.get(ANN, job.id)
    assert head.state is EvaluationState.STOPPED
    assert {outcome.text for outcome in store.outcomes(head)} == {"part"}
    trials.go.set()
    again = making.resume(head)
    assert again.join(60)
    head = store.get(ANN, job.id)
    assert (head.state, head.done) == (EvaluationState.COMPLETE, 10)
    trials.made.clear()
    trials.fails = set()
    assert making.resume(head).join(60)
    assert trials.made == [(0, 0)], "the one that failed"
    assert all(outcome.made for outcome in store.outcomes(head))


def test_another_process_can_stop_it(making, store, trials):
    trials.go.clear()
    job = making.start(ANN, "Words", plan())
    assert trials.begun.wait(60)
    store.request_stop(job.id)
    assert job.join(60)
    assert store.get(ANN, job.id).state is EvaluationState.STOPPED


def test_a_deleted_evaluation_ends_and_leaves_nothing(making, store, trials, table):
    trials.go.clear()
    job = making.start(ANN, "Words", plan())
    assert trials.begun.wait(60)
    store.delete(ANN, job.id)
    assert job.join(60)
    assert store.list(ANN) == ()
    left = [item.key.sort for item in table.query(f"thread#{job.id}").items]
    assert left == ["gone"]


def test_one_that_died_is_interrupted_and_goes_on(making, store, trials):
    head = store.create(ANN, "Words", plan())
    store.add(head, Outcome(0, 0, "kept", MessageState.COMPLETE))
    with pytest.raises(InputRefused):
        making.resume(head)
    later = Evaluations(store._table, clock=lambda: head.updated_at.replace(year=head.updated_at.year + 1))
    dead = later.get(ANN, head.id)
    assert dead.state is EvaluationState.INTERRUPTED
    assert making.resume(dead).join(60)
    assert (0, 0) not in trials.made
    assert len(store.outcomes(head)) == 10


def test_two_processes_do_not_go_on_with_the_same(making, store):
    head = replace(store.create(ANN, "Words", plan()), state=EvaluationState.INTERRUPTED)
    assert making.resume(head).join(60)
    with pytest.raises(VersionConflict):
        making.resume(head)


def test_the_cap_is_never_exceeded(making, store, trials):
    one = 0.0001
    trials.dollars = one
    job = making.start(ANN, "Words", plan(200, cap=0.01))
    assert job.join(60)
    head = store.get(ANN, job.id)
    assert head.state is EvaluationState.CAPPED
    assert 0.005 < head.dollars <= 0.01
    assert head.done == pytest.approx(head.dollars / one)


def test_what_was_spent_after_the_last_save_counts_when_it_goes_on(making, store, trials):
    """As after `kill -9`: outcomes are stored as they come, how much they cost together only now and then."""
    trials.dollars = 0.0001
    head = store.create(ANN, "Words", plan(200, cap=0.01))
    for row in range(30):
        store.add(head, Outcome(row, 0, "kept", MessageState.COMPLETE, dollars=0.0003))
    job = making.resume(replace(head, state=EvaluationState.INTERRUPTED))
    assert job.join(60)
    assert store.get(ANN, head.id).state is EvaluationState.CAPPED
    assert 0.009 <= sum(outcome.dollars for outcome in store.outcomes(head)) <= 0.01


def test_a_cap_needs_prices(making):
    with pytest.raises(InputRefused) as refused:
        making.start(ANN, "Words", plan(cap=1.0, model="acme.large-1"))
    assert refused.value.key == "lab_cap_unpriced"


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        (Plan(Cases(("word",)), plan().variants), "lab_no_cases"),
        (Plan(plan().cases, ()), "lab_no_variants"),
        (plan(5_000), "lab_trials"),
        (Plan(Cases(("other",), (("x",),)), plan().variants), "lab_no_column"),
        (Plan(replace(plan().cases, checks=(Check("judge"),)), plan().variants), "lab_no_judge"),
        (Plan(plan().cases, (Variant("v", Sheet("", model_id=MODEL)),)), "lab_empty"),
    ],
)
def test_a_plan_that_cannot_be_tried_is_refused_before_anything_is_spent(making, trials, store, wanted, key):
    with pytest.raises(InputRefused) as refused:
        making.start(ANN, "Words", wanted)
    assert (refused.value.key, trials.made, store.list(ANN)) == (key, [], ())


def test_what_a_store_does_not_take_it_is_given_again(making, store, trials, monkeypatch):
    away = [True]
    add = store.add

    def sometimes(*args) -> None:
        if away[0]:
            raise StoreUnavailable
        add(*args)

    monkeypatch.setattr(store, "add", sometimes)
    job = making.start(ANN, "Words", plan())
    assert job.join(60)
    assert job.head.done == 10
    assert isinstance(job.unsaved, StoreUnavailable)
    away[0] = False
    eventually(lambda: store.get(ANN, job.id).state is EvaluationState.COMPLETE)
    assert len(store.outcomes(job.head)) == 10
    assert job.unsaved is None


def test_spending_waits_for_what_is_under_way_and_then_decides():
    spending = Spending(1.0)
    assert spending.hold("a", 0.7)
    decided: list[bool] = []
    waiting = threading.Thread(target=lambda: decided.append(spending.hold("b", 0.7)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    spending.settle("a", 0.1)
    waiting.join(60)
    assert decided == [True]
    spending.settle("b", 0.7)
    assert not spending.hold("c", 0.3)
    assert spending.spent == pytest.approx(0.8)


def test_a_summary_tells_passed_failed_unclear_and_broken_calls_apart():
    def outcome(row: int, variant: int, state=MessageState.COMPLETE, passed: bool | None = True, dollars=0.5, ms=10.0):
        return Outcome(row, variant, "", state, (Verdict("contains", passed),), Usage(1, 2), dollars, 1.0, ms)

    outcomes = [
        outcome(0, 0),
        outcome(1, 0, passed=False, ms=30.0),
        outcome(2, 0, passed=None, ms=20.0),
        outcome(3, 0, MessageState.FAILED),
        outcome(0, 1, dollars=None),
    ]
    first, second = summaries(plan(), outcomes)
    assert (first.passed, first.failed, first.unclear, first.failed_calls) == (1, 1, 1, 1)
    assert (first.dollars, first.median_ms, first.usage) == (2.0, 20.0, Usage(4, 8))
    assert (second.passed, second.dollars) == (1, None)
