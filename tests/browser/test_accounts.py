"""An administrator finds and changes an account without a mouse, and whoever is invited gets in by the link."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from codecoach.services import DATABASE
from codecoach.store.accounts import Accounts
from codecoach.store.sqlite import SqliteTable

from .conftest import RunningApp, session_cookie, sign_in, wait_for_cookie

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ROOT, ANN, CARL = "root@example.com", "ann@example.com", "carl@example.com"


@pytest.fixture(scope="module")
def admin(app: RunningApp) -> str:
    app.add_account(ANN)
    app.add_account("anna@example.com")
    return app.add_account(ROOT, ("admin",))


def open_accounts(app: RunningApp, page: Page, admin: str) -> None:
    page.goto(f"{app.url}/Settings")
    sign_in(page, admin)
    page.get_by_role("radio", name="All accounts").or_(page.get_by_role("button", name="All accounts")).click()
    expect(page.get_by_label("Find an account")).to_be_visible()


def focus(page: Page, name: str) -> None:
    """Go on with Tab until the button of this name has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText?.trim()").endswith(name):
            return
    raise AssertionError(f"Tab does not come to {name}")


def is_disabled(app: RunningApp, name: str) -> bool:
    table = SqliteTable(app.data_dir / DATABASE)
    try:
        return Accounts(table).get(name).disabled
    finally:
        table.close()


def test_an_account_is_found_and_disabled_by_the_keyboard_alone(app, admin, page):
    open_accounts(app, page, admin)
    page.get_by_label("Find an account").focus()
    page.keyboard.type("ann@")
    page.keyboard.press("Enter")
    panel = page.locator(".st-key-account-panel")
    expect(panel.get_by_role("heading", name=ANN)).to_be_visible()
    focus(page, "Disable")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Disable {ANN}?")
    focus(page, "Disable")
    page.keyboard.press("Enter")
    expect(page.get_by_text("can no longer sign in")).to_be_visible()
    expect(dialog).to_have_count(0)
    assert is_disabled(app, ANN)
    assert not is_disabled(app, "anna@example.com")


def test_a_row_is_chosen_by_a_click_and_the_question_closes_without_doing_anything(app, admin, page):
    open_accounts(app, page, admin)
    page.get_by_label("Find an account").fill("example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile(r"^(\d+) of (?!\1 )\d+ accounts"))).to_be_visible()
    expect(page.locator("[data-stale=true]")).to_have_count(
        0
    )  # what is drawn anew has no place on the page for a moment
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    box = page.get_by_test_id("stDataFrame").bounding_box()
    page.mouse.click(box["x"] + 16, box["y"] + 35 * 2 + 17)  # the second row's mark
    panel = page.locator(".st-key-account-panel")
    expect(panel.get_by_role("heading", name="anna@example.com")).to_be_visible()
    panel.get_by_role("button", name="Reset password").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(panel.get_by_role("heading", name="anna@example.com")).to_be_visible()


def test_an_invited_colleague_opens_the_link_chooses_a_password_and_stays_signed_in(app, admin, page, chromium):
    open_accounts(app, page, admin)
    page.get_by_text("Add somebody").click()
    page.get_by_label("E-mail address").fill(CARL)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("this link, or the code")).to_be_visible()
    link = page.get_by_test_id("stCode").first.inner_text().strip()
    assert link.startswith(f"{app.url}/?invitation=")
    code = link.split("=")[1]

    theirs = chromium.new_context(locale="en-US").new_page()
    theirs.goto(link)
    expect(theirs.get_by_label("Invitation code")).to_have_value(code)
    theirs.wait_for_function("location.search === ''")
    assert session_cookie(theirs.context) is None
    theirs.get_by_role("textbox", name="Password", exact=True).fill("three green umbrellas")
    theirs.get_by_role("textbox", name="Password, once more").fill("three green umbrellas")
    theirs.get_by_role("button", name="Make my account").click()
    expect(theirs.get_by_role("button", name=CARL)).to_be_visible()
    wait_for_cookie(theirs, present=True)
    theirs.reload()
    expect(theirs.get_by_role("button", name=CARL)).to_be_visible()
    assert urlsplit(theirs.url).query == ""
    assert code not in app.log.read_text()
    theirs.context.close()
