"""Too much of everything: long prompts, long lists, files made to hurt. Each is refused in words or bounded, and nothing is lost."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from codecoach.chat.messages import Conversation, Message, Role
from codecoach.coach.coach import Coach
from codecoach.coach.copilots import Copilots
from codecoach.coach.generation import Generations
from codecoach.errors import InputRefused, ItemRefused, ModelInputTooLong
from codecoach.settings import Settings
from codecoach.store.conversations import SEARCHED_CONVERSATIONS, SEARCHED_MESSAGES, Conversations, _head, _recent
from codecoach.store.port import Put
from codecoach.store.preferences import Preferences
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Template, Templates
from codecoach.ui import terminal
from codecoach.ui.lab.templates import imported
from codecoach.ui.markup import plain, readable
from tests.replies import ToldModel
from tests.unit.store_tables import WatchedTable

ANN = "ann@example.com"
MODEL = "anthropic.claude-haiku-5-5"
LOCAL = "local.qwen2.5-coder-1.5b-instruct"
MEGABYTE = 1_000_000
MEMORY = Path("/dev/shm")


@pytest.fixture
def table() -> Iterator[WatchedTable]:
    folder = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
    made = SqliteTable(Path(folder) / "codecoach.sqlite")
    yield WatchedTable(made)
    made.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("model", [MODEL, LOCAL])
@pytest.mark.parametrize(
    "text", ["word " * (2 * MEGABYTE), "密" * (4 * MEGABYTE), "`" * (10 * MEGABYTE), "\0" * (10 * MEGABYTE)]
)
def test_a_prompt_of_ten_megabytes_is_refused_before_anything_is_kept_or_sent(table, model, text):
    conversations, told = Conversations(table), ToldModel()
    coach = Coach(conversations, Generations(told, conversations), Settings(), Copilots(Templates(table)))
    conversation = conversations.create(ANN, "code_coach", "Mine")
    with pytest.raises(ModelInputTooLong):
        coach.ask(conversation, text, model)
    assert conversations.messages(conversation.id).messages == ()
    assert told.requests == []
    assert conversations.get(ANN, conversation.id) == conversation


def test_of_ten_thousand_conversations_a_page_and_a_search_read_a_bounded_part(table):
    conversations = Conversations(table)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    made = [
        Conversation(f"{number:024x}", ANN, f"Number {number}", "plain", begun, begun + timedelta(seconds=number), 1)
        for number in range(10_000)
    ]
    for start in range(0, len(made), 50):
        table.transact([Put(item, 0) for one in made[start : start + 50] for item in (_head(one), _recent(one))])
    for one in made[-11:]:
        for _ in range(100):
            message = Message(conversations.new_message_id(), Role.USER, "haystack", begun)
            conversations.save(one.id, message)
    table.reset()
    page = conversations.list(ANN, limit=20)
    assert page.conversations[0].title == "Number 9999"
    assert (table.calls, table.read) == (1, 20)
    table.reset()
    found = conversations.search(ANN, "needle")
    assert found.more
    assert table.read <= SEARCHED_CONVERSATIONS + SEARCHED_MESSAGES
    assert table.calls <= 1 + SEARCHED_CONVERSATIONS + SEARCHED_MESSAGES // 50
    assert [one.title for one in conversations.search(ANN, "number 9998").conversations] == ["Number 9998"]


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000,
        b'{"kind": "codecoach-templates", "templates": ' + b'[{"name": "x", "sheet": ' * 50_000,
        json.dumps({"kind": "codecoach-templates", "templates": [{"name": "x", "sheet": {"values": 1}}]}).encode(),
        b'{"kind": "codecoach-templates", "templates": [{"name": "x", "sheet": {"parameters": {"max_tokens": 1e999}}}]}',
        b'{"kind": "codecoach-templates", "templates": [{"name": "x", "sheet": {"parameters": {"max_tokens": '
        + b"9" * 10_000
        + b"}}}]}",
        b'{"kind": "codecoach-templates", "templates": [{"name": "\\ud800", "sheet": {}}]}',
        b'{"kind": "other", "kind": "codecoach-templates", "templates": 1}',
        b"PK\x03\x04" + b"\0" * 1000,
        b"\x1f\x8b" + b"\0" * 1000,
        b"\xff\xfe\x00",
        b"",
        b" " * (100 * MEGABYTE),
    ],
)
def test_an_import_that_is_no_export_of_ours_is_refused(data):
    with pytest.raises(InputRefused):
        imported(data)


def test_names_of_a_megabyte_are_refused_or_cut_and_what_was_there_stays(table):
    long = "n" * MEGABYTE
    conversations, templates, preferences = Conversations(table), Templates(table), Preferences(table)
    conversation = conversations.create(ANN, "plain", "Mine")
    with pytest.raises(ItemRefused):
        conversations.rename(ANN, conversation.id, long)
    assert conversations.get(ANN, conversation.id) == conversation
    with pytest.raises(InputRefused):
        templates.save(Template("", ANN, long))
    preferences.change(ANN, model_id="first")
    with pytest.raises(ItemRefused):
        preferences.change(ANN, model_id=long)
    with pytest.raises(ItemRefused):
        preferences.record_test(ANN, long)
    assert preferences.get(ANN).model_id == "first"
    assert preferences.tested_models(ANN) == {}


@pytest.mark.parametrize(
    "printed",
    [
        "\x1b]8;;http://tracker.test\x07click\x1b]8;;\x07",
        "\x1b]8;;http://tracker.test\x1b\\click\x1b]8;;\x1b\\",
        "\x1b]52;c;Y2xpcA==\x07click",
        "\x9d8;;http://tracker.test\x9cclick",
        "\x1b[2J\x1b[31mclick\x1b[0m",
        "\x1bP+q544e\x1b\\click",
    ],
)
def test_an_output_sets_no_links_no_clipboard_and_no_colours(printed):
    told = terminal.shown(printed).text
    assert "click" in told
    assert told.isprintable()
    assert "\x1b" not in told


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "`" * 100_001,
        "![" * 50_000,
        "](" * 50_000,
        "<a:" * 50_000,
        "[a](" * 50_000,
        ":a" * 50_000,
        "[https://" * 20_000,
    ],
)
def test_markdown_made_to_be_slow_is_made_readable_all_the_same(text):
    assert readable(text)
    assert plain(text)
