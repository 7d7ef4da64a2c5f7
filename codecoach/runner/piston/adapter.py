"""The Runner port over Pistons."""

import threading
from collections.abc import Iterator

from codecoach.errors import CodeCoachError, InputRefused
from codecoach.i18n import Notice
from codecoach.languages import LANGUAGES, ProgrammingLanguage
from codecoach.runner.checking import check
from codecoach.runner.credentials import AwsMode
from codecoach.runner.gate import Gate
from codecoach.runner.piston.instructions import refuse_names
from codecoach.runner.piston.job import Job
from codecoach.runner.piston.places import Places, look
from codecoach.runner.piston.server import Server, is_supervised
from codecoach.runner.port import RunEvent, RunRequest, RunResult, Runtime
from codecoach.settings import Settings

_CLOSE_WITHIN_S = 5.0


class Piston:
    """Runs programs on one or several Pistons.

    May be made and used from any thread; nothing is asked of a server before the first use.
    """

    def __init__(self, settings: Settings, gate: Gate | None = None) -> None:
        """`gate` is how programs get to the simulated AWS; None where they cannot."""
        self._servers = tuple(Server(url) for url in settings.piston_addresses)
        self._places = Places(self._servers, settings.piston_jobs, settings.run_queue)
        self._gate = gate
        self._jobs: dict[str, Job] = {}

    def runtimes(self) -> tuple[Runtime, ...]:
        """Every language, with the runtime that the servers have for it or the reason why there is none."""
        look(self._servers)
        return tuple(self._runtime(language) for language in LANGUAGES)

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        """See `Runner.run`; a wrong request is refused before the first event is asked for."""
        check(request)
        refuse_names(request)
        if request.aws.mode is AwsMode.SIMULATED and self._gate is None:
            raise InputRefused("piston_no_simulated_aws")
        return self._events(request)

    def cancel(self, job_id: str) -> None:
        if job := self._jobs.get(job_id):
            job.cancel()

    def close(self) -> None:
        """Stop every run and let go of the servers."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        for job in jobs:
            job.wait(_CLOSE_WITHIN_S)
        for server in self._servers:
            server.close()

    def _events(self, request: RunRequest) -> Iterator[RunEvent]:
        job = self._jobs[request.job_id] = Job(request, self._places, self._gate)
        threading.Thread(target=job.work, name=f"piston-{request.job_id}", daemon=True).start()
        over = False
        try:
            while not over:
                event = job.events.get()
                if isinstance(event, CodeCoachError):
                    over = True
                    raise event
                over = isinstance(event, RunResult)
                yield event
        finally:
            self._jobs.pop(request.job_id, None)
            if not over:
                job.cancel()

    def _runtime(self, language: ProgrammingLanguage) -> Runtime:
        found = [runtime for server in self._servers if (runtime := server.runtime(language.id))]
        if not found:
            return Runtime(language.id, "", False, language.sdk, self._why_not(language))
        best = max(found, key=is_supervised)
        return Runtime(language.id, best.version, True, language.sdk if is_supervised(best) else "")

    def _why_not(self, language: ProgrammingLanguage) -> Notice:
        problems = [f"{server.url}: {server.problem}" for server in self._servers if server.problem]
        if len(problems) == len(self._servers):
            return Notice("runtimes.piston_away", {"detail": "; ".join(problems)})
        return Notice("runtimes.piston_missing", {"language": language.label})
