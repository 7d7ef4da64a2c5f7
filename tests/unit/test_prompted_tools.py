"""Tools for models of plain text: what the prompt says of them, and what an answer makes of them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from codecoach.local.engine import (
    Began,
    ChatRequest,
    End,
    Piece,
    ServedModel,
    State,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from codecoach.local.plain import Prompt, Said
from codecoach.local.prompted_tools import PromptedTools, prompt

WEATHER = Tool("get_weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})
TIME = Tool("get_time", "The time", {"type": "object"})
CALL = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
HI = (Turn("user", (Text("hi"),)),)


class Told:
    """A plain engine that answers what it was told, piece by piece."""

    def __init__(self, *pieces: str, stop_reason: str = "end_turn") -> None:
        self._pieces = pieces
        self._stop_reason = stop_reason

    def models(self) -> tuple[ServedModel, ...]:
        return ()

    def state(self) -> State:
        return State("ready")

    def start(self) -> None: ...

    async def close(self) -> None: ...

    async def complete(self, _: Prompt) -> AsyncIterator[Began | Piece | End]:
        yield Began(5)
        for piece in self._pieces:
            yield Piece(piece)
        yield End(self._stop_reason, len(self._pieces))


def answer(*pieces: str, tools=(WEATHER,), choice="auto", stop_reason="end_turn"):
    async def collect():
        engine = PromptedTools(Told(*pieces, stop_reason=stop_reason))
        return [event async for event in engine.stream(ChatRequest("m", HI, tools=tools, tool_choice=choice))]

    events = asyncio.run(collect())
    text = "".join(event.text for event in events if isinstance(event, Piece))
    calls = [(event.name, json.loads(event.arguments)) for event in events if isinstance(event, ToolUse)]
    return text, calls, events[-1].stop_reason


ROME = [("get_weather", {"city": "Rome"})]


@pytest.mark.parametrize(
    "said",
    [
        CALL,
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"```json\n{CALL}\n```",
        f"```\n{CALL}\n```",
        f"  \n{CALL}\n",
        f"<tool_call>{CALL}",
    ],
)
def test_a_call_is_read_however_it_is_written(said):
    assert answer(said) == ("", ROME, "tool_use")
    assert answer(*said) == ("", ROME, "tool_use")


def test_words_before_a_call_are_words():
    said = f"Let me see.\n<tool_call>\n{CALL}\n</tool_call>"
    assert answer(*said) == ("Let me see.\n", ROME, "tool_use")


def test_several_calls_are_several():
    said = f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>"
    assert answer(said)[1] == ROME * 2


@pytest.mark.parametrize(
    "said",
    [
        "Hello",
        "",
        '{"a": 1}',
        '{"name": "other", "arguments": {}}',
        '{"name": "get_weather", "arguments": "Rome"}',
        "```json\n[1]\n```",
        "```python\nprint(1)\n```",
        "a < b and <tool",
        "<tool_call>no json</tool_call>",
        "{",
    ],
)
def test_what_is_no_call_stays_text_to_the_last_character(said):
    assert answer(said) == (said, [], "end_turn")
    assert answer(*said) == (said, [], "end_turn")


def test_plain_text_is_passed_on_as_it_comes():
    async def first():
        stream = PromptedTools(Told("Hello", " world")).stream(ChatRequest("m", HI, tools=(WEATHER,)))
        assert await anext(stream) == Began(5)
        assert await anext(stream) == Piece("Hello")
        await stream.aclose()

    asyncio.run(first())


def test_a_forced_call_that_was_cut_short_is_no_call():
    assert answer('{"name": "get_we', choice="any", stop_reason="max_tokens") == ('{"name": "get_we', [], "max_tokens")


def test_without_tools_json_is_text():
    assert answer(CALL, tools=()) == (CALL, [], "end_turn")
    assert answer(CALL, choice="none") == (CALL, [], "end_turn")


def test_the_prompt_tells_the_tools_and_keeps_the_system_prompt():
    made = prompt(ChatRequest("m", HI, system="Be brief.", tools=(WEATHER,)))
    assert made.messages[0].role == "system"
    assert made.messages[0].text.startswith("Be brief.\n\n# Tools")
    assert "get_weather" in made.messages[0].text
    assert made.schema is None


def test_a_choice_of_none_does_not_tell_them():
    assert prompt(ChatRequest("m", HI, tools=(WEATHER,), tool_choice="none")).messages == (Said("user", "hi"),)


def test_a_forced_call_is_a_schema():
    one = prompt(ChatRequest("m", HI, tools=(WEATHER, TIME), tool_choice="get_time")).schema
    assert one["properties"]["name"] == {"const": "get_time"}
    either = prompt(ChatRequest("m", HI, tools=(WEATHER, TIME), tool_choice="any")).schema
    assert [each["properties"]["name"]["const"] for each in either["anyOf"]] == ["get_weather", "get_time"]


def test_calls_and_results_become_words():
    turns = (*HI, Turn("assistant", (ToolUse("t", "get_time", "{}"),)), Turn("user", (ToolResult("t", "noon"),)))
    assert [said.text for said in prompt(ChatRequest("m", turns)).messages] == [
        "hi",
        '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>',
        "<tool_response>\nnoon\n</tool_response>",
    ]
