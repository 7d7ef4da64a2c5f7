"""An evaluation: prompts and models, each tried on each test case, and what came of every trial."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median
from typing import Final

from codecoach.chat.messages import MessageError, MessageState, Usage
from codecoach.i18n import Notice
from codecoach.lab.cases import Cases, CheckKind
from codecoach.lab.sheet import Sheet

MAX_TRIALS: Final = 8_000


class EvaluationState(StrEnum):
    """How far an evaluation has come.

    RUNNING      trials are being made; found after a crash, it means INTERRUPTED
    COMPLETE     every trial has been made, whatever came of it
    STOPPED      the user stopped it
    INTERRUPTED  the process that made the trials ended
    CAPPED       the next trial might have cost more than was left, of the plan's cap or of its owner's budget
    """

    RUNNING = "running"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    CAPPED = "capped"


@dataclass(frozen=True)
class Variant:
    """A prompt for a model; the sheet's own values stand where a case has none."""

    label: str
    sheet: Sheet

    def sheet_for(self, cases: Cases, row: int) -> Sheet:
        """The sheet with a case's values."""
        given = {name: value for name, value in cases.values(row).items() if name in self.sheet.variables}
        return replace(self.sheet, values={**self.sheet.values, **given})


@dataclass(frozen=True)
class Plan:
    """What is tried. `cap_dollars` is the most that all of it may cost, judges included; None: as much as it takes."""

    cases: Cases
    variants: tuple[Variant, ...]
    cap_dollars: float | None = None

    @property
    def trials(self) -> tuple[tuple[int, int], ...]:
        """(row, variant) of each trial, in the order in which they are made: what is there can be compared at any time."""
        return tuple((row, variant) for row in range(len(self.cases.rows)) for variant in range(len(self.variants)))


@dataclass(frozen=True)
class Verdict:
    """What one check found.

    passed  None: it could not be found out
    detail  what there is to look at: a program's output, a judge's words
    """

    kind: CheckKind
    passed: bool | None
    reason: Notice | None = None
    detail: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of one trial.

    state     COMPLETE, STOPPED, INTERRUPTED or FAILED, as a message's
    dollars   the answer's and its judges' cost; None where a price is not known
    """

    row: int
    variant: int
    text: str
    state: MessageState
    verdicts: tuple[Verdict, ...] = ()
    usage: Usage = field(default_factory=Usage)
    dollars: float | None = None
    first_token_ms: float | None = None
    total_ms: float | None = None
    stop_reason: str = ""
    error: MessageError | None = None

    @property
    def made(self) -> bool:
        """Whether it need not be made again when the evaluation is resumed."""
        return self.state is MessageState.COMPLETE

    @property
    def passed(self) -> bool | None:
        """True where all checks passed, False where one did not; None where nothing was or could be checked."""
        found = [verdict.passed for verdict in self.verdicts]
        if False in found:
            return False
        return True if found and None not in found else None


@dataclass(frozen=True)
class Summary:
    """How a variant has done so far. `unclear`: no check, or none that could be made; `failed_calls` are not among them.

    median_ms  of whole answers, None before the first
    dollars    None where a price is not known
    """

    label: str
    passed: int = 0
    failed: int = 0
    unclear: int = 0
    failed_calls: int = 0
    usage: Usage = field(default_factory=Usage)
    dollars: float | None = 0.0
    median_ms: float | None = None

    @property
    def made(self) -> int:
        return self.passed + self.failed + self.unclear + self.failed_calls


def summaries(plan: Plan, outcomes: Iterable[Outcome]) -> tuple[Summary, ...]:
    """One for each variant."""
    sorted_out: list[list[Outcome]] = [[] for _ in plan.variants]
    for outcome in outcomes:
        sorted_out[outcome.variant].append(outcome)
    return tuple(_summary(variant.label, found) for variant, found in zip(plan.variants, sorted_out, strict=True))


def _summary(label: str, outcomes: Sequence[Outcome]) -> Summary:
    made = [outcome for outcome in outcomes if outcome.made]
    found = [outcome.passed for outcome in made]
    times = [outcome.total_ms for outcome in made if outcome.total_ms is not None]
    costs = [outcome.dollars for outcome in outcomes]
    return Summary(
        label,
        passed=found.count(True),
        failed=found.count(False),
        unclear=found.count(None),
        failed_calls=len(outcomes) - len(made),
        usage=Usage(
            sum(outcome.usage.input_tokens for outcome in outcomes),
            sum(outcome.usage.output_tokens for outcome in outcomes),
        ),
        dollars=None if None in costs else sum(cost for cost in costs if cost),
        median_ms=median(times) if times else None,
    )
