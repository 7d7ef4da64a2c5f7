"""What models and programs did is counted once, under labels that nobody can make endless, and told to the log as well."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import requests

from codecoach import logs, metrics
from codecoach.chat.messages import Role
from codecoach.coach.meter import Meter
from codecoach.coach.metering import MeteredModel
from codecoach.errors import BudgetReached, ModelUnavailable, RunnerUnavailable
from codecoach.models.port import ModelRequest, Payer, Turn, Waiting
from codecoach.runner.measured import MeasuredRunner
from codecoach.runner.port import File, OutputChunk, Queued, RunRequest, RunResult, RunStatus, StageChanged, StageResult
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable
from codecoach.store.usage import UsageBook
from tests.browser.conftest import free_port
from tests.replies import ToldModel

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"  # $1 and $5 per million
ASK = ModelRequest(HAIKU, (Turn(Role.USER, "How?"),), max_tokens=1000, payer=Payer("ann@example.com"))
STAGE = StageResult(0, None, "", "", False, 0.25)
RUN = RunRequest("job", "python", (File("main.py", b""),))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Counts are of the process; each test looks at what it adds."""
    before = set(metrics._models)
    yield
    metrics._models.clear()
    metrics._models.update(before)


class Added:
    """By how much figures have grown since it was made."""

    def __init__(self) -> None:
        self._before = self._all()

    @staticmethod
    def _all() -> dict[tuple, float]:
        samples = (sample for family in metrics.registry.collect() for sample in family.samples)
        return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}

    def __call__(self, name: str, **labels: str) -> float:
        key = (f"codecoach_{name}", *sorted(labels.items()))
        return self._all().get(key, 0.0) - self._before.get(key, 0.0)


@pytest.fixture
def added() -> Added:
    return Added()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root, ours, stream = logging.getLogger(), logging.getLogger("codecoach"), io.StringIO()
    before = (root.handlers[:], root.level, ours.level)
    logs.configure("INFO", "json", stream)
    yield stream
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def model() -> ToldModel:
    return ToldModel()


@pytest.fixture
def metered(tmp_path, model, request) -> Iterator[MeteredModel]:
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    settings = Settings(**getattr(request, "param", {}))
    yield MeteredModel(
        model, Meter(UsageBook(table), settings, Conversations(table).get_message, lambda: datetime.now(UTC))
    )
    table.close()


def facts(written: io.StringIO) -> dict[str, object]:
    (record,) = [one for one in map(json.loads, written.getvalue().splitlines()) if "event" in one]
    return record


def test_a_whole_reply_counts_its_tokens_its_price_and_how_long_it_took(metered, model, added, written):
    reply = metered.stream(ASK)
    assert added("replies_running") == 0
    model.reply.say("So.")
    next(reply)
    assert added("replies_running") == 1
    model.reply.end()
    list(reply)
    reply.close()
    assert added("replies_running") == 0
    assert added("replies_total", model=HAIKU, outcome="complete") == 1
    assert added("tokens_total", model=HAIKU, direction="input") == 10
    assert added("tokens_total", model=HAIKU, direction="output") == 20
    assert added("dollars_total", model=HAIKU) == pytest.approx(0.00011)
    assert added("first_token_seconds_count", model=HAIKU) == added("reply_seconds_count", model=HAIKU) == 1
    told = facts(written)
    assert (told["event"], told["model"], told["outcome"], told["input_tokens"]) == ("reply", HAIKU, "complete", 10)
    assert 0 <= told["first_token_s"] <= told["total_s"]


def test_how_a_reply_ended_otherwise_is_told_apart(metered, model, added):
    stopped = metered.stream(ASK)
    model.reply.say("So.")
    next(stopped)
    stopped.close()
    assert added("replies_total", model=HAIKU, outcome="stopped") == 1
    failing = metered.stream(ASK)
    model.reply.tell(ModelUnavailable())
    with pytest.raises(ModelUnavailable):
        next(failing)
    assert added("replies_total", model=HAIKU, outcome=ModelUnavailable().key) == 1
    assert added("first_token_seconds_count", model=HAIKU) == 1  # the failed one had none
    metered.stream(ASK).close()  # nothing was asked
    assert added("reply_seconds_count", model=HAIKU) == 2
    assert added("replies_running") == 0


def test_a_reply_that_is_closed_before_it_is_read_is_never_under_way(metered, added):
    reply = metered.stream(ASK)
    reply.close()
    with suppress(StopIteration):
        next(reply)
    assert added("replies_running") == 0


def test_each_wait_for_a_service_that_limits_its_callers_counts_once(metered, model, added):
    reply = metered.stream(ASK)
    for seconds, attempt in ((1.0, 1), (0.5, 1), (2.0, 2)):
        model.reply.tell(Waiting(seconds, attempt))
        next(reply)
    reply.close()
    assert added("throttled_total", model=HAIKU) == 2


@pytest.mark.parametrize("metered", [{"budget_month_tokens": 1}], indirect=True)
def test_what_a_budget_refuses_is_counted_too(metered, added):
    with pytest.raises(BudgetReached) as refused:
        metered.stream(ASK)
    assert added("replies_total", model=HAIKU, outcome=refused.value.key) == 1
    assert added("reply_seconds_count", model=HAIKU) == 0


def test_models_beyond_the_first_share_one_name(added):
    for number in range(metrics.MODELS + 5):
        metrics.throttled(f"made-up-{number}")
    assert added("throttled_total", model=metrics.OTHER) >= 5
    assert len(metrics._models) == metrics.MODELS


class Told:
    """A runner that yields what it is told to."""

    def __init__(self, *events) -> None:
        self._events = events

    def run(self, request):
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event


def test_a_run_counts_by_language_and_status_and_how_long_it_waited(added, written):
    runner = MeasuredRunner(
        Told(
            Queued(2),
            Queued(1),
            StageChanged("compile"),
            StageChanged("run"),
            RunResult(RunStatus.FAILED, STAGE, compile=STAGE),
        ),
        "sandbox",
    )
    events = runner.run(RUN)
    assert isinstance(next(events), Queued)
    assert (added("runs_running"), added("runs_queued")) == (1, 1)
    assert isinstance(next(events), Queued)
    assert added("runs_queued") == 1
    next(events)
    assert added("runs_queued") == 0
    list(events)
    assert added("runs_running") == 0
    assert added("runs_total", runner="sandbox", language="python", status="failed") == 1
    assert added("run_seconds_sum", language="python") == added("compile_seconds_sum", language="python") == 0.25
    assert added("run_wait_seconds_count", language="python") == 1
    told = facts(written)
    assert (told["event"], told["language"], told["status"], told["wall_s"]) == ("run", "python", "failed", 0.25)


def test_a_run_that_ends_in_no_result_is_counted_all_the_same(added):
    with pytest.raises(RunnerUnavailable):
        list(MeasuredRunner(Told(Queued(1), RunnerUnavailable()), "piston").run(RUN))
    assert added("runs_total", runner="piston", language="python", status="error") == 1
    left = MeasuredRunner(Told(StageChanged("run"), OutputChunk("stdout", "x")), "piston").run(RUN)
    next(left)
    left.close()
    assert added("runs_total", runner="piston", language="python", status="cancelled") == 1
    refused = RunResult(RunStatus.COMPILE_FAILED, STAGE, compile=STAGE)
    list(MeasuredRunner(Told(StageChanged("compile"), refused), "piston").run(RUN))
    assert added("run_seconds_count", language="python") == 0
    assert (added("runs_running"), added("runs_queued")) == (0, 0)


def test_prometheus_finds_it_at_the_address_and_not_after_the_end():
    address = f"127.0.0.1:{free_port()}"
    stop = metrics.serve(address)
    answer = requests.get(f"http://{address}/metrics", timeout=30)
    assert "# TYPE codecoach_runs_total counter" in answer.text
    assert "process_resident_memory_bytes" in answer.text
    with pytest.raises(OSError, match="in use"):
        metrics.serve(address)
    stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{address}/metrics", timeout=30)
