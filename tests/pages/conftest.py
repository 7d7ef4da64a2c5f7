"""Pages drawn without a browser: the real services on a store of their own, with a model that says what a test tells it to."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.chat.messages import Usage
from codecoach.errors import CodeCoachError, ModelUnavailable, StoreUnavailable
from codecoach.i18n import Notice
from codecoach.models.port import Finished, ModelCard, ModelEvent, ModelRequest, TextDelta
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.ui import session
from codecoach.ui.passwords import hash_password

ROOT = Path(__file__).parents[2]
PAGES = {"Home": "Home.py"} | {file.stem: f"pages/{file.name}" for file in sorted((ROOT / "pages").glob("*.py"))}
PASSWORD = "a good password"
# bcrypt is slow on purpose: hashed once for all tests.
PASSWORD_HASH = hash_password(PASSWORD)


class QueuedModel:
    """A model that gives the queued replies, one a call: a text, or an error to raise."""

    def __init__(self) -> None:
        self.replies: deque[str | CodeCoachError] = deque()
        self.asked: list[str] = []

    def stream(self, request: ModelRequest) -> Iterator[ModelEvent]:
        self.asked.append(request.model_id)
        reply = self.replies.popleft() if self.replies else "Hello."
        if isinstance(reply, CodeCoachError):
            raise reply
        yield TextDelta(reply)
        yield Finished("end_turn", Usage(7, 3))


class ListedModels:
    """A directory of two models, which in `trouble` it only guesses, or one that does not answer."""

    def __init__(self) -> None:
        self.answers = True
        self.trouble: CodeCoachError | None = None

    def cards(self) -> tuple[ModelCard, ...]:
        if not self.answers:
            raise ModelUnavailable(detail="connection refused")
        return (
            ModelCard("first.model-v1", "First Model", "Acme", state="active", context_tokens=200_000, vision=True),
            ModelCard("second.model-v1", "Second Model", "Acme", state="legacy", end_of_life="2027-01-31"),
        )

    def why_unlisted(self) -> CodeCoachError | None:
        return self.trouble

    def notes(self) -> tuple[Notice, ...]:
        return ()

    def ping(self) -> None:
        self.cards()


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    made = Services(Settings(data_dir=tmp_path, cache_dir=tmp_path))
    made.__dict__ |= {"model": QueuedModel(), "directory": ListedModels()}
    session.install(made)
    yield made
    session.install(None)
    made.close()


@pytest.fixture
def user(services: Services) -> str:
    return services.accounts.create("ann@example.com", PASSWORD_HASH).username


@pytest.fixture
def admin(services: Services) -> str:
    return services.accounts.create("root@example.com", PASSWORD_HASH, ("admin",)).username


class DeadTable:
    """A store that does not answer."""

    def __getattr__(self, name: str):
        def refuse(*args, **kwargs):
            raise StoreUnavailable(detail="connection refused")

        return refuse

    def close(self) -> None:
        """Nothing is open."""


def lose_store(services: Services) -> None:
    without = Services(services.settings)
    without.__dict__ |= {"table": DeadTable(), "model": services.model, "directory": services.directory}
    session.install(without)


def open_page(page: str, sid: str | None = None, locale: str = "en-US") -> AppTest:
    """Open a page as a browser would that holds this sign-in, or none."""
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    test.context = {"locale": locale}
    if sid:
        test.session_state["codecoach.sid"] = sid
    if page != "Home":
        test.switch_page(PAGES[page])
    return test.run()


def texts(test: AppTest) -> str:
    """Everything a page says, as one text."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "text", "error", "warning", "success", "info")
    said = [element.value for kind in kinds for element in getattr(test, kind)]
    return "\n".join([*said, *(button.label for button in test.button)])
