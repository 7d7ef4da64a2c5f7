"""Runs the program in an answer, each in a simulated AWS of its own: what one did, the next does not find."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from codecoach import languages
from codecoach.aws.simulated import SimulatedAws
from codecoach.chat.fences import segments
from codecoach.coach.stopping import Stop
from codecoach.errors import CodeCoachError, RunnerUnavailable
from codecoach.i18n import Notice
from codecoach.lab.evaluation import Verdict
from codecoach.languages import ProgrammingLanguage
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, Runner, RunRequest, RunResult, RunStatus
from codecoach.store import keys

DETAIL_CHARS: Final = 4_000


class TrialPrograms:
    """Programs of answers. `runner` is asked for when the first one is run."""

    def __init__(self, runner: Callable[[], Runner], simulated: SimulatedAws, limits: Limits, region: str) -> None:
        self._runner = runner
        self._simulated = simulated
        self._limits = limits
        self._region = region

    def run(self, answer: str, expected: str, whole: bool, stop: Stop) -> Verdict:
        """Run the program of an answer: it passes by exit code 0 and by printing what is expected, where something is."""
        found = program_in(answer)
        if found is None:
            return Verdict("code", False, Notice("lab.verdict.no_program"))
        try:
            result = self._result(*found, stop)
        except CodeCoachError as error:  # the runner's fault is not the answer's
            return Verdict("code", None, error.what)
        return _verdict(result, expected, whole)

    def _result(self, language: ProgrammingLanguage, code: str, stop: Stop) -> RunResult:
        session = f"trial-{secrets.token_hex(8)}"
        runner = self._runner()
        try:
            address = self._simulated.endpoint(session)
            access = AwsAccess(AwsMode.SIMULATED, address.host, address.port, self._region)
            request = RunRequest(keys.time_ordered_id(), language.id, (File(language.main, code.encode()),))
            request = replace(request, limits=self._limits, aws=access)
            with stop.ends(lambda: runner.cancel(request.job_id)):
                for event in runner.run(request):
                    if isinstance(event, RunResult):
                        return event
                    if stop.pressed:  # set before the runner knew the job
                        runner.cancel(request.job_id)
        finally:
            self._simulated.release(session)
        raise RunnerUnavailable(detail="it gave no result")


def program_in(answer: str) -> tuple[ProgrammingLanguage, str] | None:
    """The program in an answer: the longest block in a language that runs. How to install something stands in short ones."""
    blocks = [
        (language, segment.text)
        for segment in segments(answer)
        if segment.kind == "code" and (language := languages.from_fence(segment.info))
    ]
    return max(blocks, key=lambda block: len(block[1]), default=None)


def _verdict(result: RunResult, expected: str, whole: bool) -> Verdict:
    compiled = result.compile.stdout + result.compile.stderr if result.compile else ""
    detail = (result.run.stdout + result.run.stderr or compiled)[-DETAIL_CHARS:]
    if result.status is RunStatus.CANCELLED:
        return Verdict("code", None, result.reason, detail)
    if result.status is not RunStatus.OK:
        return Verdict("code", False, result.reason, detail)
    printed = result.run.stdout.strip()
    if expected and (printed != expected if whole else expected not in printed):
        return Verdict("code", False, Notice("lab.verdict.printed_otherwise"), detail)
    return Verdict("code", True, None, detail)
