"""The main job from end to end: ask, read, run, break, have it fixed, and lose nothing on the way."""

import os
import re
import signal
import socket

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from codecoach.local.scripted import ScriptedServer
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

from .conftest import PASSWORD, RunningApp, enter_editor, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PROGRAM = """import boto3

s3 = boto3.client("s3")
for bucket in s3.list_buckets()["Buckets"]:
    print(bucket["Name"])
"""
ANSWER = f"This lists your buckets.\n\n```python\n{PROGRAM}```\n\nIt needs the permission `s3:ListAllMyBuckets`."
BREAK = "\nprint(1 / 0)"
FIX = f"The last line divided by zero; I took it out.\n\n```python\n{PROGRAM}```\n"
COUNTING = " ".join(f"number-{n}" for n in range(400))
# Puts a picture into the page, and returns the address that the browser refuses to fetch.
REFUSED = """address => new Promise(done => {
    document.addEventListener("securitypolicyviolation", event => done(event.blockedURI))
    const picture = new Image()
    picture.onload = () => done("fetched")
    picture.src = address
})"""


@pytest.fixture(scope="module")
def _can_run() -> None:
    python = next(runtime for runtime in Sandbox(Settings()).runtimes() if runtime.language == "python")
    if not python.installed:
        pytest.skip(f"no Python runtime here: {python.problem}")


@pytest.fixture
def chat(app: RunningApp, page: Page, request: pytest.FixtureRequest) -> Page:
    """The Chat page of a user of one's own."""
    name = re.sub(r"\W+", "-", request.node.name)[:40].lower().strip("-")
    app.add_account(f"{name}@example.com")
    page.goto(f"{app.url}/Chat")
    sign_in(page, f"{name}@example.com")
    expect(page.get_by_text("What shall we build?")).to_be_visible()
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_placeholder("Ask for code").fill(text)
    page.get_by_placeholder("Ask for code").press("Enter")


def code(page: Page) -> FrameLocator:
    return page.frame_locator(".st-key-code-editor iframe")


def type_at_end(page: Page, text: str) -> None:
    enter_editor(page)
    page.keyboard.press("Control+End")
    page.keyboard.type(text)


def outcome(page: Page, word: str) -> Locator:
    """The badge that says how a run or a reply ended."""
    return page.locator(".stMarkdownBadge", has_text=word)


@pytest.mark.usefixtures("_can_run")
def test_ask_run_break_fix_run_and_find_it_all_again(app, bedrock, page):
    app.add_account("story@example.com", must_change_password=True)
    page.goto(f"{app.url}/Chat")
    sign_in(page, "story@example.com")
    expect(page.get_by_text("Choose your password")).to_be_visible()
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("one of my own")
    page.get_by_label("New password, once more").fill("one of my own")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("What shall we build?")).to_be_visible()

    bedrock.engine.say(ANSWER, token_delay_s=0.05)
    page.get_by_role("button", name="List my S3 buckets").click()
    expect(page.get_by_text("This lists your buckets.")).to_be_visible()
    expect(page.get_by_text("It needs the permission")).to_be_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(outcome(page, "Finished")).to_be_visible()
    expect(page.get_by_text("demo-uploads")).to_be_visible()

    page.reload()
    expect(page.get_by_text("demo-uploads")).to_be_visible()

    page.get_by_role("button", name="Open in Editor").click()
    expect(page).to_have_url(re.compile("/Editor"))
    type_at_end(page, BREAK)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("ZeroDivisionError")).to_be_visible()
    expect(outcome(page, "Failed")).to_be_visible()

    bedrock.engine.say(FIX, token_delay_s=0.02)
    page.get_by_role("button", name="Fix").click()
    expect(page.get_by_text("The last line divided by zero")).to_be_visible()
    removed = page.locator(".cc-diff .removed")
    expect(removed.filter(has_text="print(1 / 0)")).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    expect(removed).to_have_count(0)
    expect(code(page).locator(".ace_content").first).not_to_contain_text("1 / 0")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(outcome(page, "Finished")).to_be_visible()

    page.reload()
    expect(outcome(page, "Finished")).to_be_visible()
    expect(code(page).locator(".ace_content").first).to_contain_text("list_buckets")
    page.get_by_role("link", name="Back to the conversation").click()
    expect(page.get_by_text("This lists your buckets.")).to_be_visible()


def test_escape_stops_a_reply_and_what_came_stays_and_goes_on(bedrock, chat):
    bedrock.engine.say(COUNTING, token_delay_s=0.03)
    ask(chat, "Count")
    expect(chat.get_by_text("number-20")).to_be_visible()
    chat.keyboard.press("Escape")
    expect(outcome(chat, "Stopped")).to_be_visible()
    chat.reload()
    expect(outcome(chat, "Stopped")).to_be_visible()
    expect(chat.get_by_text("number-20")).to_be_visible()
    bedrock.engine.say("and the rest of it.")
    chat.get_by_role("button", name="Continue").click()
    expect(chat.get_by_text("and the rest of it.")).to_be_visible()
    expect(outcome(chat, "Stopped")).to_have_count(0)


def test_a_reply_goes_on_over_a_reload_another_page_and_in_a_second_tab(bedrock, chat):
    bedrock.engine.say(COUNTING + " the end", token_delay_s=0.03)
    ask(chat, "Count")
    expect(chat.get_by_text("number-10")).to_be_visible()
    chat.reload()
    expect(chat.get_by_text("number-40")).to_be_visible()
    second = chat.context.new_page()
    second.goto(chat.url)
    expect(second.get_by_text("number-80")).to_be_visible()
    chat.get_by_role("link", name="Settings").first.click()
    expect(chat.get_by_role("heading", name="Settings")).to_be_visible()
    chat.get_by_role("link", name="Chat").click()
    expect(chat.get_by_text("the end")).to_be_visible()
    expect(second.get_by_text("the end")).to_be_visible()


def test_a_page_that_follows_a_reply_notices_that_its_user_signed_out_elsewhere(bedrock, chat):
    bedrock.engine.say(COUNTING, token_delay_s=0.2)
    ask(chat, "Count")
    expect(chat.get_by_text("number-5")).to_be_visible()
    second = chat.context.new_page()
    second.goto(chat.url)
    second.get_by_role("button", name="@example.com").click()
    second.get_by_role("button", name="Sign out").click()
    expect(second.get_by_label("E-mail address")).to_be_visible()
    expect(chat.get_by_label("E-mail address")).to_be_visible()
    expect(chat.get_by_text("number-5")).to_have_count(0)


def test_what_is_sent_while_a_reply_is_written_comes_back_into_the_input(bedrock, chat):
    bedrock.engine.say(COUNTING, token_delay_s=0.02)
    ask(chat, "Count")
    expect(chat.get_by_text("number-10")).to_be_visible()
    ask(chat, "And another thing")
    expect(chat.get_by_text("number-60")).to_be_visible()
    expect(chat.get_by_placeholder("Ask for code")).to_have_value("And another thing")


def test_after_kill_9_the_reply_is_there_marked_interrupted(chromium, tmp_path):
    with ScriptedServer() as bedrock:
        app = start_app(tmp_path, bedrock_endpoint_url=bedrock.url)
        context = chromium.new_context(locale="en-US")
        page = context.new_page()
        try:
            app.add_account("kill@example.com")
            page.goto(f"{app.url}/Chat")
            sign_in(page, "kill@example.com")
            bedrock.engine.say(COUNTING, token_delay_s=0.05)
            ask(page, "Count")
            expect(page.get_by_text("number-20 ")).to_be_visible()
            page.wait_for_timeout(2_500)  # what is shown for so long has been saved
            address = page.url
            os.kill(app.process.pid, signal.SIGKILL)
            app.process.wait()
            app_again = start_app(tmp_path, bedrock_endpoint_url=bedrock.url)
            try:
                page.goto(address.replace(app.url, app_again.url))
                # The dead writer is noticed ten seconds after its last sign of life.
                expect(outcome(page, "Interrupted")).to_be_visible()
                expect(page.get_by_text("number-20 ")).to_be_visible()
                bedrock.engine.say("and the rest of it.")
                page.get_by_role("button", name="Continue").click()
                expect(page.get_by_text("and the rest of it.")).to_be_visible()
            finally:
                stop_app(app_again)
        finally:
            context.close()
            stop_app(app)


def test_a_reply_written_by_another_process_is_followed_and_stopped(app, bedrock, chat):
    other = start_app(app.data_dir.parent, bedrock_endpoint_url=bedrock.url)
    try:
        bedrock.engine.say(COUNTING, token_delay_s=0.06)
        ask(chat, "Count")
        expect(chat.get_by_text("number-10")).to_be_visible()
        page = chat.context.new_page()
        page.goto(chat.url.replace(app.url, other.url))
        expect(page.get_by_text("number-60")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        expect(outcome(page, "Stopped")).to_be_visible()
        expect(outcome(chat, "Stopped")).to_be_visible()
    finally:
        stop_app(other)


def test_a_code_block_is_coloured_and_its_copy_button_copies_exactly_the_code(app, bedrock, chat):
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=app.url)
    indented = 'if True:\n\tprint("tab & <b>")\n\n    # four\n'
    bedrock.engine.say(f"Here:\n\n```python\n{indented}```\n\nThat was it.")
    ask(chat, "Some code")
    expect(chat.get_by_text("That was it.")).to_be_visible()
    block = chat.get_by_test_id("stCode")
    expect(block.locator(".token.string")).to_be_visible()  # colours come a little after the code
    colours = block.locator(".token").evaluate_all("all => all.map(one => getComputedStyle(one).color)")
    assert len(set(colours)) > 2
    block.hover()
    block.get_by_role("button", name="Copy to clipboard").click()
    chat.wait_for_function("async code => await navigator.clipboard.readText() === code", arg=indented.rstrip("\n"))


def test_the_editor_is_light_or_dark_as_the_app_is(chat):
    chat.get_by_role("link", name="Editor").click()
    chat.get_by_test_id("stMain").get_by_role("button", name="Python").click()
    type_at_end(chat, "kept = 1")
    for theme, looks in (("Dark", "ace-tomorrow-night"), ("Light", "ace-chrome")):
        chat.get_by_role("button", name="@example.com").click()
        chat.get_by_role("radio", name=theme).click()
        expect(code(chat).locator(f".ace_editor.{looks}")).to_be_visible()
        expect(code(chat).locator(".ace_content").first).to_contain_text("kept = 1")


def test_an_explanation_streams_and_is_there_again_after_a_reload(bedrock, chat):
    chat.get_by_role("link", name="Editor").click()
    chat.get_by_test_id("stMain").get_by_role("button", name="Python").click()
    type_at_end(chat, "print(1)")
    # Far too long to be whole by the time it is looked at, however slow the machine.
    bedrock.engine.say("It prints one, " + "and on " * 20_000, token_delay_s=0.05)
    chat.get_by_role("button", name="Explain").click()
    expect(chat.get_by_text("It prints one, and on and on")).to_be_visible()
    stop = chat.get_by_test_id("stMain").get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    chat.reload()
    expect(chat.get_by_text("It prints one, and on and on")).to_be_visible()
    stop.click()
    expect(stop).to_have_count(0)
    chat.reload()
    expect(chat.get_by_text("It prints one, and on and on")).to_have_count(1)
    expect(chat.get_by_role("button", name="Close")).to_be_visible()


@pytest.mark.usefixtures("_can_run")
def test_the_editor_runs_what_it_shows_however_soon_the_click_comes(chat):
    chat.get_by_role("link", name="Editor").click()
    chat.get_by_test_id("stMain").get_by_role("button", name="Python").click()
    type_at_end(chat, "print('last', 'words')")
    chat.get_by_role("button", name="Run", exact=True).click()
    expect(chat.get_by_test_id("stMain").get_by_text("last words")).to_be_visible()
    type_at_end(chat, "\nprint('by', 'keyboard')")
    chat.keyboard.press("Control+Enter")
    expect(chat.get_by_test_id("stMain").get_by_text("by keyboard")).to_be_visible()
    # Escape leaves the editor, where Tab would only indent.
    type_at_end(chat, "#")
    chat.wait_for_timeout(500)  # the editor tells what was typed when typing pauses, and the page draws itself anew
    expect(chat.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    chat.keyboard.press("Escape")
    chat.keyboard.press("Tab")
    expect(chat.get_by_role("button", name="Run", exact=True)).to_be_focused()


@pytest.mark.usefixtures("_can_run")
def test_what_is_typed_while_a_program_runs_is_kept(chat):
    chat.get_by_role("link", name="Editor").click()
    chat.get_by_test_id("stMain").get_by_role("button", name="Python").click()
    type_at_end(chat, "import time; time.sleep(60)\n")
    chat.keyboard.press("Control+Enter")
    expect(chat.get_by_text("Running Python")).to_be_visible()
    type_at_end(chat, "# typed meanwhile")
    chat.wait_for_timeout(1_000)
    chat.reload()
    expect(code(chat).locator(".ace_content").first).to_contain_text("# typed meanwhile")
    chat.get_by_role("button", name="Stop").click()
    expect(outcome(chat, "Stopped")).to_be_visible()


def test_no_picture_is_fetched_from_where_a_model_says(chat, bedrock):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}"
        bedrock.engine.say(f"a ` b\n\n![one]({address}/secret)\n\nc ` d\n\nThe end.")
        ask(chat, "Show me a picture")
        expect(chat.get_by_text("The end.")).to_be_visible()
        expect(chat.locator("img[alt=one]")).to_have_count(0)
        # And should one ever get into the page, the browser refuses to fetch it.
        assert chat.evaluate(REFUSED, f"{address}/secret") == f"{address}/secret"
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
