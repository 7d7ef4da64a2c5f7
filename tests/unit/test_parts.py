"""The state of the parts is known without waiting for any of them."""

import threading
from types import SimpleNamespace

import pytest

from codecoach.errors import ModelLoading, RunnerUnavailable
from codecoach.models.port import ModelCard
from codecoach.runner.port import Runtime
from codecoach.ui.parts import FRESH_S, SLOW_S, SOON_S, Parts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Place:
    """Store, directory and runner in one; each answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.problem: Exception | None = None

    def ping(self) -> str:
        assert self.may_answer.wait(20)
        return "Store 1.0"

    def cards(self) -> tuple[ModelCard, ...]:
        return (ModelCard("a.model", "A Model", "Acme"), ModelCard("b.model", "B Model", "Acme"))

    def why_unlisted(self) -> None:
        """The list is the service's own."""

    def runtimes(self) -> tuple[Runtime, ...]:
        if self.problem:
            raise self.problem
        return (Runtime("python", "3.12", installed=True), Runtime("go", "1.24", installed=False))


@pytest.fixture
def place():
    return Place()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def parts(place, clock):
    services = SimpleNamespace(table=place, directory=place, runner=place, default_model_id="b.model")
    return Parts(services, clock)


def settled(parts: Parts) -> dict:
    """The states once all checks under way have ended."""
    parts.snapshot()
    for thread in threading.enumerate():
        if thread.name.startswith("check "):
            thread.join(20)
    return {state.name: state for state in parts.snapshot()}


def test_what_works_is_shown_with_its_version(parts):
    states = settled(parts)
    assert {name: state.word for name, state in states.items()} == {"model": "ok", "store": "ok", "runner": "ok"}
    assert states["store"].version == "Store 1.0"
    assert (states["model"].version, states["model"].more) == ("B Model", 1)
    assert states["runner"].version == "Python 3.12"


def test_a_part_that_hangs_delays_nobody_and_is_then_called_slow(parts, place, clock):
    place.may_answer.clear()
    assert [state.word for state in parts.snapshot()][:2] == ["checking", "checking"]
    clock.now += SLOW_S + 1
    assert {state.name: state.word for state in parts.snapshot()}["store"] == "down"
    place.may_answer.set()
    assert settled(parts)["store"].word == "ok"


def test_a_part_that_fails_says_why_and_the_others_go_on(parts, place):
    place.problem = RunnerUnavailable(detail="gone")
    states = settled(parts)
    assert states["runner"].problem.values == {"detail": "gone"}
    assert states["store"].word == "ok"


def test_a_model_that_loads_is_looked_at_again_soon_until_it_works(parts, place, clock):
    def loading():
        raise ModelLoading

    ping, place.ping = place.ping, loading
    state = settled(parts)["model"]
    assert (state.word, state.problem, state.hint) == ("loading", ModelLoading().what, ModelLoading().hint)
    place.ping = ping
    clock.now += SOON_S
    assert settled(parts)["model"].word == "ok"


def test_what_can_be_done_is_said_with_what_is_wrong(parts, place):
    place.problem = RunnerUnavailable(detail="gone")
    assert settled(parts)["runner"].hint == place.problem.hint


def test_a_fault_of_ours_in_a_check_is_shown_too(parts, place):
    place.problem = ZeroDivisionError()
    assert settled(parts)["runner"].problem.key == "errors.internal.what"


def test_a_part_is_asked_again_only_after_a_while_or_on_request(parts, place, clock):
    settled(parts)
    place.problem = RunnerUnavailable(detail="gone")
    assert settled(parts)["runner"].word == "ok"
    clock.now += FRESH_S + 1
    assert settled(parts)["runner"].word == "down"
    place.problem = None
    parts.refresh()
    assert settled(parts)["runner"].word == "ok"


def test_a_runner_without_a_runtime_that_runs_does_not_work(parts, place):
    why = RunnerUnavailable(detail="no sandbox").what
    place.runtimes = lambda: (Runtime("python", "3.12", installed=False, problem=why),)
    assert (settled(parts)["runner"].word, settled(parts)["runner"].problem) == ("down", why)


def test_who_wants_to_can_wait_for_the_checks_that_are_due(parts, place):
    place.may_answer.clear()
    parts.snapshot()
    assert not parts.settled(0.05)
    place.may_answer.set()
    assert parts.settled(20)
    assert [state.word for state in parts.snapshot()] == ["ok", "ok", "ok"]
