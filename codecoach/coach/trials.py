"""One trial of an evaluation: a prompt with one case's values is sent, and the answer checked.

throttled ──> told, waited out, and tried again, much longer than for a person who looks on
Stop      ──> what has come of the answer is kept, and it is not checked
an error  ──> is the outcome of this trial; the others go on
"""

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final

from codecoach.aws.simulated import SimulatedAws
from codecoach.chat.messages import MessageError, MessageState, Usage
from codecoach.coach import matching
from codecoach.coach.assistants import prompt
from codecoach.coach.bench import Submits
from codecoach.coach.history import TURN_TOKENS, tokens
from codecoach.coach.metering import MeteredLaboratoryReply
from codecoach.coach.stopping import Stop
from codecoach.coach.trial_programs import TrialPrograms
from codecoach.errors import CodeCoachError, ModelThrottled, StreamBroken
from codecoach.i18n import Notice
from codecoach.lab.cases import Check
from codecoach.lab.evaluation import Outcome, Plan, Verdict
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.models import payloads
from codecoach.models.catalogue import LOCAL
from codecoach.models.laboratory import LaboratoryReply, dollars
from codecoach.models.port import NOBODY, Payer, TextDelta, Waiting
from codecoach.runner.port import Limits, Runner

# Pauses after a call has been refused as often as `models.repeating` tries: a test set has time.
PAUSES_S: Final = (15.0, 30.0, 60.0, 60.0, 60.0)
JUDGE_TOKENS: Final = 300
DETAIL_CHARS: Final = 4_000
_TICK_S: Final = 0.5
_WORD: Final = re.compile(r"\W*(PASS|FAIL)\b\W*", re.IGNORECASE)

# Told with the seconds until something is tried again; 0: no longer.
Waits = Callable[[float], object]

# The embedded model answers one request at a time; a second one would only wait there, until it is given up.
_local = threading.Lock()


class Trials:
    """Makes trials. Safe to use from several threads."""

    def __init__(
        self,
        laboratory: Submits,
        runner: Callable[[], Runner],
        simulated: SimulatedAws,
        limits: Limits,
        region: str,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._laboratory = laboratory
        self._programs = TrialPrograms(runner, simulated, limits, region)
        self._pauses_s = pauses_s

    def make(self, plan: Plan, row: int, variant: int, stop: Stop, waits: Waits, payer: Payer = NOBODY) -> Outcome:
        """Make one trial. Whatever goes wrong with it is in its outcome, a budget that is used up among it."""
        outcome = Outcome(row, variant, "", MessageState.COMPLETE, dollars=0.0)
        try:
            sheet = plan.variants[variant].sheet_for(plan.cases, row).filled()
            caller = _Caller(self._laboratory, payer, stop, waits, self._pauses_s)
            outcome = _with_answer(outcome, _Call(caller, sheet))
            if outcome.made:
                values = plan.cases.values(row)
                for check in plan.cases.checks:
                    outcome = self._checked(outcome, check, check.wanted(values), caller)
        except CodeCoachError as error:
            outcome = _failed(outcome, error)
        return replace(outcome, state=MessageState.STOPPED) if stop.pressed else outcome

    def _checked(self, outcome: Outcome, check: Check, expected: str, caller: "_Caller") -> Outcome:
        stop = caller.stop
        if stop.pressed or (not expected and check.kind != "code"):
            return outcome
        if check.kind == "judge":
            verdict, cost = _judged(outcome.text, check, expected, caller)
            known = outcome.dollars is not None and cost is not None
            outcome = replace(outcome, dollars=(outcome.dollars or 0) + (cost or 0) if known else None)
        elif check.kind == "code":
            verdict = self._programs.run(outcome.text, expected, check.whole, stop)
        elif check.kind == "contains":
            verdict = Verdict("contains", _holds(outcome.text, expected, check.whole))
        else:
            match = matching.found(check.kind, expected, outcome.text)
            verdict = Verdict(check.kind, match.passed, Notice(f"lab.verdict.{match.key}"), match.detail)
        return replace(outcome, verdicts=(*outcome.verdicts, verdict))


@dataclass(frozen=True)
class _Caller:
    """What the calls of one trial have in common."""

    laboratory: Submits
    payer: Payer
    stop: Stop
    waits: Waits
    pauses_s: tuple[float, ...]


class _Call:
    """One call of a model, repeated while the service is limiting requests. `read` fills in the rest."""

    def __init__(self, caller: _Caller, sheet: Sheet) -> None:
        self.payload = replace(payloads.build(sheet), payer=caller.payer)
        self.text = ""
        self.usage = Usage()
        self.first_token_ms: float | None = None
        self.total_ms: float | None = None
        self.stop_reason = ""
        self.error: CodeCoachError | None = None
        self._laboratory = caller.laboratory
        self._stop = caller.stop
        self._waits = caller.waits
        self._pauses_s = caller.pauses_s

    def read(self) -> None:
        """Call, and wait for all of the answer."""
        for pause_s in (*self._pauses_s, None):
            if self._stop.pressed:
                return
            self.text, self.error = "", None
            reply = self._laboratory.submit(self.payload)
            with _local if self.payload.model_id.startswith(LOCAL) else nullcontext(), self._stop.ends(reply.close):
                self._read(reply)
            if pause_s is None or not isinstance(self.error, ModelThrottled):
                return
            self._pause(pause_s)

    @property
    def billed(self) -> Usage:
        """The tokens that are paid for; of an answer that broke off, whose count never came, as far as they can be told."""
        if self.stop_reason or not self.text:
            return self.usage
        asked = self.usage.input_tokens or tokens(json.dumps(self.payload.json()["body"], ensure_ascii=False))
        return Usage(asked, tokens(self.text))

    def _read(self, reply: LaboratoryReply | MeteredLaboratoryReply) -> None:
        try:
            for event in reply:
                if isinstance(event, TextDelta):
                    self.text += event.text
                elif isinstance(event, Waiting):
                    self._waits(event.seconds)
        except CodeCoachError as error:
            self.error = error
        finally:
            reply.close()
            self._waits(0)
        trace = reply.trace
        self.usage, self.stop_reason = trace.usage, trace.stop_reason
        self.first_token_ms, self.total_ms = trace.first_token_ms, trace.total_ms

    def _pause(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0 and not self._stop.wait(min(left_s, _TICK_S)):
            self._waits(left_s)
        self._waits(0)


def most_dollars(plan: Plan, row: int, variant: int) -> float | None:
    """What a trial may cost at most, its judges included; None where a price is not known."""
    sheet = plan.variants[variant].sheet_for(plan.cases, row)
    # Before it is filled in: a variable without a value is told when the trial is made.
    asked = sum(tokens(text) for text in sheet.filled(partly=True).texts) + TURN_TOKENS * (2 + 2 * len(sheet.examples))
    costs = [dollars(sheet.model_id, Usage(asked, sheet.parameters.max_tokens))]
    for check in plan.cases.checks:
        wanted = check.wanted(plan.cases.values(row))
        if check.kind == "judge" and wanted:
            # The judge may cut the same answer into more tokens than its writer did.
            read = tokens(prompt("judge")) + tokens(wanted) + 2 * sheet.parameters.max_tokens + 10 * TURN_TOKENS
            costs.append(dollars(check.model_id, Usage(read, JUDGE_TOKENS)))
    return None if None in costs else sum(cost for cost in costs if cost)


def _with_answer(outcome: Outcome, call: _Call) -> Outcome:
    call.read()
    outcome = replace(
        outcome,
        text=call.text,
        usage=call.usage,
        dollars=dollars(call.payload.model_id, call.billed),
        first_token_ms=call.first_token_ms,
        total_ms=call.total_ms,
        stop_reason=call.stop_reason,
    )
    return _failed(outcome, call.error) if call.error else outcome


def _failed(outcome: Outcome, error: CodeCoachError) -> Outcome:
    state = MessageState.INTERRUPTED if isinstance(error, StreamBroken) else MessageState.FAILED
    values = {name: str(value) for name, value in error.values.items()}
    return replace(outcome, state=state, error=MessageError(error.key, values, error.reference))


def _judged(answer: str, check: Check, expected: str, caller: _Caller) -> tuple[Verdict, float | None]:
    """The judge's verdict, and what it cost."""
    call = _Call(caller, _judge_sheet(answer, check, expected))
    call.read()
    if call.error:
        raise call.error
    cost, word = dollars(check.model_id, call.billed), _WORD.match(call.text)
    if word is None:
        return Verdict("judge", None, Notice("lab.verdict.judge_unclear"), call.text.strip()[:DETAIL_CHARS]), cost
    said = call.text[word.end() :].strip()[:DETAIL_CHARS]
    return Verdict("judge", word[1].upper() == "PASS", detail=said), cost


def _judge_sheet(answer: str, check: Check, expected: str) -> Sheet:
    # Marks that nobody can foresee: an answer cannot end its own place and go on as the judge's instructions.
    mark = secrets.token_hex(4)
    text = f"Expected:\n<expected-{mark}>\n{expected}\n</expected-{mark}>\n\nAnswer:\n<answer-{mark}>\n{answer}\n</answer-{mark}>"
    return Sheet(text, prompt("judge"), model_id=check.model_id, parameters=Parameters(JUDGE_TOKENS))


def _holds(text: str, expected: str, whole: bool) -> bool:
    return text.strip() == expected if whole else expected in text
