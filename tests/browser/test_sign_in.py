"""Signing in lasts over reloads, tabs and pages, no script can read its cookie, and signing out ends it everywhere."""

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, RunningApp, fill_sign_in, session_cookie, sign_in, wait_for_cookie

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


def signed_in_as(page: Page, username: str) -> None:
    expect(page.get_by_role("button", name=username)).to_be_visible()


def sign_in_form(page: Page) -> None:
    expect(page.get_by_label("E-mail address")).to_be_visible()


@pytest.fixture(scope="module")
def ann(app: RunningApp) -> str:
    return app.add_account("ann@example.com")


@pytest.fixture
def signed_in(app: RunningApp, ann: str, page: Page) -> Page:
    page.goto(f"{app.url}/Settings")
    sign_in(page, ann)
    signed_in_as(page, ann)
    return page


def test_after_signing_in_one_is_on_the_page_asked_for(signed_in):
    expect(signed_in.get_by_role("heading", name="Settings")).to_be_visible()
    assert signed_in.url.endswith("/Settings")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(signed_in):
    cookie = session_cookie(signed_in.context)
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["value"] not in signed_in.evaluate("document.cookie")


def test_the_log_tells_of_sign_ins_and_no_secret(app, ann, signed_in, chromium):
    stranger = chromium.new_context(locale="en-US").new_page()
    stranger.goto(app.url + "/Chat")
    fill_sign_in(stranger, ann, "not the password at all")
    expect(stranger.get_by_role("alert")).to_be_visible()
    stranger.context.close()
    log = app.log.read_text()
    assert f"signed in: {ann}" in log
    assert "password refused" in log
    for secret in (PASSWORD, "not the password at all", session_cookie(signed_in.context)["value"]):
        assert secret not in log


def test_reload_a_new_tab_and_another_page_stay_signed_in(app, ann, signed_in, context):
    signed_in.reload()
    signed_in_as(signed_in, ann)
    tab = context.new_page()
    tab.goto(app.url)
    signed_in_as(tab, ann)
    tab.get_by_role("link", name="Settings").click()
    expect(tab.get_by_role("heading", name="Settings")).to_be_visible()
    signed_in_as(tab, ann)


def test_signing_out_ends_every_tab_and_a_copied_cookie(app, ann, signed_in, context, chromium):
    tab = context.new_page()
    tab.goto(app.url)
    signed_in_as(tab, ann)
    copied = context.cookies()

    signed_in.get_by_role("button", name=ann).click()
    signed_in.get_by_role("button", name="Sign out").click()
    sign_in_form(signed_in)
    wait_for_cookie(signed_in, present=False)

    sign_in_form(tab)  # though nobody has touched it
    signed_in.reload()
    sign_in_form(signed_in)

    thief = chromium.new_context(locale="en-US")
    thief.add_cookies(copied)
    stolen = thief.new_page()
    stolen.goto(app.url)
    sign_in_form(stolen)
    for page in (signed_in, tab, stolen):
        expect(page.get_by_role("button", name=ann)).to_have_count(0)
    thief.close()


def test_one_can_sign_in_again_where_one_has_signed_out(app, ann, signed_in):
    signed_in.get_by_role("button", name=ann).click()
    signed_in.get_by_role("button", name="Sign out").click()
    sign_in_form(signed_in)
    wait_for_cookie(signed_in, present=False)
    sign_in(signed_in, ann)
    signed_in_as(signed_in, ann)
    signed_in.reload()
    expect(signed_in.get_by_role("button", name=ann)).to_be_visible()


def test_a_new_password_signs_out_the_other_browsers_and_not_this_one(app, page, chromium):
    name = app.add_account("bob@example.com", must_change_password=True)
    elsewhere = chromium.new_context(locale="en-US").new_page()
    for one in (page, elsewhere):
        one.goto(app.url)
        sign_in(one, name)
        expect(one.get_by_role("heading", name="Choose your password")).to_be_visible()
    page.get_by_label("Current password").and_(page.locator("input")).fill(PASSWORD)
    page.get_by_label("New password", exact=True).and_(page.locator("input")).fill("another good one")
    page.get_by_label("New password, once more").and_(page.locator("input")).fill("another good one")
    page.get_by_role("button", name="Change password").click()
    signed_in_as(page, name)
    page.reload()
    signed_in_as(page, name)
    elsewhere.reload()
    sign_in_form(elsewhere)
    elsewhere.context.close()


def test_the_language_chosen_before_signing_in_lasts(app, ann, page):
    page.goto(f"{app.url}/Chat")
    page.get_by_role("radio", name="中文").click()
    expect(page.get_by_label("邮箱地址")).to_be_visible()
    page.get_by_role("radio", name="深色").click()  # loads the page anew
    expect(page.get_by_role("radio", name="深色")).to_be_checked()
    expect(page.get_by_label("邮箱地址")).to_be_visible()
    sign_in(page, ann)
    page.goto(f"{app.url}/Chat")
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    page.context.add_cookies([{"name": "codecoach_language", "value": "xx<script>", "url": app.url}])
    page.reload()
    expect(page.get_by_role("button", name="New conversation")).to_be_visible()


def test_the_chosen_theme_lasts_and_holds_on_every_page(app, ann, signed_in):
    background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    light = signed_in.evaluate(background)
    signed_in.get_by_role("button", name=ann).click()
    with signed_in.expect_navigation():
        signed_in.get_by_role("radio", name="Dark").click()
    signed_in_as(signed_in, ann)
    dark = signed_in.evaluate(background)
    assert dark != light
    signed_in.goto(app.url)
    signed_in_as(signed_in, ann)
    assert signed_in.evaluate(background) == dark


def test_nothing_is_fetched_from_elsewhere_and_no_address_holds_the_session(app, ann, page):
    asked: list[str] = []
    connected: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: connected.append(socket.url))
    page.goto(app.url)
    sign_in(page, ann)
    signed_in_as(page, ann)
    page.goto(f"{app.url}/Settings")
    signed_in_as(page, ann)
    assert [url for url in asked if not url.startswith((app.url, "data:", "blob:"))] == []
    sid = session_cookie(page.context)["value"].split(".")[0]
    assert connected
    assert [url for url in (*asked, *connected, page.url) if sid in url] == []


def test_the_routes_refuse_whoever_is_not_our_page(app):
    def status(path: str, headers: dict[str, str], body: object) -> int:
        request = urllib.request.Request(app.url + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    ours = {"x-codecoach": "1"}
    assert status("/auth/start", {}, {"ticket": "x"}) == 403
    assert status("/auth/end", {}, {}) == 403
    assert status("/auth/start", ours, {"ticket": "made up"}) == 403
    assert status("/auth/start", ours, {}) == 400
    assert status("/auth/start", ours, ["x"]) == 400
    assert status("/auth/end", ours, {}) == 200


def test_health_says_how_the_parts_are_and_no_secrets(app):
    with urllib.request.urlopen(f"{app.url}/healthz", timeout=10) as response:
        health = json.load(response)
    assert health["status"] in ("ok", "degraded")
    assert set(health["parts"]) == {"model", "store", "runner"}
    assert str(app.data_dir) not in json.dumps(health)


@pytest.mark.parametrize("path", ["/", "/Settings", "/healthz"])
def test_other_sites_cannot_frame_the_app(app, path):
    with urllib.request.urlopen(app.url + path, timeout=10) as response:
        assert response.headers["x-frame-options"] == "SAMEORIGIN"
        assert response.headers["x-content-type-options"] == "nosniff"
