"""With an AWS account everything that is kept is in DynamoDB, and Bedrock answers: the same app, other settings."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from codecoach.local.scripted import ScriptedServer
from codecoach.services import DATABASE
from tests import moto_server

from .conftest import RunningApp, fill_sign_in, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

ADMIN = "admin@demo.com"
CHOSEN = "one of my own"


@pytest.fixture
def aws() -> Iterator[str]:
    with moto_server.running() as url:
        yield url


def start(folder: Path, aws: str, bedrock: ScriptedServer) -> RunningApp:
    folder.mkdir()
    credentials = ("AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY=example", f"AWS_ENDPOINT_URL_STS={aws}")
    return start_app(
        folder,
        within=("env", *credentials),
        backend="aws",
        table="people",
        dynamodb_endpoint_url=aws,
        bedrock_endpoint_url=bedrock.url,
        bedrock_control_endpoint_url=bedrock.url,
    )


def test_what_was_said_on_one_instance_is_there_on_another(aws, bedrock, page: Page, tmp_path):
    first = start(tmp_path / "first", aws, bedrock)
    try:
        told = re.search(r"one-time password (\S+)", first.log.read_text())
        assert told
        page.goto(first.url)
        fill_sign_in(page, ADMIN, told[1])
        page.get_by_label("Current password").fill(told[1])
        page.get_by_label("New password", exact=True).fill(CHOSEN)
        page.get_by_label("New password, once more").fill(CHOSEN)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_text("DynamoDB")).to_be_visible()
        page.get_by_role("link", name="Chat").click()
        bedrock.engine.say("Bedrock says hello.")
        page.get_by_placeholder("Ask for code").fill("Say hello")
        page.get_by_placeholder("Ask for code").press("Enter")
        expect(page.get_by_text("Bedrock says hello.")).to_be_visible()
        expect(page.get_by_role("button", name="Write it again")).to_be_visible()
        assert not (first.data_dir / DATABASE).exists()
    finally:
        stop_app(first)

    second = start(tmp_path / "second", aws, bedrock)
    try:
        assert "one-time password" not in second.log.read_text()
        page.context.clear_cookies()
        page.goto(f"{second.url}/Chat")
        sign_in(page, ADMIN, CHOSEN)
        page.get_by_role("button", name="Say hello").click()
        expect(page.get_by_text("Bedrock says hello.")).to_be_visible()
        page.get_by_role("link", name="Settings").click()
        page.get_by_test_id("stMain").get_by_text("Account", exact=True).click()
        expect(page.get_by_text("arn:aws:")).to_be_visible()
    finally:
        stop_app(second)
