"""Results of `codecoach lab test` in a file, so that a test can be broken off and gone on with.

JSON lines: the first one holds the plan, each other one what came of a trial; of two for the same trial the later counts.
"""

import json
import os
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from codecoach.errors import InputRefused, StoreError
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan
from codecoach.store.evaluations import Evaluation
from codecoach.store.records import now

_PLANS: Final = TypeAdapter(Plan)
_OUTCOMES: Final = TypeAdapter(Outcome)


class ResultsFile:
    """Keeps one evaluation (`coach.evaluator.Keeps`); without a file, not at all.

    outcomes  what the file held already
    head      how far the evaluation had come

    Raises `InputRefused` where the file holds something else, or another plan.
    """

    def __init__(self, file: Path | None, plan: Plan) -> None:
        self._file = file
        self._plan = plan
        self.outcomes = _read(file, plan) if file and file.exists() else ()
        at, spent = now(), sum(outcome.dollars or 0.0 for outcome in self.outcomes)
        self.head = Evaluation("file", "", "", EvaluationState.RUNNING, at, at, len(plan.trials), dollars=spent)

    def save(self, evaluation: Evaluation) -> Evaluation:
        """How far it has come is told by what has come."""
        return evaluation

    def add(self, _evaluation: Evaluation, outcome: Outcome) -> None:
        """Append what came of a trial. Raises `StoreError`."""
        if self._file is None:
            return
        try:
            new = not self._file.exists()
            with self._file.open("ab") as file:
                if new:
                    file.write(_PLANS.dump_json(self._plan) + b"\n")
                file.write(_OUTCOMES.dump_json(outcome) + b"\n")
        except OSError as error:
            raise StoreError(detail=error.strerror or str(error)) from error

    def stop_requested(self, _evaluation_id: str) -> bool:
        """Nobody else knows of it."""
        return False


def _read(file: Path, plan: Plan) -> tuple[Outcome, ...]:
    try:
        data = file.read_bytes()
        first, *lines = data.split(b"\n")
        if json.loads(first) != json.loads(_PLANS.dump_json(plan)):
            raise InputRefused("lab_other_results", file=str(file))
        outcomes = [_OUTCOMES.validate_json(line) for line in lines[:-1]]
        if lines and lines[-1]:  # was being written when the writing ended
            os.truncate(file, len(data) - len(lines[-1]))
    except (OSError, ValueError, ValidationError) as error:
        raise InputRefused("lab_other_results", file=str(file)) from error
    return tuple({(outcome.row, outcome.variant): outcome for outcome in outcomes}.values())
