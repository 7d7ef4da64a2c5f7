"""A day of work at DEBUG: sign-in, questions, programs, repairs, the Prompt Lab, a failing model and a failing store. The log tells
of it, and neither a secret nor a word that anybody wrote stands in it.
"""

import io
import logging
from collections.abc import Iterator

import pytest

from codecoach import logs
from codecoach.errors import StoreUnavailable
from codecoach.i18n import Language
from codecoach.lab.sheet import Sheet
from codecoach.local.scripted import ScriptedServer
from codecoach.models import payloads
from codecoach.runner.port import File, RunEvent, RunRequest, RunResult, RunStatus, StageResult
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store.programs import SourceFile
from codecoach.ui import session
from tests.bedrock import CLAUDE_3
from tests.pages.conftest import PASSWORD_HASH, open_page
from tests.replies import eventually

WRITTEN = {
    name: f"canary-{name}-7f3a"
    for name in ("password", "prompt", "answer", "code", "output", "lab", "lab-answer", "file", "title", "tampered")
}
MODEL = "us.anthropic.claude-haiku-5-5"


class Printing:
    """A runner whose programs fail and print what they should not."""

    def runtimes(self):
        return ()

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        yield RunResult(RunStatus.FAILED, StageResult(1, None, WRITTEN["output"], WRITTEN["output"], False, 0.1))

    def cancel(self, job_id: str) -> None:
        """It has ended."""


@pytest.fixture
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def work(tmp_path, bedrock, monkeypatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    made = Services(
        Settings(data_dir=tmp_path, cache_dir=tmp_path, bedrock_endpoint_url=bedrock.url, log_level="DEBUG")
    )
    made.__dict__ |= {"runner": Printing(), "my_aws": None}
    session.install(made)
    yield made
    session.install(None)
    made.close()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root, ours = logging.getLogger(), logging.getLogger("codecoach")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    logs.configure("DEBUG", "json", stream)
    yield stream
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def sign_in(work: Services) -> str:
    work.accounts.create("ann@example.com", PASSWORD_HASH)
    test = open_page("Home")
    test.text_input(key="signin-username").set_value(WRITTEN["password"])  # typed into the wrong field
    test.text_input(key="signin-password").set_value(WRITTEN["password"])
    test.button[0].click().run()
    assert test.error
    return work.sign_ins.open("ann@example.com")


def chat(work: Services, bedrock: ScriptedServer) -> None:
    conversation = work.conversations.create("ann@example.com", "code_coach", WRITTEN["title"])
    bedrock.engine.say(f"{WRITTEN['answer']}\n\n```python\n{WRITTEN['code']}\n```")
    assert work.coach.ask(conversation, WRITTEN["prompt"], MODEL).join(60)
    bedrock.engine.fail("ValidationException", f"messages.0.content: {WRITTEN['prompt']}")
    failed = work.coach.ask(conversation, WRITTEN["prompt"], MODEL)
    assert failed.join(60)
    assert failed.snapshot().error


def run_and_fix(work: Services, bedrock: ScriptedServer) -> None:
    program = work.programs.create("ann@example.com", "python", (SourceFile("main.py", WRITTEN["code"]),))
    request = RunRequest("", "python", (File(f"{WRITTEN['file']}.py", WRITTEN["code"].encode()),))
    job = work.runs.start(program.id, request, session="ann@example.com")
    assert job.join(60)
    bedrock.engine.say(WRITTEN["answer"])
    assert work.fixer.fix(program, job.record, Language.EN, MODEL).join(60)


def try_prompts(work: Services, bedrock: ScriptedServer) -> None:
    bedrock.engine.say(WRITTEN["lab-answer"])
    sheet = Sheet(WRITTEN["lab"], model_id=CLAUDE_3)
    assert work.bench.submit("ann@example.com", "one", payloads.build(sheet)).join(60)


def lose_store(work: Services, bedrock: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args, **kwargs):
        raise StoreUnavailable(detail="connection refused")

    conversation = work.conversations.create("ann@example.com", "code_coach")
    bedrock.engine.say(" ".join([WRITTEN["answer"]] * 50), token_delay_s=0.01)
    writing = work.coach.ask(conversation, WRITTEN["prompt"], MODEL)
    with monkeypatch.context() as lost:
        lost.setattr(work.conversations, "save", away)
        writing.stop()
        assert writing.join(60)


def test_a_day_of_work_leaves_no_secret_and_nothing_anybody_wrote_in_the_log(work, bedrock, log, monkeypatch):
    sid = sign_in(work)
    ticket = work.sign_ins.issue_ticket(sid)
    page = open_page("1_Chat", sid)
    page.query_params["c"] = WRITTEN["tampered"]
    page.run()
    chat(work, bedrock)
    run_and_fix(work, bedrock)
    try_prompts(work, bedrock)
    lose_store(work, bedrock, monkeypatch)
    page.button(key="codecoach.sign_out").click().run()
    eventually(lambda: "signed out" in log.getvalue())
    told = log.getvalue()
    for secret in (*WRITTEN.values(), sid, ticket, PASSWORD_HASH):
        assert secret not in told
    for event in ("password refused", "model_refused", "could not be saved", "signed out: ann@example.com"):
        assert event in told
