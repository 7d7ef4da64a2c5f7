"""The app in a real Chromium: a process of its own on a free port, with a store of its own."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from codecoach.local.scripted import ScriptedServer
from codecoach.services import DATABASE
from codecoach.store.accounts import Accounts
from codecoach.store.sqlite import SqliteTable
from codecoach.ui.passwords import hash_password
from codecoach.ui.session import COOKIE

ROOT = Path(__file__).parents[2]
PASSWORD = "a good password"
START_S = 180
# Nothing is proved by how soon it comes: on a busy machine a page takes many seconds.
WAIT_MS = 90_000
expect.set_options(timeout=WAIT_MS)


@dataclass
class RunningApp:
    """The app as people meet it. `log` is what it wrote."""

    url: str
    data_dir: Path
    log: Path
    process: subprocess.Popen

    def add_account(self, username: str, roles: tuple[str, ...] = (), must_change_password: bool = False) -> str:
        """Make an account whose password is `PASSWORD`."""
        table = SqliteTable(self.data_dir / DATABASE)
        try:
            Accounts(table).create(username, hash_password(PASSWORD), roles, must_change_password)
        finally:
            table.close()
        return username


@pytest.fixture(scope="package")  # not longer: while Playwright is on, no other test can run an event loop
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            # Nothing of Chromium's own may go out, and a container has neither GPU nor its kind of sandbox.
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-proxy-server"],
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has never been here, and speaks English."""
    fresh = chromium.new_context(locale="en-US", viewport={"width": 1400, "height": 900})
    fresh.set_default_timeout(WAIT_MS)
    yield fresh
    fresh.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def bedrock() -> Iterator[ScriptedServer]:
    """The model's endpoint: `bedrock.engine.say(...)` queues a reply."""
    with ScriptedServer() as server:
        yield server


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, bedrock: ScriptedServer) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("app")
    running = start_app(folder, bedrock_endpoint_url=bedrock.url)
    yield running
    stop_app(running)


def start_app(folder: Path, *, port: int = 0, within: tuple[str, ...] = (), **settings: str) -> RunningApp:
    """Start the app on a free port and wait until it serves; `settings` are CODECOACH_ variables.

    port    the port, where the settings speak of it
    within  the words of a command that becomes the one after it, in surroundings of its making
    """
    port = port or free_port()
    data_dir, log = folder / "data", folder / "app.log"
    data_dir.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CODECOACH_"))}
    environment |= {
        "CODECOACH_DATA_DIR": str(data_dir),
        **{f"CODECOACH_{name.upper()}": value for name, value in settings.items()},
    }
    command = [*within, sys.executable, "-m", "streamlit", "run", str(ROOT / "Home.py")]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    with log.open("ab") as output:
        # Not in the repository: a developer's own .env must not be read.
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    running = RunningApp(f"http://127.0.0.1:{port}", data_dir, log, process)
    try:
        _wait_until_it_serves(running)
    except BaseException:
        stop_app(running)
        raise
    return running


def stop_app(running: RunningApp) -> None:
    running.process.terminate()
    try:
        running.process.wait(15)
    except subprocess.TimeoutExpired:
        running.process.kill()
        running.process.wait()


def fill_sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill in the sign-in form that the page shows, in either language, and send it."""
    page.get_by_label(re.compile("E-mail address|邮箱地址")).fill(username)
    page.get_by_role("textbox", name=re.compile("^(Password|密码)$")).fill(password)
    page.get_by_role("button", name=re.compile("^(Sign in|登录)$")).click()


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Sign in and wait for the cookie: the browser fetches it in the background, and a page opened before has no session."""
    fill_sign_in(page, username, password)
    wait_for_cookie(page, present=True)


def enter_editor(page: Page) -> None:
    """Put the cursor into the code editor, once what makes Ctrl+Enter run stands beside it: on a busy machine that takes a while."""
    page.wait_for_function("() => document.querySelector('.st-key-code-editor iframe')?.contentWindow?.codecoach")
    page.frame_locator(".st-key-code-editor iframe").locator(".ace_content").first.click()


def session_cookie(context: BrowserContext) -> dict | None:
    return next((cookie for cookie in context.cookies() if cookie["name"] == COOKIE), None)


def wait_for_cookie(page: Page, present: bool) -> None:
    for _ in range(WAIT_MS // 50):
        if (session_cookie(page.context) is not None) == present:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"session cookie {'missing' if present else 'still there'}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_serves(running: RunningApp) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert running.process.poll() is None, f"the app ended: {running.log.read_text()}"
        try:
            with urllib.request.urlopen(f"{running.url}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the app does not serve: {running.log.read_text()}")
