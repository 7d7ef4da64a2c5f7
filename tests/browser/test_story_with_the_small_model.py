"""The main job once with the real 0.5B model: what happens is asserted, not how wise the model is."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from codecoach.local import weights
from codecoach.runner import packages
from codecoach.settings import Settings

from .conftest import RunningApp, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(600)]
MODEL_MS = 240_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The local Bedrock endpoint with the small model, as `codecoach up` starts it."""
    if weights.find("0.5b", Settings().cache_dir) is None:
        pytest.skip("the 0.5B weights are not here: `codecoach setup --for-tests` fetches them")
    if not packages.installed(Settings().cache_dir, "python"):
        pytest.skip("no Python runtime here: `codecoach setup` builds it")
    process = subprocess.Popen(
        [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--model", "0.5b", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield json.loads(process.stdout.readline())["url"]
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def small_app(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    running = start_app(tmp_path_factory.mktemp("small"), bedrock_endpoint_url=endpoint)
    yield running
    stop_app(running)


def test_ask_run_break_fix_and_find_it_again(small_app: RunningApp, page: Page) -> None:
    small_app.add_account("small@example.com")
    page.goto(f"{small_app.url}/Chat")
    sign_in(page, "small@example.com")
    page.get_by_placeholder("Ask for code").fill("Write a Python program that prints the numbers 1 to 3.")
    page.get_by_placeholder("Ask for code").press("Enter")
    # These stand under a reply that is whole, with the tokens that the model really used.
    expect(page.get_by_text(re.compile(r"\d+ tokens in, \d+ out"))).to_be_visible(timeout=MODEL_MS)
    page.get_by_role("button", name="Run", exact=True).first.click()
    expect(page.get_by_text(re.compile(r"exit code \d+")).first).to_be_visible(timeout=60_000)

    page.get_by_role("button", name="Open in Editor").first.click()
    expect(page).to_have_url(re.compile("/Editor"))
    editor = page.frame_locator(".st-key-code-editor iframe").locator(".ace_content").first
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nprint(undefined_name)")
    page.keyboard.press("Control+Enter")
    # By the line typed here, or already by the model's own program.
    expect(page.get_by_text(re.compile(r"exit code [1-9]")).first).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Fix").click()
    # A whole corrected program is offered, or it is said that none came.
    offered = page.get_by_role("button", name="Apply")
    expect(offered.or_(page.get_by_text("No corrected program came")).first).to_be_visible(timeout=MODEL_MS)
    if offered.is_visible():
        offered.click()
        expect(offered).to_have_count(0)
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_text(re.compile(r"exit code \d+")).first).to_be_visible(timeout=60_000)
    page.reload()
    expect(page.get_by_text(re.compile(r"exit code \d+")).first).to_be_visible()
    page.get_by_role("link", name="Back to the conversation").click()
    expect(page.get_by_text(re.compile(r"\d+ tokens in, \d+ out"))).to_be_visible()
