"""What is clicked and typed while the store is slow is done all the same, once and in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from playwright.sync_api import Page, expect

from codecoach.runner import packages
from codecoach.services import DATABASE
from codecoach.settings import Settings

from .conftest import RunningApp, enter_editor, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@contextmanager
def slow(app: RunningApp) -> Iterator[None]:
    """While this lasts nothing can be saved: somebody else is writing."""
    with closing(sqlite3.connect(app.data_dir / DATABASE, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_a_program_runs_though_more_is_typed_before_it_could_be_saved(app: RunningApp, page: Page) -> None:
    if not packages.installed(Settings().cache_dir, "python"):
        pytest.skip("no Python runtime here: `codecoach setup` builds it")
    app.add_account("slow@example.com")
    page.goto(f"{app.url}/Editor")
    sign_in(page, "slow@example.com")
    main = page.get_by_test_id("stMain")
    main.get_by_role("button", name="Python").click()
    enter_editor(page)
    with slow(app):
        page.keyboard.press("Control+A")
        page.keyboard.type("print('one', 'thing')")
        page.keyboard.press("Control+Enter")
        # What is typed is reported 200 ms after the last key; the store waits for 15 s.
        page.wait_for_timeout(1_000)
        page.keyboard.type(" # and another")
        page.wait_for_timeout(1_000)
    expect(main.get_by_text("one thing")).to_be_visible()
    expect(main.get_by_text("changed in another window")).to_have_count(0)
    page.reload()
    expect(main.get_by_text("one thing")).to_be_visible()
    expect(page.frame_locator(".st-key-code-editor iframe").locator(".ace_content").first).to_contain_text(
        "# and another"
    )
