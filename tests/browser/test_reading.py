"""What stands on the Chat page is what was written, once, and of a long output its end."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from codecoach.chat.messages import Message, Role
from codecoach.services import DATABASE
from codecoach.store import keys
from codecoach.store.conversations import Conversations
from codecoach.store.programs import Programs, RunRecord
from codecoach.store.sqlite import SqliteTable

from .conftest import RunningApp, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

USER = "reader@example.com"
WRITTEN = (
    "Type :smile: or :material/home: or :red[x] into `:material/home:`, for arn:aws:s3:::b, at https://a.example/b:c:d."
)
LINES = 300


@pytest.fixture(scope="module")
def _account(app: RunningApp) -> None:
    app.add_account(USER)


@pytest.fixture
def chat(_account: None, app: RunningApp, page: Page) -> Page:
    page.goto(f"{app.url}/Chat")
    sign_in(page, USER)
    expect(page.get_by_text("What shall we build?")).to_be_visible()
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_placeholder("Ask for code").fill(text)
    page.get_by_placeholder("Ask for code").press("Enter")


def test_words_between_colons_are_no_pictures_and_are_copied_as_they_are(bedrock, chat):
    bedrock.engine.say(f"{WRITTEN}\n\nThat was it.")
    ask(chat, "What may I type?")
    expect(chat.get_by_text("That was it.")).to_have_count(1)
    expect(chat.get_by_text("Write it again")).to_be_visible()
    reply = chat.get_by_test_id("stChatMessage").nth(1).locator("p").first
    copied = reply.evaluate("line => { getSelection().selectAllChildren(line); return getSelection().toString() }")
    assert copied.strip() == WRITTEN.replace("`", "")
    expect(reply.locator("a")).to_have_attribute("href", "https://a.example/b:c:d")


def test_a_reply_written_again_or_continued_stands_there_once(bedrock, chat):
    bedrock.engine.say("The old words.")
    ask(chat, "Something")
    chat.get_by_role("button", name="Write it again").wait_for()
    bedrock.engine.say("The new words, " + "and more " * 2000, token_delay_s=0.05)
    chat.get_by_role("button", name="Write it again").dblclick()
    expect(chat.get_by_text("The new words")).to_have_count(1)
    expect(chat.get_by_text("The old words.")).to_have_count(0)
    chat.get_by_role("button", name="Stop").click()
    bedrock.engine.say("the end " * 2000, token_delay_s=0.05)
    chat.get_by_role("button", name="Continue").click()
    expect(chat.get_by_text("the end")).to_have_count(1)
    expect(chat.get_by_text("The new words")).to_have_count(1)
    expect(chat.get_by_test_id("stAlert")).to_have_count(0)
    chat.get_by_role("button", name="Stop").click()
    expect(chat.get_by_role("button", name="Continue")).to_be_visible()


def test_who_asks_while_reading_further_up_sees_the_answer(bedrock, chat):
    bedrock.engine.say("and so on  \n" * 60)
    ask(chat, "Something long")
    chat.get_by_role("button", name="Write it again").wait_for()
    chat.get_by_test_id("stChatMessage").first.hover()
    chat.mouse.wheel(0, -5000)
    expect(chat.get_by_text("Something long").last).to_be_in_viewport()
    bedrock.engine.say("more\n\n" * 40 + "The very end.", token_delay_s=0.02)
    ask(chat, "And then?")
    expect(chat.get_by_text("The very end.")).to_be_in_viewport()


def test_a_long_output_opens_at_its_end(app, chat):
    table = SqliteTable(app.data_dir / DATABASE)
    conversations = Conversations(table)
    made = conversations.create(USER, "code_coach", title="Long output")
    said = Message(conversations.new_message_id(), Role.USER, "Count", datetime.now(UTC))
    replied = Message(conversations.new_message_id(said.id), Role.ASSISTANT, "```python\n1\n```", datetime.now(UTC))
    conversations.save(made.id, said)
    conversations.save(made.id, replied)
    printed = "\n".join(f"line {number}" for number in range(LINES))
    record = RunRecord("1", datetime.now(UTC), "python", "ok", 0, None, printed, "", False, 0.1)
    Programs(table).add_run(keys.block(made.id, replied.id, 0), record)
    table.close()
    chat.goto(f"{app.url}/Chat?c={made.id}")
    expect(chat.get_by_text("Finished")).to_be_visible()
    expect(chat.get_by_text(f"line {LINES - 1}")).to_be_visible()
    box = chat.locator('[class*="st-key-at-end-"] pre')
    from_end_px = "box => box.querySelector('code').getBoundingClientRect().bottom - box.getBoundingClientRect().bottom"
    assert abs(box.evaluate(from_end_px)) < 40
    assert box.evaluate("box => box.scrollHeight > 2 * box.clientHeight")
