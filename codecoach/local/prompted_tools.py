"""Tools for models of plain text: told in the prompt, called in JSON, read from the answer.

The words are those that Qwen's models were trained on. llama.cpp's own tool parser does not read what the small
Qwen-Coder models make of them (fenced JSON without the tags), so the answer is read here. A call that must come is
forced by a JSON schema.
"""

import json
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from codecoach.local.engine import (
    Began,
    ChatRequest,
    End,
    EngineEvent,
    Piece,
    ServedModel,
    State,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from codecoach.local.plain import PlainEngine, Prompt, Said

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
# How an answer begins that is nothing but a call.
_BARE_OPENINGS = ("{", "```json", "```\n{", _OPEN)


class PromptedTools:
    """An `Engine` made of one that writes plain text."""

    def __init__(self, plain: PlainEngine) -> None:
        self._plain = plain

    def models(self) -> tuple[ServedModel, ...]:
        return self._plain.models()

    def state(self) -> State:
        return self._plain.state()

    def start(self) -> None:
        self._plain.start()

    async def close(self) -> None:
        await self._plain.close()

    async def stream(self, request: ChatRequest) -> AsyncIterator[EngineEvent]:
        watch = _Watch(request)
        answer = cast("AsyncGenerator[Began | Piece | End, None]", self._plain.complete(prompt(request)))
        async with aclosing(answer):
            async for event in answer:
                if isinstance(event, Piece):
                    text = watch.pass_on(event.text)
                    if text:
                        yield Piece(text)
                elif isinstance(event, End):
                    for last in watch.rest(event):
                        yield last
                else:
                    yield event


def prompt(request: ChatRequest) -> Prompt:
    """The request in plain words."""
    system = "\n\n".join(part for part in (request.system, _offer(request)) if part)
    messages = (Said("system", system),) if system else ()
    return Prompt(
        messages=(*messages, *(Said(turn.role, _words(turn)) for turn in request.turns)),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop_sequences=request.stop_sequences,
        schema=_schema(request),
    )


def _offer(request: ChatRequest) -> str:
    if not request.tools or request.tool_choice == "none":
        return ""
    functions = "\n".join(
        json.dumps({"name": tool.name, "description": tool.description, "parameters": tool.schema}, ensure_ascii=False)
        for tool in request.tools
    )
    return (
        "# Tools\n\nYou may call a function to assist with the user query. You are provided with these functions:\n"
        f"<tools>\n{functions}\n</tools>\n\nTo call one, answer with nothing but a JSON object with its name and arguments:\n"
        f'{_OPEN}\n{{"name": <function name>, "arguments": <arguments as a JSON object>}}\n{_CLOSE}'
    )


def _words(turn: Turn) -> str:
    parts = []
    for block in turn.blocks:
        if isinstance(block, Text):
            parts.append(block.text)
        elif isinstance(block, ToolUse):
            parts.append(f'{_OPEN}\n{{"name": {json.dumps(block.name)}, "arguments": {block.arguments}}}\n{_CLOSE}')
        elif isinstance(block, ToolResult):
            parts.append(f"<tool_response>\n{block.text}\n</tool_response>")
    return "\n".join(parts)


def _forced(request: ChatRequest) -> tuple[Tool, ...]:
    """The tools of which one must be called; empty where none must."""
    if request.tool_choice in ("auto", "none"):
        return ()
    return tuple(tool for tool in request.tools if request.tool_choice in ("any", tool.name))


def _schema(request: ChatRequest) -> dict[str, object] | None:
    calls: list[dict[str, object]] = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": tool.schema or {"type": "object"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in _forced(request)
    ]
    if not calls:
        return None
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


class _Watch:
    """Passes text on, and holds back what is, or may become, a call."""

    def __init__(self, request: ChatRequest) -> None:
        self._names = {tool.name for tool in request.tools} if request.tool_choice != "none" else set()
        self._held = ""
        self._in_call = bool(_forced(request))
        self._at_start = True

    def pass_on(self, text: str) -> str:
        """What of the text so far can be shown."""
        if not self._names:
            return text
        self._held += text
        if self._in_call:
            return ""
        if self._at_start:
            begun = self._held.lstrip()
            if any(opening.startswith(begun) for opening in _BARE_OPENINGS):
                return ""
            self._in_call = begun.startswith(_BARE_OPENINGS)
            self._at_start = False
        return "" if self._in_call else self._release()

    def _release(self) -> str:
        at = self._held.find(_OPEN)
        self._in_call = at >= 0
        if at < 0:
            at = len(self._held) - _possible_opening(self._held)
        shown, self._held = self._held[:at], self._held[at:]
        return shown

    def rest(self, end: End) -> list[EngineEvent]:
        """What was held back, as calls or, where it is none, as text; and the end."""
        calls = _calls(self._held, self._names)
        if calls:
            return [*calls, replace(end, stop_reason="tool_use", stop_sequence=None)]
        return [*([Piece(self._held)] if self._held else []), end]


def _possible_opening(text: str) -> int:
    """How many of the last characters may be the beginning of a call."""
    return next((size for size in range(len(_OPEN) - 1, 0, -1) if text.endswith(_OPEN[:size])), 0)


def _calls(text: str, names: set[str]) -> list[ToolUse]:
    """The calls in a text that is nothing but calls; empty where it is something else."""
    found = re.findall(f"{_OPEN}(.*?)(?:{_CLOSE}|$)", text, re.DOTALL)
    found = found or [re.sub(r"^\s*```(?:json)?|```\s*$", "", text.strip())]
    calls = [_call(each, names) for each in found]
    return [call for call in calls if call] if all(calls) else []


def _call(text: str, names: set[str]) -> ToolUse | None:
    try:
        call = json.loads(text)
    except ValueError:
        return None
    if not isinstance(call, dict) or call.get("name") not in names or not isinstance(call.get("arguments"), dict):
        return None
    arguments = json.dumps(call["arguments"], ensure_ascii=False)
    return ToolUse(f"tooluse_{secrets.token_urlsafe(16)}", call["name"], arguments)
