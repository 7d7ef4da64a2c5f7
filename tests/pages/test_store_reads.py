"""How often pages ask the store, whatever a user has; and that what they remember of it is never wrong for long."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.store_reads import LITTLE, MUCH, SCENES, Amount, Furnished, Watched, again, furnish, opened
from codecoach.chat.messages import Message, MessageState, Role
from codecoach.errors import StoreUnavailable
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations
from codecoach.store.owned import OwnedTable
from codecoach.store.remembering import AGE_S, Remembering
from codecoach.store.sqlite import SqliteTable
from codecoach.ui import session
from tests.pages.conftest import PASSWORD_HASH, ListedModels, QueuedModel, texts
from tests.pages.test_chat_page import ask, chat, labels, press

ANN = "ann@example.com"


class Clock:
    """The clock of the memory: real time, or one that stands, later than any real one; both go on when told to."""

    def __init__(self, stands: bool) -> None:
        self.ahead_s = 0.0
        self._stands_at = time.monotonic() + 1e6 if stands else None

    def __call__(self) -> float:
        return (self._stands_at or time.monotonic()) + self.ahead_s


class LosableTable(Watched):
    """A watched table that may stop answering."""

    away = False

    def _read(self, what: str, partition: str, sort: str) -> None:
        if self.away:
            raise StoreUnavailable(detail="no answer")
        super()._read(what, partition, sort)


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[Amount, tuple[Path, Furnished]]:
    """A store for each amount, furnished once."""
    made: dict[Amount, tuple[Path, Furnished]] = {}
    for amount in (LITTLE, MUCH):
        path = tmp_path_factory.mktemp("store") / "codecoach.sqlite"
        services = Services(Settings(data_dir=path.parent))
        services.accounts.create(ANN, PASSWORD_HASH, ("admin",))
        made[amount] = path, furnish(services, ANN, amount)
        services.close()
    return made


def served(path: Path, clock: Clock) -> tuple[Services, LosableTable]:
    """A process of ours over a store."""
    watched = LosableTable(SqliteTable(path))
    services = Services(Settings(data_dir=path.parent, cache_dir=path.parent))
    services.__dict__ |= {
        "table": OwnedTable(Remembering(watched, clock)),
        "model": QueuedModel(),
        "directory": ListedModels(),
    }
    return services, watched


@pytest.fixture
def clock() -> Clock:
    return Clock(stands=False)


@pytest.fixture
def process(tmp_path, clock, monkeypatch) -> Iterator[tuple[Services, LosableTable]]:
    monkeypatch.chdir(tmp_path)
    services, watched = served(tmp_path / "codecoach.sqlite", clock)
    services.accounts.create(ANN, PASSWORD_HASH)
    session.install(services)
    yield services, watched
    session.install(None)
    services.close()
    watched.table.close()


@pytest.fixture
def services(process) -> Services:
    return process[0]


@pytest.fixture
def elsewhere(process, tmp_path) -> Iterator[Conversations]:
    """The conversations as another process has them."""
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield Conversations(Remembering(table))
    table.close()


@pytest.fixture
def sid(services) -> str:
    return services.sign_ins.open(ANN)


GROWING = ("Chat", "Chat, a conversation with runs", "Editor, a program with runs", "Prompt Lab, test set")


@pytest.mark.parametrize(
    ("name", "amount"),
    [*((name, MUCH) for name in SCENES), *((name, LITTLE) for name in GROWING)],
    ids=lambda value: value if isinstance(value, str) else f"{value.conversations} conversations",
)
def test_opening_a_page_takes_few_reads_and_a_rerun_none(stores, tmp_path, monkeypatch, name, amount):
    monkeypatch.chdir(tmp_path)
    path, furnished = stores[amount]
    # On a machine so slow that a script run takes longer than the memory keeps, nothing else would be found out.
    services, watched = served(path, Clock(stands=True))
    session.install(services)
    try:
        test, opening = opened(SCENES[name], services.sign_ins.open(ANN), furnished, watched)
        rerun = again(test, watched)
    finally:
        session.install(None)
        services.close()
        watched.table.close()
    assert not test.exception
    assert not test.error
    assert opening.of_page or not SCENES[name].opening  # else nothing was watched
    assert opening.of_page <= SCENES[name].opening, f"opening: {opening}"
    assert rerun.of_page == 0, f"rerun: {rerun}"
    assert opening.writes == rerun.writes == 0


def test_what_another_process_changed_is_shown_at_once_after_f5_and_else_after_a_while(services, sid, elsewhere, clock):
    made = services.conversations.create(ANN, "code_coach", title="Before")
    test = chat(sid, made.id)
    elsewhere.rename(ANN, made.id, "After")
    assert "After" in labels(chat(sid, made.id))
    clock.ahead_s += AGE_S
    assert "After" in labels(test.run())
    assert "Before" not in labels(test)


def test_what_one_tab_does_another_tab_of_the_same_process_shows_at_once(services, sid):
    one, other = chat(sid), chat(sid)
    ask(one, "What is new?")
    assert "What is new?" in labels(other.run())
    made = services.conversations.list(ANN).conversations[0]
    services.conversations.delete(ANN, made.id)
    assert "What is new?" not in labels(other.run())
    assert "What is new?" not in labels(one.run())
    assert "does not exist" in texts(one)


def test_what_is_said_in_a_conversation_deleted_by_another_process_is_told_and_it_is_shown_no_more(
    services, sid, elsewhere
):
    ask(chat(sid), "What is new?")
    made = services.conversations.list(ANN).conversations[0]
    test = chat(sid, made.id)
    elsewhere.delete(ANN, made.id)
    test = ask(test, "And now?")
    assert "no longer there" in test.error[0].value
    assert "What is new?" not in labels(test)
    assert not test.chat_message
    assert test.chat_input[0].proto.value == "And now?"


def test_what_another_process_writes_never_loses_words_again_and_is_whole_as_soon_as_it_is(services, sid, elsewhere):
    made = services.conversations.create(ANN, "code_coach", title="Count")
    reply = Message(
        elsewhere.new_message_id(), Role.ASSISTANT, "One", datetime.now(UTC), MessageState.STREAMING, "acme.model"
    )
    elsewhere.save(made.id, reply)
    chat_opened = threading.Event()

    def write() -> None:
        assert chat_opened.wait(60)
        elsewhere.save(made.id, replace(reply, text="One, two"))
        elsewhere.save(made.id, replace(reply, text="One, two, three.", state=MessageState.COMPLETE))

    writer = threading.Thread(target=write)
    writer.start()
    services.conversations.get_message = _announcing(services.conversations.get_message, chat_opened)
    test = chat(sid, made.id)
    writer.join(60)
    assert "One, two, three." in texts(test)
    chat_opened.clear()
    test.run()
    assert "One, two, three." in texts(test)
    assert not chat_opened.is_set(), "the page followed a reply that was whole already"


def _announcing(ask_store, asked: threading.Event):
    """The same call, which says that it was made: the page has read what there was, and follows it."""

    def call(*args):
        asked.set()
        return ask_store(*args)

    return call


def test_a_store_that_is_away_is_told_once_the_page_would_be_too_old_and_is_asked_again(process, sid, clock):
    services, watched = process
    ask(chat(sid), "What is new?")
    test = chat(sid, services.conversations.list(ANN).conversations[0].id)
    watched.away = True
    clock.ahead_s += AGE_S
    test.run()
    assert len(test.error) == 1
    watched.away = False
    test = press(test, "Look again")
    assert not test.error
    assert "Hello." in texts(test)


def test_two_users_on_one_process_see_their_own(services, sid):
    services.accounts.create("bob@example.com", PASSWORD_HASH)
    bobs = services.sign_ins.open("bob@example.com")
    ask(chat(sid), "Of Ann")
    ask(chat(bobs), "Of Bob")
    assert [label for label in labels(chat(sid)) if label.startswith("Of ")] == ["Of Ann"]
    assert [label for label in labels(chat(bobs)) if label.startswith("Of ")] == ["Of Bob"]
    foreign = services.conversations.list(ANN).conversations[0].id
    assert "does not exist" in texts(chat(bobs, foreign))


def test_the_page_of_a_reply_just_written_needs_no_more_than_a_new_look_at_what_was_written(process, sid):
    _, watched = process
    test: AppTest = ask(chat(sid), "What is new?")
    noted = again(test, watched)
    assert noted.of_page <= 2, f"{noted}"
    assert again(test, watched).of_page == 0
