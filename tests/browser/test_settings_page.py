"""A model is tested over the wire and saved, and the choice lasts."""

import pytest
from playwright.sync_api import expect

from .conftest import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def test_a_model_is_picked_tested_and_saved(app, bedrock, page):
    app.add_account("ann@example.com")
    page.goto(f"{app.url}/Settings")
    sign_in(page, "ann@example.com")
    picker = page.get_by_role("combobox", name="Choose a model")
    picker.click()
    picker.fill("Mixtral")
    page.get_by_role("option").filter(has_text="Mixtral 8x7B").click()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()

    bedrock.engine.fail("AccessDeniedException", "no access")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("may not call the model")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()

    bedrock.engine.say("Bonjour from Mixtral.")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("Bonjour from Mixtral.")).to_be_visible()
    assert bedrock.requests[-1].model_id.startswith("mistral.mixtral-8x7b")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("In use: Mixtral 8x7B Instruct")).to_be_visible()
    page.reload()
    expect(page.get_by_text("In use: Mixtral 8x7B Instruct")).to_be_visible()


def test_nobody_waits_on_the_page_for_a_model_that_does_not_answer(app, bedrock, page):
    app.add_account("bob@example.com")
    page.goto(f"{app.url}/Settings")
    sign_in(page, "bob@example.com")
    bedrock.engine.say("too late", first_delay_s=600)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_test_id("stSpinner")).to_be_visible()
    page.get_by_role("link", name="Chat").click()
    expect(page.get_by_text("What shall we build?")).to_be_visible()
    page.get_by_role("link", name="Settings").first.click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
