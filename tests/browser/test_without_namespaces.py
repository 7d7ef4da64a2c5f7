"""Where the machine allows no user namespaces, that is said with the command that allows them, and all else works."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from codecoach.local.scripted import ScriptedServer

from .conftest import RunningApp, sign_in, start_app, stop_app

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

# The setting is each namespace's own: inside a new one it can be nought, as an ordinary user finds it on such a machine.
FORBID = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all -- "$@"'
WITHIN = ("unshare", "--user", "--map-user=1000", "--keep-caps", "sh", "-c", FORBID, "sh")
ALLOW = "sudo sysctl -w user.max_user_namespaces=15000"


@pytest.fixture(scope="module")
def forbidden(tmp_path_factory: pytest.TempPathFactory, bedrock: ScriptedServer) -> Iterator[RunningApp]:
    if not shutil.which("bwrap") or subprocess.run([*WITHIN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no bubblewrap, or no namespace can be made here in which there are no others")
    running = start_app(tmp_path_factory.mktemp("app"), within=WITHIN, bedrock_endpoint_url=bedrock.url)
    running.add_account("ann@example.com")
    yield running
    stop_app(running)


def test_the_app_says_what_allows_programs_to_run_and_answers_all_the_same(forbidden, bedrock, page: Page):
    page.goto(forbidden.url)
    sign_in(page, "ann@example.com")
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text(ALLOW)).to_be_visible()
    expect(main.get_by_text("Does not work")).to_have_count(1)
    page.get_by_role("link", name="Settings").first.click()
    main.get_by_text("State", exact=True).click()
    expect(main.get_by_text(ALLOW).first).to_be_visible()

    page.get_by_role("link", name="Chat").click()
    bedrock.engine.say("Here:\n\n```python\nprint(1)\n```\n\nThat was it.")
    page.get_by_placeholder("Ask for code").fill("Some code")
    page.get_by_placeholder("Ask for code").press("Enter")
    expect(page.get_by_text("That was it.")).to_be_visible()
    run = page.get_by_role("button", name="Run", exact=True)
    expect(run).to_be_disabled()
    run.hover(force=True)
    expect(page.get_by_text(ALLOW)).to_be_visible()

    page.get_by_role("button", name="Open in Editor").click()
    expect(page.frame_locator(".st-key-code-editor iframe").locator(".ace_content").first).to_contain_text("print(1)")
    expect(run).to_be_disabled()
    bedrock.engine.say("It prints one.")
    main.get_by_role("button", name="Explain").click()
    expect(main.get_by_text("It prints one.")).to_be_visible()
