"""Evaluations that outlive the page: each is made by threads of the process, and pages only look on.

start() or resume() ──> RUNNING ──┬─ every trial made ─────────> COMPLETE
                         ^        ├─ stop() here or elsewhere ─> STOPPED      ─┐
  saved every 3 s, each  │        ├─ the process ends ─────────> INTERRUPTED   ├─> resume(): what is missing
  outcome when it comes ─┘        └─ the cap might be exceeded > CAPPED       ─┘
"""

import atexit
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from contextvars import copy_context
from dataclasses import replace
from typing import Final, Protocol

from codecoach.chat.messages import MessageState
from codecoach.coach.spending import Spending
from codecoach.coach.stopping import Stop
from codecoach.coach.trials import Trials, most_dollars
from codecoach.errors import BUDGET, InputRefused, StoreError, VersionConflict
from codecoach.lab.evaluation import MAX_TRIALS, EvaluationState, Outcome, Plan
from codecoach.models import payloads
from codecoach.models.port import Payer
from codecoach.store import keys, owned
from codecoach.store.evaluations import Evaluation, Evaluations

# Trials at the same time: as much as an account's quotas bear, without hurry.
AT_ONCE: Final = 4
SAVE_S: Final = 3.0
CLOSE_S: Final = 5.0
# A store that fails at the end is tried again, for about 5 minutes all in all.
FINAL_TRIES: Final = 24
FINAL_PAUSE_MAX_S: Final = 15.0
KEPT: Final = 20

log = logging.getLogger(__name__)


class Keeps(Protocol):
    """Where an evaluation that is being made is kept (`store.evaluations.Evaluations`, or a file)."""

    def save(self, evaluation: Evaluation, /) -> Evaluation: ...

    def add(self, evaluation: Evaluation, outcome: Outcome, /) -> None: ...

    def stop_requested(self, evaluation_id: str, /) -> bool: ...


class EvaluationJob:
    """An evaluation being made. Pages hold it as long as they like; it ends without them.

    owner    who has begun it or goes on with it; None: nobody who is signed in
    version  grows with every change
    unsaved  why what came last could not be stored, or None; it is tried again
    """

    def __init__(self, trials: Trials, store: Keeps, head: Evaluation, plan: Plan, outcomes: Iterable[Outcome]) -> None:
        self.plan = plan
        self.owner = owned.acting()
        self.version = 0
        self.unsaved: StoreError | None = None
        self._trials = trials
        self._store = store
        self._head = head
        self._outcomes = {(outcome.row, outcome.variant): outcome for outcome in outcomes}
        made = {place for place, outcome in self._outcomes.items() if outcome.made}
        self._left = deque(place for place in plan.trials if place not in made)
        self._again = set(self._left)
        # What came after the last save of a process that was killed was paid all the same.
        known = sum(outcome.dollars or 0.0 for outcome in self._outcomes.values())
        self._spending = Spending(plan.cap_dollars, max(head.dollars, known))
        self._payer = Payer(head.owner)
        self._stop = Stop()
        self._end: EvaluationState | None = None
        self._waits: dict[int, float] = {}
        self._unkept: deque[Outcome] = deque()
        self._keeping = threading.Lock()
        self._changed = threading.Condition()
        self._done = threading.Event()

    @property
    def id(self) -> str:
        return self._head.id

    @property
    def done(self) -> bool:
        """True once nothing changes any more, and the store, if it works, holds the end."""
        return self._done.is_set()

    @property
    def waiting_s(self) -> float:
        """Seconds until a call is repeated that the service has refused for now; 0 where none waits."""
        with self._changed:
            return max(0.0, min((until for until in self._waits.values()), default=0.0) - time.monotonic())

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What came of the trials so far, in the order of the plan."""
        with self._changed:
            return tuple(self._outcomes[place] for place in sorted(self._outcomes))

    @property
    def head(self) -> Evaluation:
        """How far it has come."""
        with self._changed:
            made = [
                outcome
                for place, outcome in self._outcomes.items()
                if place not in self._again and outcome.state is not MessageState.STOPPED
            ]
            passed = sum(outcome.passed is True for outcome in made)
            return replace(self._head, done=len(made), passed=passed, dollars=self._spending.spent)

    def wait(self, version: int, timeout_s: float) -> int:
        """The job's version, as soon as it is beyond `version` or the job is done; at the latest after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self.version > version or self.done, timeout_s)
            return self.version

    def stop(self) -> None:
        """Make no more trials; what has come of answers is kept. Returns at once."""
        self._finish(EvaluationState.STOPPED)

    def interrupt(self) -> None:
        """The process is ending."""
        self._finish(EvaluationState.INTERRUPTED)

    def join(self, timeout_s: float) -> bool:
        """Wait until done; False if it was not done in time."""
        return self._done.wait(timeout_s)

    # What follows runs in the job's threads.

    def work(self) -> None:
        """Make the trials, to the end."""
        workers = [
            threading.Thread(target=copy_context().run, args=(self._make,), name=f"trial-{self.id}", daemon=True)
            for _ in range(AT_ONCE)
        ]
        for worker in workers:
            worker.start()
        while alive := [worker for worker in workers if worker.is_alive()]:
            alive[0].join(SAVE_S)
            self._save()
            self._look_for_stop()
        with self._changed:
            self._head = replace(self._head, state=self._end or EvaluationState.COMPLETE)
        for attempt in range(FINAL_TRIES):
            saved = self._save()
            with self._changed:
                self.version += 1
                self._done.set()
                self._changed.notify_all()
            if saved:
                return
            time.sleep(min(2.0**attempt / 4, FINAL_PAUSE_MAX_S))
        log.error("evaluation %s could not be saved; its end is lost", self.id)

    def _make(self) -> None:
        """Make trials until none is left."""
        while place := self._next():
            if not self._spending.hold(place, most_dollars(self.plan, *place) or 0.0):
                self._finish(EvaluationState.CAPPED)
                return
            outcome: Outcome | None = None
            try:
                if not self._stop.pressed:
                    outcome = self._trials.make(self.plan, *place, self._stop, self._note_wait, self._payer)
            except Exception:  # whatever it is, the others must be made
                log.exception("trial %s of evaluation %s", place, self.id)
            finally:
                self._spending.settle(place, (outcome.dollars if outcome else None) or 0.0)
            if outcome:
                self._take(outcome)

    def _next(self) -> tuple[int, int] | None:
        with self._changed:
            return self._left.popleft() if self._left else None

    def _take(self, outcome: Outcome) -> None:
        with self._changed:
            self._outcomes[outcome.row, outcome.variant] = outcome
            self._again.discard((outcome.row, outcome.variant))
            self._unkept.append(outcome)
            self.version += 1
            self._changed.notify_all()
        self._keep()
        if outcome.error and outcome.error.key.startswith(BUDGET):
            self._finish(EvaluationState.CAPPED)  # each of the others would be refused too

    def _note_wait(self, seconds: float) -> None:
        with self._changed:
            self._waits.pop(threading.get_ident(), None)
            if seconds:
                self._waits[threading.get_ident()] = time.monotonic() + seconds
            self.version += 1
            self._changed.notify_all()

    def _finish(self, state: EvaluationState) -> None:
        with self._changed:
            self._end = self._end or state
            self._left.clear()
        if state is not EvaluationState.CAPPED:  # what has been begun within the cap is worth its end
            self._stop.set()

    def _keep(self) -> None:
        """Store the outcomes that are not; what the store does not take now it is given again at the next save."""
        with self._keeping:
            while self._unkept:
                try:
                    self._store.add(self._head, self._unkept[0])
                except StoreError as error:
                    log.warning("an outcome of evaluation %s could not be stored: %s", self.id, error)
                    self.unsaved = error
                    return
                self._unkept.popleft()
            self.unsaved = None

    def _save(self) -> bool:
        """Store how far it has come, outcomes first: what is counted is there."""
        self._keep()
        if self._unkept:
            return False
        try:
            self._head = replace(self._head, version=self._store.save(self.head).version)
        except VersionConflict:  # deleted, or somebody else goes on with it
            self.stop()
        except StoreError as error:
            log.warning("evaluation %s could not be stored: %s", self.id, error)
            self.unsaved = error
            return False
        return True

    def _look_for_stop(self) -> None:
        try:
            if self._store.stop_requested(self.id):
                self.stop()
        except StoreError as error:
            log.warning("evaluation %s: the store does not say whether to stop: %s", self.id, error)


# The registry belongs to the module: whoever builds `Evaluator` anew (a cleared cache, a reload) finds the running ones.
_jobs: "OrderedDict[str, EvaluationJob]" = OrderedDict()
_registry = threading.Lock()


class Evaluator:
    """The evaluations that this process makes."""

    def __init__(self, trials: Trials, store: Evaluations) -> None:
        self._trials = trials
        self._store = store

    def start(self, owner: str, name: str, plan: Plan) -> EvaluationJob:
        """Begin an evaluation. Raises `InputRefused` for a plan that cannot be tried, and `StoreError`."""
        check(plan)
        return self._run(self._store.create(owner, name, plan), plan, ())

    def resume(self, head: Evaluation) -> EvaluationJob:
        """Make the trials that are missing, failed or were broken off. Raises `InputRefused` while it runs, and `StoreError`."""
        if head.state is EvaluationState.RUNNING:
            raise InputRefused("evaluation_running")
        self._store.clear_stop(head.id)
        plan, outcomes = self._store.plan(head), self._store.outcomes(head)
        return self._run(
            self._store.save(replace(head, state=EvaluationState.RUNNING, writer=keys.new_id())), plan, outcomes
        )

    def find(self, evaluation_id: str) -> EvaluationJob | None:
        """The evaluation, if this process makes it or has lately made it, and it is not another user's."""
        with _registry:
            found = _jobs.get(evaluation_id)
        return found if found and owned.may_see(found.owner) else None

    def stop(self, evaluation_id: str) -> None:
        """Stop an evaluation, whichever process makes it; in another process it takes some seconds."""
        job = self.find(evaluation_id)
        if job and not job.done:
            job.stop()
        else:
            self._store.request_stop(evaluation_id)

    def close(self) -> None:
        """Mark what runs as interrupted, and save it."""
        interrupt_all()

    def _run(self, head: Evaluation, plan: Plan, outcomes: Iterable[Outcome]) -> EvaluationJob:
        job = EvaluationJob(self._trials, self._store, head, plan, outcomes)
        with _registry:
            _jobs[head.id] = job
            ended = [known for known, one in _jobs.items() if one.done]
            for known in ended[: max(0, len(_jobs) - KEPT)]:
                del _jobs[known]
        within = copy_context().run  # as the user who has begun it, and under the same reference in the log
        threading.Thread(target=within, args=(job.work,), name=f"evaluation-{head.id}", daemon=True).start()
        return job


def check(plan: Plan) -> None:
    """Raises `InputRefused` that says what a plan lacks."""
    if not plan.cases.rows:
        raise InputRefused("lab_no_cases")
    if not plan.variants:
        raise InputRefused("lab_no_variants")
    if len(plan.trials) > MAX_TRIALS:
        raise InputRefused("lab_trials", number=len(plan.trials), most=MAX_TRIALS)
    if any(one.kind == "judge" and not one.model_id for one in plan.cases.checks):
        raise InputRefused("lab_no_judge")
    for variant in plan.variants:
        sheet = variant.sheet_for(plan.cases, 0)
        if missing := [name for name in sheet.variables if name not in sheet.values]:
            raise InputRefused("lab_no_column", names=", ".join(missing))
        payloads.build(sheet.filled())
    if plan.cap_dollars is not None:
        for number, variant in enumerate(plan.variants):
            if most_dollars(plan, 0, number) is None:
                raise InputRefused("lab_cap_unpriced", model=variant.sheet.model_id)


def interrupt_all() -> None:
    with _registry:
        jobs = [job for job in _jobs.values() if not job.done]
    for job in jobs:
        job.interrupt()
    deadline = time.monotonic() + CLOSE_S
    for job in jobs:
        job.join(max(0.0, deadline - time.monotonic()))


atexit.register(interrupt_all)
