"""Home shows how the parts are now, and goes on showing it without being loaded again."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from codecoach.local.endpoint_app import build
from codecoach.local.endpoint_server import ThreadedServer
from codecoach.local.engine import State
from codecoach.local.scripted import ScriptedEngine

from .conftest import RunningApp, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


class ChangingEngine(ScriptedEngine):
    """Scripted replies, in a state that the test sets."""

    now = State("ready")

    def state(self) -> State:
        return self.now


@pytest.fixture
def engine() -> ChangingEngine:
    return ChangingEngine()


@pytest.fixture
def changing_app(engine: ChangingEngine, tmp_path) -> Iterator[RunningApp]:
    with ThreadedServer(build(engine)) as server:
        running = start_app(tmp_path, bedrock_endpoint_url=server.url)
        yield running
        stop_app(running)


def test_home_follows_the_model_from_failed_over_loading_to_working(changing_app, engine, page: Page):
    engine.now = State("failed", {"error": "out of memory"})
    changing_app.add_account("ann@example.com")
    page.goto(changing_app.url)
    sign_in(page, "ann@example.com")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("out of memory")).to_be_visible()
    model = requests.get(f"{changing_app.url}/healthz", timeout=60).json()["parts"]["model"]
    assert model["state"] == "down"
    assert "out of memory" in model["why"]
    page.evaluate("window.neverLoadedAgain = true")
    engine.now = State("loading")
    expect(main.get_by_text("is being loaded into memory")).to_be_visible()
    engine.now = State("ready")
    expect(main.get_by_text("more to choose from")).to_be_visible()
    expect(main.get_by_text("out of memory")).to_have_count(0)
    assert page.evaluate("window.neverLoadedAgain") is True
