"""Nothing leaves its place, however wide a table, however long a list, however narrow the screen."""

import pytest
from playwright.sync_api import Page, expect

from codecoach.services import DATABASE
from codecoach.store.conversations import Conversations
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
