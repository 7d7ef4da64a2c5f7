"""A model that is still loading, or cannot be, is told apart from one that answers."""

import pytest

from codecoach.errors import ModelLoading, ModelUnavailable
from codecoach.local.endpoint_app import build
from codecoach.local.endpoint_server import ThreadedServer
from codecoach.local.engine import State
from codecoach.local.ports import any_free
from codecoach.local.scripted import ScriptedEngine
from codecoach.models import readiness
from codecoach.services import Services
from codecoach.settings import Settings


class SlowEngine(ScriptedEngine):
    """Scripted replies, in a state that the test sets; as every engine it lets requests wait while it loads."""

    now = State("ready")

    def state(self) -> State:
        return self.now


@pytest.fixture
def engine():
    return SlowEngine()


@pytest.fixture
def services(engine, tmp_path):
    with ThreadedServer(build(engine)) as server:
        yield Services(Settings(data_dir=tmp_path, cache_dir=tmp_path, bedrock_endpoint_url=server.url))


def test_a_model_that_is_ready_answers_the_ping(services):
    assert services.directory.ping() is None  # else it raises
    assert services.directory.cards()


def test_a_model_that_loads_is_listed_but_says_so(engine, services):
    engine.now = State("loading")
    with pytest.raises(ModelLoading):
        services.directory.ping()
    assert services.directory.cards()
    engine.now = State("ready")
    services.directory.ping()


def test_a_model_that_cannot_be_loaded_says_why(engine, services):
    engine.now = State("failed", {"error": "broken.gguf: not a model"})
    with pytest.raises(ModelUnavailable) as caught:
        services.directory.ping()
    assert not isinstance(caught.value, ModelLoading)
    assert caught.value.what.values == {"detail": "broken.gguf: not a model"}


@pytest.mark.parametrize(("url", "key"), [("", "local_model_absent"), ("http://127.0.0.1:{port}", "local_model_away")])
def test_an_endpoint_that_is_not_there_is_said(url, key):
    with pytest.raises(ModelUnavailable) as caught:
        readiness.check(url.format(port=any_free()))
    assert caught.value.key == key


def test_an_endpoint_of_somebody_else_is_taken_for_ready(moto_url):
    assert readiness.check(moto_url) is None  # else it raises
