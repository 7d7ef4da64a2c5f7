"""The main job once with the real 0.5B model: what happens is asserted, not how wise the model is.

A model may answer without code, in another language, with a program that waits or never ends, at any length; it may be asked
for a correction and give none, or the same program again. Each of these must lead on, so the walk has a way through all of
them; that it has, a scripted model shows, and that each step does its work is asserted on every way.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from codecoach import languages
from codecoach.chat.fences import segments
from codecoach.chat.messages import Message, MessageState, Role
from codecoach.local import weights
from codecoach.local.scripted import ScriptedServer
from codecoach.runner import packages
from codecoach.services import DATABASE
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable

from .conftest import RunningApp, enter_editor, sign_in, start_app, stop_app

# Seconds are of a machine that is many times slower than ours and does something else as well.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
MODEL_MS = 400_000
RUN_MS = 180_000
# Bounds a reply to a quarter of it, and so the time of each.
CONTEXT_TOKENS = 2048
# What never ends by itself ends soon.
RUN_TIMEOUT_S = 10
REPLIES = 3
OUTCOME = re.compile("(Finished|Failed|Killed|Time limit|Memory limit|Output limit|File limit|Process limit)$")

QUESTION = "Write a Python program that prints the numbers 1 to 3."
# Fails whatever else happens, and is easy to mend.
BROKEN = "prin(1 + 2)"
HELPFUL = "```python\nfor n in range(1, 4):\n    print(n)\n```\n"


@pytest.fixture(scope="module")
def _can_run() -> None:
    if not packages.installed(Settings().cache_dir, "python"):
        pytest.skip("no Python runtime here: `codecoach setup` builds it")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The local Bedrock endpoint with the small model, as `codecoach up` starts it."""
    if weights.find("0.5b", Settings().cache_dir) is None:
        pytest.skip("the 0.5B weights are not here: `codecoach setup --for-tests` fetches them")
    process = subprocess.Popen(
        [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--model", "0.5b", "--port", "0"],
        env={**os.environ, "CODECOACH_LOCAL_CONTEXT_TOKENS": str(CONTEXT_TOKENS)},
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
    """The app over the small model."""
    running = _start(tmp_path_factory.mktemp("small"), endpoint)
    yield running
    stop_app(running)


@pytest.fixture(scope="module")
def app(bedrock: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The same app over a scripted model."""
    running = _start(tmp_path_factory.mktemp("scripted"), bedrock.url)
    yield running
    stop_app(running)


def _start(folder: Path, endpoint: str) -> RunningApp:
    return start_app(
        folder,
        bedrock_endpoint_url=endpoint,
        local_context_tokens=str(CONTEXT_TOKENS),
        run_timeout_s=str(RUN_TIMEOUT_S),
        request_timeout_s=str(MODEL_MS // 1000),
    )


@pytest.mark.model
@pytest.mark.usefixtures("_can_run")
def test_ask_run_break_fix_and_find_it_again(small_app: RunningApp, page: Page) -> None:
    walk(small_app, page, "small@example.com")


@pytest.mark.usefixtures("_can_run")
@pytest.mark.parametrize(
    ("name", "answers", "advice"),
    [
        ("wordy", ["I would rather talk.", "", "```\nfor n in 1..3\n```"], "Nobody knows what is wrong with it."),
        ("foreign", ["```cobol\nDISPLAY 1.\n```\n```python\n\n```\n", HELPFUL], f"```python\n{BROKEN}\n```"),
        ("stubborn", ["```python\nwhile True: input()\n```\n```python\n"], "```python\nwhile True:\n    pass\n```"),
        # Cut off in the midst of its program.
        ("endless", ["Of course.\n\n```python\nimport time\ntime.sleep(60)"], "```rust\nfn main() {}\n```"),
    ],
)
def test_whatever_a_model_says_leads_on(app, bedrock, page, name, answers, advice) -> None:
    for text in answers:
        bedrock.engine.say(text)
    bedrock.engine.say(advice)
    walk(app, page, f"{name}@example.com")


def walk(app: RunningApp, page: Page, username: str) -> None:
    """Ask, run, open in the Editor, break it, have it fixed, run it, and find it all again."""
    main = page.get_by_test_id("stMain")  # of the Editor; a page with a line to write in at its foot has none
    app.add_account(username)
    page.goto(f"{app.url}/Chat")
    sign_in(page, username)
    page.get_by_placeholder("Ask for code").fill(QUESTION)
    page.get_by_placeholder("Ask for code").press("Enter")
    block = _program(app, page)
    if block is None:
        page.get_by_role("link", name="Editor").click()
        main.get_by_role("button", name="Python").click()
    else:
        expect(outcome(page)).to_have_count(0)
        page.get_by_role("button", name="Run", exact=True).nth(block).click()
        expect(outcome(page)).to_be_visible(timeout=RUN_MS)
        page.get_by_role("button", name="Open in Editor").nth(block).click()
    expect(page).to_have_url(re.compile("/Editor"))

    expect(main.get_by_text("Run the program to see its output here.")).to_be_visible()
    enter_editor(page)
    page.keyboard.press("Control+A")
    page.keyboard.type(BROKEN)
    page.keyboard.press("Control+Enter")
    expect(main.get_by_text("NameError").first).to_be_visible(timeout=RUN_MS)
    main.get_by_role("button", name="Fix").click()
    _take_advice(main)
    expect(main.get_by_role("button", name="Fix")).to_be_visible()

    runs = page.locator("[class*=st-key-history]")
    expect(runs).to_have_count(0)
    main.get_by_role("button", name="Run", exact=True).click()
    expect(runs).to_be_visible(timeout=RUN_MS)
    expect(outcome(page)).to_be_visible()
    page.reload()
    expect(runs).to_be_visible()
    expect(outcome(page)).to_be_visible()
    if block is None:
        page.get_by_role("link", name="Chat").click()
    else:
        page.get_by_role("link", name="Back to the conversation").click()
        expect(page.get_by_test_id("stChatMessage").get_by_text(QUESTION)).to_be_visible()
        expect(outcome(page)).to_be_visible()


def _program(app: RunningApp, page: Page) -> int | None:
    """Which of the newest reply's blocks that can be run is a Python program; it is asked for again where none is."""
    again = page.get_by_role("button", name="Write it again")
    for left in reversed(range(REPLIES)):
        # Stands under a reply that is whole.
        expect(again).to_be_visible(timeout=MODEL_MS)
        reply = _newest(app, page)
        found = [
            languages.from_fence(part.info)
            for part in segments(reply.text)
            if part.kind == "code" and part.text.strip()
        ]
        runnable = [language.id for language in found if language]
        expect(page.get_by_role("button", name="Run", exact=True)).to_have_count(len(runnable))
        if "python" in runnable:
            return runnable.index("python")
        if left:
            again.click()
            expect(page.locator(f".st-key-retry-{reply.id}")).to_have_count(0)
    return None


def _newest(app: RunningApp, page: Page) -> Message:
    """The newest reply as it was stored, by the conversation in the page's address."""
    table = SqliteTable(app.data_dir / DATABASE)
    try:
        reply = Conversations(table).messages(page.url.partition("c=")[2], limit=1).messages[-1]
    finally:
        table.close()
    assert reply.role is Role.ASSISTANT
    assert reply.state is MessageState.COMPLETE
    return reply


def _take_advice(main: Locator) -> None:
    """A correction is applied; that there is none, or none that differs, is said. Each can be put away."""
    put_away = main.get_by_role("button", name=re.compile("^(Discard|Close)$"))
    expect(put_away).to_be_visible(timeout=MODEL_MS)
    applying = main.get_by_role("button", name="Apply")
    none_came = main.get_by_text("No corrected program came with this reply.")
    expect(applying.or_(none_came).or_(main.get_by_text("The program already reads like this."))).to_have_count(1)
    if applying.is_visible():
        applying.click()
        expect(applying).to_have_count(0)
        expect(main.get_by_text("The program now reads like this.")).to_be_visible()
        expect(main.get_by_text("The code has changed since this run.")).to_be_visible()
    put_away.click()
    expect(put_away).to_have_count(0)


def outcome(page: Page) -> Locator:
    """The badge that says how a run ended, whichever way."""
    return page.locator(".stMarkdownBadge", has_text=OUTCOME)
