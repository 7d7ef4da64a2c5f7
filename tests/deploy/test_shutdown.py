"""An app that is told to stop finishes or saves what it is doing, while another one takes over: an update nobody loses by."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
import requests

from benchmarks.app import cookie
from codecoach.chat.messages import MessageState, Role
from codecoach.local.scripted import Script, ScriptedServer
from codecoach.services import DATABASE
from codecoach.store.conversations import Conversations
from codecoach.store.programs import Programs, SourceFile
from codecoach.store.sqlite import SqliteTable
from codecoach.ui import programs, sidebar
from tests.browser.conftest import free_port, start_app, stop_app
from tests.deploy.person import WITHIN_S, Person, counted, counting, until
from tests.deploy.sticky_proxy import COOKIE, StickyProxy

ANN = "ann@example.com"
WORDS, WORD_S = 120, 0.1
STOP_AT = 30  # when so many of them have been seen
SLOW = "import time\nfor second in range(8):\n    print('second', second, flush=True)\n    time.sleep(1)\n"


@pytest.fixture
def bedrock():
    with ScriptedServer(Script(default=counting(WORDS, WORD_S))) as server:
        yield server


class Story:
    """Ann asks and runs a program at an app that is told to stop in the midst of both."""

    def __init__(self, table: SqliteTable) -> None:
        self.conversations, self.programs = Conversations(table), Programs(table)
        self.cookie = f"{cookie(table, ANN)}; {COOKIE}=0"
        self.program = self.programs.create(ANN, "python", (SourceFile("main.py", SLOW),))
        self.chat: Person | None = None

    async def begin(self, url: str) -> None:
        self.chat = Person(url, self.cookie, "Chat")
        editor = Person(url, self.cookie, "Editor", query=f"{programs.PARAMETER}={self.program.id}")
        await self.chat.open()
        await editor.open()
        await editor.press("editor:run")
        await until(lambda: any("second 0" in text for text in editor.texts), "the program does not begin")
        await self.chat.submit_chat("Please count.")
        await until(lambda: len(self.chat.seen) > STOP_AT, "the answer does not come")
        (conversation,) = self.conversations.list(ANN).conversations
        self.chat.query = f"{sidebar.PARAMETER}={conversation.id}"
        self.thread = conversation.id

    def reply(self):
        return next(m for m in self.conversations.messages(self.thread).messages if m.role is Role.ASSISTANT)

    def run(self):
        return next(iter(self.programs.runs(self.program.id)), None)


async def ended(app) -> None:
    """Wait until an app that was told to end has done so, of itself."""
    code = await asyncio.to_thread(app.process.wait, WITHIN_S)
    assert code in (0, -signal.SIGTERM)


def test_during_an_update_what_is_under_way_is_finished_and_everybody_is_answered(tmp_path: Path, bedrock):
    apps = [start_app(tmp_path, bedrock_endpoint_url=bedrock.url, drain_s="120") for _ in range(2)]
    table = SqliteTable(tmp_path / "data" / DATABASE)
    proxy = StickyProxy([int(app.url.rpartition(":")[2]) for app in apps])

    async def update(story: Story) -> None:
        await story.begin(proxy.url)
        os.kill(apps[0].process.pid, signal.SIGTERM)
        # Whoever comes now, or comes back, is served by the other one.
        await until(lambda: not serves(apps[0].url), "it goes on taking people in")
        assert apps[0].process.poll() is None
        again = Person(proxy.url, story.cookie, "Chat", query=story.chat.query)
        assert requests.get(f"{proxy.url}/healthz", headers={"Cookie": f"{COOKIE}=0"}, timeout=60).ok
        await again.open()
        await until(lambda: WORDS - 1 in again.seen, "the rest of the answer is not seen")
        assert again.seen.keys() == set(range(WORDS))
        assert not again.key("continue.")
        await ended(apps[0])
        assert (story.reply().state, story.reply().text.split()) == (MessageState.COMPLETE, counted(WORDS))
        assert (story.run().status, story.run().stdout.split()[-1]) == ("ok", "7")
        editor = Person(proxy.url, story.cookie, "Editor", query=f"{programs.PARAMETER}={story.program.id}")
        await editor.open()
        assert any("second 7" in text for text in editor.texts)
        for person in (again, editor, story.chat):
            await person.close()

    try:
        asyncio.run(update(Story(table)))
    finally:
        proxy.close()
        table.close()
        for app in apps:
            stop_app(app)


def serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize("drain_s", ["0", "1"])
def test_what_takes_too_long_is_saved_as_far_as_it_came(tmp_path: Path, bedrock, drain_s):
    figures = f"127.0.0.1:{free_port()}"
    app = start_app(tmp_path, bedrock_endpoint_url=bedrock.url, drain_s=drain_s, metrics=figures)
    table = SqliteTable(tmp_path / "data" / DATABASE)
    story = Story(table)

    async def cut() -> None:
        await story.begin(app.url)
        told = requests.get(f"http://{figures}/metrics", timeout=60).text.splitlines()
        for line in ("codecoach_replies_running 1.0", "codecoach_runs_running 1.0"):
            assert line in told
        seen = set(story.chat.seen)
        os.kill(app.process.pid, signal.SIGTERM)
        await ended(app)
        assert story.reply().state is MessageState.INTERRUPTED
        words = story.reply().text.split()
        assert words == counted(len(words))
        assert max(seen) < len(words) < WORDS
        assert story.run().status == "cancelled"
        assert "second 0" in story.run().stdout
        await story.chat.close()

    try:
        asyncio.run(cut())
    finally:
        table.close()
        stop_app(app)
