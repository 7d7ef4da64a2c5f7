"""Sign-in through a real OpenID provider, which runs as a process of its own: it ends in our sign-in, and ends with it for good."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from codecoach.local.scripted import ScriptedServer
from codecoach.services import DATABASE
from codecoach.store.accounts import Accounts
from codecoach.store.sqlite import SqliteTable

from .conftest import START_S, RunningApp, free_port, session_cookie, start_app, stop_app, wait_for_cookie

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

SECRET = "the secret that the provider gave us"
NEW, OTHER, CLOSED, UNVERIFIED = "new@example.com", "ann@elsewhere.com", "closed@example.com", "who@example.com"
# Streamlit's own, which vouches for its user until it is gone.
PROVIDERS_WORD = "_streamlit_user"


@dataclass
class Provider:
    url: str

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """Of its users each signs in by a click on his name."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    for address in (NEW, OTHER, CLOSED, UNVERIFIED):
        claims = {"sub": address, "email": address, "email_verified": address != UNVERIFIED}
        command += ["--user-claims", json.dumps(claims)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running = Provider(f"http://127.0.0.1:{port}")
    try:
        wait_until_it_answers(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(30)


def wait_until_it_answers(provider: Provider, process: subprocess.Popen) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, "the provider ended"
        try:
            with urllib.request.urlopen(provider.metadata_url, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the provider does not answer")


@pytest.fixture(scope="module")
def app(provider: Provider, bedrock: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    port = free_port()
    running = start_app(
        tmp_path_factory.mktemp("openid"),
        port=port,
        bedrock_endpoint_url=bedrock.url,
        public_url=f"http://127.0.0.1:{port}",
        oidc_metadata_url=provider.metadata_url,
        oidc_client_id="codecoach",
        oidc_client_secret=SECRET,
        oidc_label="Example Ltd",
        oidc_domains="example.com",
    )
    yield running
    stop_app(running)


def go_to_the_provider(page: Page) -> None:
    page.get_by_role("button", name="Sign in with Example Ltd").click()
    expect(page.get_by_role("heading", name="Authorize Client")).to_be_visible()


def come_in_as(page: Page, address: str) -> None:
    go_to_the_provider(page)
    page.get_by_role("button", name=address, exact=True).click()


def signed_in_as(page: Page, address: str) -> None:
    expect(page.get_by_role("button", name=address)).to_be_visible()


def refused(page: Page, why: str) -> None:
    """The form says why, and nobody is signed in."""
    expect(page.get_by_role("alert").get_by_text(why)).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    assert session_cookie(page.context) is None


def cookie_names(context: BrowserContext) -> set[str]:
    return {cookie["name"] for cookie in context.cookies()}


def test_somebody_new_comes_in_stays_over_a_reload_and_is_gone_after_signing_out(app, page: Page, chromium):
    page.goto(f"{app.url}/Settings")
    come_in_as(page, NEW)
    signed_in_as(page, NEW)
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert page.url == f"{app.url}/Settings"
    wait_for_cookie(page, present=True)
    assert "_streamlit_user_tokens" not in cookie_names(page.context)
    copied = [cookie for cookie in page.context.cookies() if cookie["name"].startswith("_streamlit")]

    page.reload()
    signed_in_as(page, NEW)

    page.get_by_role("button", name=NEW).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    wait_for_cookie(page, present=False)
    # What is proved next would be nothing if the provider's word were gone by itself.
    assert PROVIDERS_WORD in cookie_names(page.context)
    page.reload()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert session_cookie(page.context) is None

    thief = chromium.new_context(locale="en-US")
    thief.add_cookies(copied)
    stolen = thief.new_page()
    stolen.goto(app.url)
    expect(stolen.get_by_label("E-mail address")).to_be_visible()
    assert session_cookie(thief) is None
    thief.close()


def test_others_are_told_why_they_do_not_come_in(app, page: Page):
    app.add_account(CLOSED)
    table = SqliteTable(app.data_dir / DATABASE)
    Accounts(table).set_disabled(CLOSED, True)
    table.close()

    page.goto(app.url)
    come_in_as(page, OTHER)
    refused(page, "There is no account for")
    page.reload()
    expect(page.get_by_label("E-mail address")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    come_in_as(page, CLOSED)
    refused(page, "is disabled")
    come_in_as(page, UNVERIFIED)
    refused(page, "has not verified")
    go_to_the_provider(page)
    page.get_by_role("button", name="Deny").click()
    refused(page, "was cancelled")

    page.goto(app.url.replace("127.0.0.1", "localhost"))
    page.get_by_role("button", name="Sign in with Example Ltd").click()
    refused(page, "works at")

    table = SqliteTable(app.data_dir / DATABASE)
    names = [account.username for account in Accounts(table).all()]
    table.close()
    assert OTHER not in names
    assert UNVERIFIED not in names


def test_the_log_holds_no_secret(app):
    log = app.log.read_text()
    assert f"signed in: {NEW}" in log
    assert "no_account" in log
    assert SECRET not in log
    assert "Traceback" not in log
