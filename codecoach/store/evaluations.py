"""Evaluations: what is tried, how far it has come, and what came of each trial.

partition      sort                      holds
user#<owner>   evaluation#<id>           state, counts, times: what a list shows
thread#<id>    plan                      cases, variants, cap: as they were when it began
thread#<id>    outcome#<row>.<variant>   what came of one trial
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from pydantic import TypeAdapter

from codecoach.errors import VersionConflict
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan
from codecoach.store import keys
from codecoach.store.changing import again
from codecoach.store.large import LargeItems
from codecoach.store.paging import everything
from codecoach.store.port import Delete, Item, Json, Put, Table
from codecoach.store.purging import Purging
from codecoach.store.records import now

# Whoever makes the trials says so more often than this.
STALE: Final = timedelta(seconds=20)
STOP_KEPT_S: Final = 60
_STOP: Final = "evaluation"


@dataclass(frozen=True)
class Evaluation:
    """An evaluation without its plan and outcomes.

    updated_at     while it runs: when it was last known to
    done, passed   trials
    dollars        spent so far
    writer         who makes the trials; another one with each resumption
    """

    id: str
    owner: str
    name: str
    state: EvaluationState
    started_at: datetime
    updated_at: datetime
    total: int
    done: int = 0
    passed: int = 0
    dollars: float = 0.0
    writer: str = ""
    version: int = field(default=0, compare=False)


class Evaluations:
    """The evaluations of all users."""

    def __init__(self, table: Table, clock: Callable[[], datetime] = now) -> None:
        self._table = table
        self._large = LargeItems(table)
        self._purging = Purging(table)
        self._clock = clock

    def create(self, owner: str, name: str, plan: Plan) -> Evaluation:
        """Store a new evaluation, as running.

        Its plan comes first, in a thread that is marked to be purged as long as no evaluation is listed that has it: should
        we die in between, the next deletion of this owner takes it away.
        """
        return again(lambda: self._create(owner, name, plan))

    def _create(self, owner: str, name: str, plan: Plan) -> Evaluation:
        at = self._clock()
        made = Evaluation(
            *(keys.time_ordered_id(), owner, name, EvaluationState.RUNNING, at, at, len(plan.trials)),
            writer=keys.new_id(),
            version=1,
        )
        marker = self._table.put(Item(keys.purge(owner, made.id), {}), expected_version=0)
        self._large.put(Item(keys.plan(made.id), {"plan": _plans().dump_json(plan).decode()}))
        head = Item(keys.evaluation(owner, made.id), _head(made))
        self._table.transact([Put(head, 0), Delete(marker.key, marker.version)])
        return made

    def save(self, evaluation: Evaluation) -> Evaluation:
        """Store how far it has come. Raises `VersionConflict` where it was deleted, or somebody else has gone on with it."""
        if evaluation.version < 1:  # only `create` makes new ones, under ids that nobody has had
            raise VersionConflict
        saved = replace(evaluation, updated_at=self._clock())
        head = Item(keys.evaluation(saved.owner, saved.id), _head(saved))
        try:
            item = self._table.put(head, evaluation.version)
        except VersionConflict:
            # Where the answer to an earlier save got lost, the conflict is with ourselves, and no reason to stop.
            stored = self._table.get(head.key)
            if not (stored and evaluation.writer and stored.data.get("writer") == evaluation.writer):
                raise
            item = self._table.put(head, stored.version)
        return replace(saved, version=item.version)

    def get(self, owner: str, evaluation_id: str) -> Evaluation | None:
        """The evaluation, if it is this owner's."""
        item = self._table.get(keys.evaluation(owner, evaluation_id)) if keys.is_id(evaluation_id) else None
        return self._evaluation(owner, item) if item else None

    def list(self, owner: str, limit: int = 50) -> tuple[Evaluation, ...]:
        """The owner's evaluations, the newest first."""
        page = self._table.query(keys.user(owner), keys.EVALUATION, limit=limit, newest_first=True)
        return tuple(self._evaluation(owner, item) for item in page.items)

    def plan(self, evaluation: Evaluation) -> Plan:
        """What it tries."""
        item = self._large.get(keys.plan(evaluation.id))
        return _plans().validate_json(str(item.data["plan"])) if item else Plan(Cases(), ())

    def add(self, evaluation: Evaluation, outcome: Outcome) -> None:
        """Keep what came of a trial; it takes the place of an earlier outcome of the same one."""
        data = _outcomes().dump_python(replace(outcome, text=""), mode="json")
        key = keys.outcome(evaluation.id, outcome.row, outcome.variant)
        self._large.put(Item(key, {"outcome": data, "text": outcome.text}))
        if self._table.get(keys.gone(evaluation.id)):  # deleted meanwhile: who did may not have seen this
            self._large.delete(key)

    def outcomes(self, evaluation: Evaluation) -> tuple[Outcome, ...]:
        """What came of all trials so far, in the order in which they are made."""
        found = everything(self._large, keys.thread(evaluation.id), keys.OUTCOME)
        return tuple(
            replace(_outcomes().validate_python(item.data["outcome"]), text=str(item.data["text"])) for item in found
        )

    def delete(self, owner: str, evaluation_id: str) -> None:
        """Delete an evaluation with all its outcomes; deleting what is not there is no error. One that runs stops."""
        if self.get(owner, evaluation_id):
            marks = self._purging.marks(owner, evaluation_id, self._clock().timestamp())
            self._table.transact([Delete(keys.evaluation(owner, evaluation_id)), *marks])
        self._purging.finish(owner)

    def request_stop(self, evaluation_id: str) -> None:
        """Ask the process that makes the trials to stop."""
        expires_at = int(self._clock().timestamp()) + STOP_KEPT_S
        self._table.put(Item(keys.stop(evaluation_id, _STOP), {}, expires_at=expires_at))

    def stop_requested(self, evaluation_id: str) -> bool:
        """True once somebody wants it stopped, or has deleted it."""
        return bool(self._table.batch_get([keys.stop(evaluation_id, _STOP), keys.gone(evaluation_id)]))

    def clear_stop(self, evaluation_id: str) -> None:
        """Take back a request that has been obeyed."""
        self._table.delete(keys.stop(evaluation_id, _STOP))

    def _evaluation(self, owner: str, item: Item) -> Evaluation:
        own = {"id": item.key.sort.removeprefix(keys.EVALUATION), "owner": owner, "version": item.version}
        found = _heads().validate_python({**item.data, **own})
        silent = self._clock() - found.updated_at > STALE
        running = found.state is EvaluationState.RUNNING
        return replace(found, state=EvaluationState.INTERRUPTED) if running and silent else found


def _head(evaluation: Evaluation) -> dict[str, Json]:
    data: dict[str, Json] = _heads().dump_python(evaluation, mode="json", exclude={"id", "owner", "version"})
    return data


@cache
def _heads() -> TypeAdapter[Evaluation]:
    return TypeAdapter(Evaluation)


@cache
def _plans() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


@cache
def _outcomes() -> TypeAdapter[Outcome]:
    return TypeAdapter(Outcome)
