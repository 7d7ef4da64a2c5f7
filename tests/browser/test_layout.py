"""Nothing leaves its place, however wide a table, however long a list, however narrow the screen."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from codecoach.chat.messages import Message, Role
from codecoach.services import DATABASE
from codecoach.store.conversations import Conversations
from codecoach.store.programs import Programs, RunRecord, SourceFile
from codecoach.store.sqlite import SqliteTable

from .conftest import RunningApp, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

USER = "layout@example.com"
WIDE_TABLE = f"| a | b |\n|---|---|\n| 1 | {'wide' * 60} |\n\nThat was the table."


@pytest.fixture(scope="module")
def _conversations(app: RunningApp) -> None:
    app.add_account(USER)
    table = SqliteTable(app.data_dir / DATABASE)
    for number in range(30):
        Conversations(table).create(USER, "code_coach", title=f"Conversation {number}")
    table.close()


@pytest.fixture
def chat(_conversations: None, app: RunningApp, page: Page) -> Page:
    page.goto(f"{app.url}/Chat")
    sign_in(page, USER)
    expect(page.get_by_text("What shall we build?")).to_be_visible()
    return page


def test_a_wide_table_scrolls_inside_the_answer(bedrock, chat):
    bedrock.engine.say(WIDE_TABLE)
    chat.get_by_placeholder("Ask for code").fill("A wide table")
    chat.get_by_placeholder("Ask for code").press("Enter")
    expect(chat.get_by_text("That was the table.")).to_be_visible()
    right_px = chat.locator("table").evaluate("table => table.getBoundingClientRect().right")
    assert right_px <= chat.get_by_placeholder("Ask for code").evaluate(
        "input => input.closest('[data-testid=stChatInput]').getBoundingClientRect().right + 1"
    )


def test_the_account_stays_in_sight_below_a_long_list(chat):
    expect(chat.get_by_role("button", name="Conversation 15")).to_be_attached()
    expect(chat.get_by_role("button", name=USER)).to_be_in_viewport()


@pytest.mark.usefixtures("_conversations")
def test_on_a_narrow_screen_the_sidebar_is_put_away_when_something_is_opened_from_it(app, page):
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{app.url}/Chat")
    sign_in(page, USER)
    for title in ("Conversation 29", "Conversation 28"):
        page.get_by_test_id("stExpandSidebarButton").click()
        entry = page.get_by_role("button", name=title)
        entry.click()
        expect(entry).not_to_be_in_viewport()


def test_on_a_narrow_screen_the_carets_of_a_traceback_keep_their_indentation(app, page):
    user = app.add_account("carets@example.com")
    table = SqliteTable(app.data_dir / DATABASE)
    program = Programs(table).create(user, "python", (SourceFile("main.py", "print(1 / 0)"),))
    carets = f"    {'~' * 60}^^^"
    Programs(table).add_run(
        program.id, RunRecord("1", datetime.now(UTC), "python", "failed", 1, None, "", carets, False, 0.1)
    )
    table.close()
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{app.url}/Editor?p={program.id}")
    sign_in(page, user)
    output = page.get_by_test_id("stCode").locator("code")
    expect(output).to_have_text(carets)
    of_one_line = """code => {
        const text = document.createTreeWalker(code, NodeFilter.SHOW_TEXT).nextNode();
        const top = at => { const range = document.createRange(); range.setStart(text, at); range.setEnd(text, at + 1);
                            return range.getBoundingClientRect().top; };
        return [top(0) === top(4), top(0) < top(text.length - 1)];
    }"""
    page.wait_for_function(f"code => `${{({of_one_line})(code)}}` === 'true,true'", arg=output.element_handle())


def test_on_a_narrow_screen_a_program_and_its_correction_stay_inside_the_page(app, page):
    user = app.add_account("narrow@example.com")
    long_line = f"print('{'long ' * 40}')"
    table = SqliteTable(app.data_dir / DATABASE)
    program = Programs(table).create(user, "python", (SourceFile("main.py", f"{long_line}\nprint(1 / 0)\n"),))
    corrected = f"Divide by one.\n\n```python\n{long_line}\n{' ' * 60}\nprint(1 / 1)\n```"
    messages = Conversations(table)
    messages.save(
        program.id, Message(messages.new_message_id(), Role.ASSISTANT, corrected, datetime.now(UTC), model_id="a.model")
    )
    table.close()
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{app.url}/Editor?p={program.id}")
    sign_in(page, user)
    expect(page.locator(".cc-diff")).to_be_visible()
    expect(page.frame_locator(".st-key-code-editor iframe").locator(".ace_content").first).to_be_visible()
    for part in (".cc-diff", ".st-key-code-editor iframe", '[data-testid="stMainBlockContainer"]'):
        right_px = page.locator(part).evaluate("part => part.getBoundingClientRect().left + part.scrollWidth")
        assert right_px <= 420
    expect(page.get_by_role("button", name="Apply")).to_be_visible()


def test_who_asks_for_earlier_messages_stays_at_the_one_being_read(app, page):
    user = app.add_account("earlier@example.com")
    table = SqliteTable(app.data_dir / DATABASE)
    conversations = Conversations(table)
    made = conversations.create(user, "code_coach", title="Long")
    for number in range(50):
        role = Role.ASSISTANT if number % 2 else Role.USER
        text = f"message {number:02}\n\n" + "and so on  \n" * 12
        conversations.save(made.id, Message(conversations.new_message_id(), role, text, datetime.now(UTC)))
    table.close()
    page.goto(f"{app.url}/Chat?c={made.id}")
    sign_in(page, user)
    expect(page.get_by_text("message 49")).to_be_visible()
    for read, earliest in (("message 30", "message 10"), ("message 10", "message 00")):
        page.get_by_role("button", name="Show earlier messages").click()
        expect(page.get_by_text(earliest)).to_be_attached()
        expect(page.get_by_text("message 49")).to_be_attached()
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
        expect(page.get_by_text(read)).to_be_in_viewport()
