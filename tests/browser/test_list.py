"""What can be done with an entry of the list in the sidebar: rename it, delete it, also while its reply is written."""

import pytest
from playwright.sync_api import Page, expect

from .conftest import RunningApp, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

LONG = " ".join(f"number-{n}" for n in range(4000))


@pytest.fixture
def chat(app: RunningApp, bedrock, page: Page, request: pytest.FixtureRequest) -> Page:
    """A conversation titled "First question", with its whole reply."""
    user = app.add_account(f"{request.node.name.replace('_', '-')}@example.com")
    page.goto(f"{app.url}/Chat")
    sign_in(page, user)
    bedrock.engine.say("First answer.")
    ask(page, "First question")
    expect(page.get_by_role("button", name="Write it again")).to_be_visible()
    return page


def ask(page: Page, text: str) -> None:
    page.get_by_placeholder("Ask for code").fill(text)
    page.get_by_placeholder("Ask for code").press("Enter")


def choose(page: Page, action: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("button", name="Rename or delete").click()
    page.get_by_role("menuitem", name=action).click()


def test_a_conversation_is_renamed(chat):
    choose(chat, "Rename")
    chat.get_by_role("dialog").get_by_label("Name").fill("My *own* title")
    chat.get_by_role("dialog").get_by_role("button", name="Save").click()
    entry = chat.get_by_test_id("stSidebar").get_by_role("button", name="My *own* title", exact=True)
    expect(entry).to_be_visible()
    chat.reload()
    expect(entry).to_be_visible()
    expect(chat.get_by_text("First answer.")).to_be_visible()


def test_a_conversation_is_deleted_only_once_that_is_confirmed(chat):
    entry = chat.get_by_test_id("stSidebar").get_by_role("button", name="First question", exact=True)
    choose(chat, "Delete")
    chat.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(chat.get_by_role("dialog")).to_have_count(0)
    expect(entry).to_be_visible()
    choose(chat, "Delete")
    chat.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(chat.get_by_text("What shall we build?")).to_be_visible()
    expect(entry).to_have_count(0)


def test_a_reply_that_is_written_goes_on_behind_a_dialog_and_ends_with_its_conversation(bedrock, chat):
    bedrock.engine.say(LONG, token_delay_s=0.03)
    ask(chat, "Count")
    expect(chat.get_by_text("number-10")).to_be_visible()
    choose(chat, "Rename")
    chat.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(chat.get_by_text("number-60")).to_be_visible()
    choose(chat, "Delete")
    chat.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(chat.get_by_text("What shall we build?")).to_be_visible()
    assert bedrock.engine.cancel_seen.wait(60)
