"""The instance whose page stands open is replaced: the page goes on at another one by itself, and nobody loses an answer."""

import os
import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from codecoach.local.scripted import Script, ScriptedServer
from tests.deploy.person import counting
from tests.deploy.sticky_proxy import COOKIE, StickyProxy

from .conftest import WAIT_MS, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
WORDS = 150


def test_a_page_goes_on_at_another_instance_when_its_own_is_told_to_end(tmp_path: Path, page: Page):
    with ScriptedServer(Script(default=counting(WORDS, 0.1))) as bedrock:
        apps = [start_app(tmp_path, bedrock_endpoint_url=bedrock.url, drain_s="120") for _ in range(2)]
        proxy = StickyProxy([int(app.url.rpartition(":")[2]) for app in apps])
        try:
            apps[0].add_account("ann@example.com")
            page.goto(f"{proxy.url}/Chat")
            sign_in(page, "ann@example.com")
            asked = page.get_by_test_id("stChatInputTextArea")
            asked.fill("Please count.")
            asked.press("Enter")
            main = page.get_by_test_id("stMainBlockContainer")
            expect(main).to_contain_text("word-30 ")
            page.evaluate("window.neverLoadedAgain = true")
            asked.fill("Once more, please.")
            (chosen,) = (cookie["value"] for cookie in page.context.cookies() if cookie["name"] == COOKIE)
            own = apps[int(chosen)].process
            os.kill(own.pid, signal.SIGTERM)
            expect(main).to_contain_text(f"word-{WORDS - 1}")
            expect(page.get_by_role("dialog")).to_have_count(0)
            assert page.evaluate("window.neverLoadedAgain") is True
            own.wait(WAIT_MS / 1000)
            expect(asked).to_have_value("Once more, please.")
            asked.press("Enter")
            expect(main).to_contain_text(re.compile("word-30 .*word-30 "))
        finally:
            proxy.close()
            for app in apps:
                stop_app(app)
