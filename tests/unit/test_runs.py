"""Runs go on without the page that started them, can be stopped at any moment, and are recorded."""

import threading
from collections.abc import Iterator

import pytest

from codecoach.aws.simulated import SimulatedAws
from codecoach.coach import runs as runs_module
from codecoach.coach.runs import LIVE_CHARS, Runs, code_sha256
from codecoach.errors import (
    InputRefused,
    RunnerUnavailable,
    SandboxUnavailable,
    SimulationError,
    StoreError,
    StoreUnavailable,
)
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import (
    File,
    OutputChunk,
    Queued,
    RunEvent,
    RunRequest,
    RunResult,
    RunStatus,
    StageChanged,
    StageResult,
)
from codecoach.store.programs import Programs
from codecoach.store.sqlite import SqliteTable


class StepRunner:
    """A runner that plays its events, waits where it is told to, and ends as cancelled when asked."""

    def __init__(self, *events: RunEvent | threading.Event | Exception) -> None:
        self.events = events
        self.cancelled = threading.Event()
        self.requests: list[RunRequest] = []
        self.closed = False

    def runtimes(self):
        return ()

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        self.requests.append(request)
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                if isinstance(event, threading.Event):
                    while not event.wait(0.01) and not self.cancelled.is_set():
                        pass
                elif self.cancelled.is_set():
                    break
                else:
                    yield event
            if self.cancelled.is_set():
                yield ended(RunStatus.CANCELLED, stdout="so far")
        finally:
            self.closed = True

    def cancel(self, job_id: str) -> None:
        if any(request.job_id == job_id for request in self.requests):
            self.cancelled.set()


def ended(status: RunStatus = RunStatus.OK, stdout: str = "", **more) -> RunResult:
    stage = StageResult(0 if status is RunStatus.OK else 1, None, stdout, "", False, 0.1)
    return RunResult(status, stage, **more)


def request(mode: AwsMode = AwsMode.NONE) -> RunRequest:
    return RunRequest("mine", "python", (File("main.py", b"print(1)"),), aws=AwsAccess(mode))


@pytest.fixture
def programs(tmp_path):
    table = SqliteTable(tmp_path / "store.sqlite")
    yield Programs(table)
    runs_module.stop_all()
    table.close()
    runs_module._jobs.clear()


def runs(programs, *events) -> Runs:
    return Runs(StepRunner(*events), SimulatedAws(), programs)


def test_a_run_is_recorded_with_what_it_printed(programs):
    result = ended(
        stdout="1\n",
        files=(File("a.txt", b"a"),),
        compile=StageResult(0, None, "", "note", False, 1.0),
        files_left_out=2,
    )
    job = runs(programs, StageChanged("run"), OutputChunk("stdout", "1\n"), result).start("p", request(), "s")
    assert job.join(60)
    assert (job.stage, job.result, job.error, job.stdout) == ("done", result, None, "1\n")
    stored = programs.run("p", job.id)
    assert stored == job.record
    assert stored.files_left_out == 2
    assert (stored.stdout, stored.compile_output, stored.files[0].content) == ("1\n", "note", b"a")
    assert stored.compile_wall_s == 1.0
    assert stored.code_sha256 == code_sha256(request().files)


def test_pages_see_stages_queue_and_output_as_they_come(programs):
    go = threading.Event()
    steps = runs(programs, Queued(2), go, StageChanged("run"), OutputChunk("stdout", "a"), go, ended())
    job = steps.start("p", request(), "s")
    seen = job.wait(0, 10)
    assert (job.stage, job.queue_position) == ("queued", 2)
    go.set()
    while not job.done:
        assert job.wait(seen, 10) > seen
        seen = job.version
    assert (job.stdout, job.queue_position) == ("a", 0)


def test_waiting_ends_when_nothing_comes(programs):
    go = threading.Event()
    job = runs(programs, StageChanged("run"), go, ended()).start("p", request(), "s")
    seen = job.wait(0, 10)
    assert job.wait(seen, 0.01) == seen
    go.set()


def test_live_output_is_bounded(programs):
    chunk = OutputChunk("stdout", "x" * (LIVE_CHARS // 2 + 1))
    job = runs(programs, chunk, chunk, chunk, ended()).start("p", request(), "s")
    assert job.join(60)
    assert len(job.stdout) == LIVE_CHARS


def test_stop_keeps_and_records_what_was_printed(programs):
    job = runs(programs, OutputChunk("stdout", "so far"), threading.Event(), ended()).start("p", request(), "s")
    job.wait(0, 10)
    job.stop()
    assert job.join(60)
    assert job.result.status is RunStatus.CANCELLED
    assert programs.run("p", job.id).status == "cancelled"


def test_a_stop_before_the_runner_knows_the_job_counts(programs):
    steps = runs(programs, Queued(1), threading.Event(), ended())
    job = steps.start("p", request(AwsMode.SIMULATED), "s")  # still starting the simulated AWS
    job.stop()
    assert job.join(60)
    assert job.result.status is RunStatus.CANCELLED
    steps._simulated.close()


def test_one_run_at_a_time_in_a_thread(programs):
    go = threading.Event()
    steps = runs(programs, go, ended())
    job = steps.start("p", request(), "s")
    with pytest.raises(InputRefused):
        steps.start("p", request(), "s")
    steps.start("other", request(), "s")
    go.set()
    assert job.join(60)
    assert steps.start("p", request(), "s").join(60)


def test_a_page_finds_the_run_again_also_after_its_end(programs):
    steps = runs(programs, ended())
    job = steps.start("p", request(), "s")
    assert steps.find("p") is job
    assert job.join(60)
    assert runs(programs).find("p") is job
    assert steps.find("unknown") is None


def test_of_the_finished_runs_only_the_last_are_remembered(programs, monkeypatch):
    monkeypatch.setattr(runs_module, "FINISHED_KEPT", 1)
    steps = runs(programs, ended())
    for thread in ("a", "b", "c", "d"):
        assert steps.start(thread, request(), "s").join(60)
    assert [thread for thread in "abcd" if steps.find(thread)] == ["c", "d"]


def test_large_finished_runs_are_forgotten_sooner(programs, monkeypatch):
    monkeypatch.setattr(runs_module, "FINISHED_KEPT_BYTES", 2500)
    steps = runs(programs, ended(files=(File("a", b"x" * 1000),)))
    for thread in ("a", "b", "c", "d"):
        assert steps.start(thread, request(), "s").join(60)
    assert [thread for thread in "abcd" if steps.find(thread)] == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("error", "key"),
    [(SandboxUnavailable(detail="", remedy=""), "sandbox_unavailable"), (RuntimeError("a bug"), "internal")],
)
def test_a_fault_of_ours_is_an_error_and_no_record(programs, error, key):
    job = runs(programs, StageChanged("run"), error).start("p", request(), "s")
    assert job.join(60)
    assert job.error.key == key
    assert job.result is job.record is None
    assert programs.runs("p") == ()


def test_a_runner_that_gives_no_result_is_an_error(programs):
    job = runs(programs, StageChanged("run")).start("p", request(), "s")
    assert job.join(60)
    assert isinstance(job.error, RunnerUnavailable)


def test_a_store_that_fails_does_not_hide_the_result(programs):
    class Broken:
        def add_run(self, thread, record):
            raise StoreUnavailable(detail="disk full")

    job = Runs(StepRunner(ended()), SimulatedAws(), Broken()).start("p", request(), "s")
    assert job.join(60)
    assert job.result.status is RunStatus.OK
    assert isinstance(job.unsaved, StoreUnavailable)


def test_a_run_ends_whatever_happens_to_its_record(programs):
    class Odd:
        def add_run(self, thread, record):
            raise ValueError("of a kind that nobody thought of")

    job = Runs(StepRunner(ended()), SimulatedAws(), Odd()).start("p", request(), "s")
    assert job.join(60)
    assert job.result.status is RunStatus.OK
    assert isinstance(job.unsaved, StoreError)


def test_without_a_simulated_aws_programs_that_need_none_still_run(programs):
    steps = Runs(StepRunner(ended()), SimulatedAws("--no-region"), programs)
    failed = steps.start("with", request(AwsMode.SIMULATED), "s")
    fine = steps.start("without", request(), "s")
    assert failed.join(60)
    assert fine.join(60)
    assert isinstance(failed.error, SimulationError)
    assert fine.error is None
    steps._simulated.close()


def test_a_program_is_told_the_address_of_its_sessions_simulated_aws(programs):
    steps = runs(programs, ended())
    assert steps.start("p", request(AwsMode.SIMULATED), "s").join(60)
    (sent,) = steps._runner.requests
    address = steps._simulated.endpoint("s")
    assert (sent.aws.host, sent.aws.port) == (address.host, address.port)
    steps._simulated.close()


def test_two_programs_differ_by_names_and_contents():
    assert code_sha256([File("a", b"b")]) == code_sha256([File("a", b"b")])
    assert code_sha256([File("a", b"bc")]) != code_sha256([File("ab", b"c")])
