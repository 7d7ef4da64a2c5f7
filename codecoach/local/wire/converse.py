"""Converse and ConverseStream: a request's parameters to a `ChatRequest`, a reply's events to what clients read."""

import json
import time
from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any

from codecoach.local.engine import (
    Attachment,
    Began,
    Block,
    ChatRequest,
    End,
    EngineEvent,
    Piece,
    ServedModel,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from codecoach.local.wire.faults import invalid

_ATTACHMENTS = {"image": "images", "document": "documents", "video": "videos", "audio": "audio"}
Event = tuple[str, dict[str, Any]]


def chat_request(model: ServedModel, parameters: Mapping[str, Any]) -> ChatRequest:
    """What a validated request asks of a model. Raises a ValidationException for what the model does not take."""
    inference = parameters.get("inferenceConfig") or {}
    tools, choice = _tools(model, parameters.get("toolConfig") or {})
    turns = tuple(_turn(model, number, message) for number, message in enumerate(parameters.get("messages") or ()))
    check_turns(turns, tools)
    return ChatRequest(
        model_id=parameters["modelId"],
        turns=turns,
        system=_system(model, parameters.get("system") or ()),
        max_tokens=inference.get("maxTokens"),
        temperature=inference.get("temperature"),
        top_p=inference.get("topP"),
        stop_sequences=tuple(inference.get("stopSequences") or ()),
        tools=tools,
        tool_choice=choice,
    )


def check_turns(turns: tuple[Turn, ...], tools: tuple[Tool, ...]) -> None:
    """The service's own rules on the order of turns. Source: its answers, as quoted in issue trackers."""
    if not turns or turns[0].role != "user":
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message."
        )
    for before, turn in pairwise(turns):
        if before.role == turn.role:
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again."
            )
    if not tools and any(isinstance(block, ToolUse | ToolResult) for turn in turns for block in turn.blocks):
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    called: set[str] = set()
    for number, turn in enumerate(turns):
        answered = [block.id for block in turn.blocks if isinstance(block, ToolResult)]
        if set(answered) - called:
            raise invalid(
                f"The number of toolResult blocks at messages.{number}.content exceeds the number of toolUse blocks of previous turn."
            )
        if called - set(answered):
            raise invalid(
                f"Expected toolResult blocks at messages.{number}.content for the following Ids: {', '.join(sorted(called))}"
            )
        called = {block.id for block in turn.blocks if isinstance(block, ToolUse)}


def _turn(model: ServedModel, number: int, message: Mapping[str, Any]) -> Turn:
    if message["role"] not in ("user", "assistant"):
        raise invalid(f"This model doesn't support the role {message['role']} in messages.")
    if not message["content"]:
        raise invalid(
            f"The content field in the Message object at messages.{number} is empty. Add a ContentBlock object to the content field and try again."
        )
    blocks = [_block(model, f"messages.{number}.content.{at}", block) for at, block in enumerate(message["content"])]
    return Turn(message["role"], tuple(block for block in blocks if block))


def _block(model: ServedModel, place: str, block: Mapping[str, Any]) -> Block | None:
    kind, value = next(iter(block.items()))
    if kind == "text":
        if not value.strip():
            raise invalid(
                f"The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
            )
        return Text(value)
    if kind == "toolUse":
        return ToolUse(value["toolUseId"], value["name"], json.dumps(value["input"], ensure_ascii=False))
    if kind == "toolResult":
        return ToolResult(value["toolUseId"], "\n".join(_result_text(inner) for inner in value["content"]))
    if kind == "cachePoint":
        return None
    if kind in _ATTACHMENTS and model.vision:
        return Attachment(kind, value.get("format", ""), (value.get("source") or {}).get("bytes", b""))
    raise _unsupported(kind)


def _unsupported(kind: str) -> Exception:
    what = _ATTACHMENTS.get(kind, f"{kind} content blocks")
    return invalid(f"This model doesn't support {what}. Try again without {what} or use a model that supports {what}.")


def _result_text(block: Mapping[str, Any]) -> str:
    kind, value = next(iter(block.items()))
    if kind in ("text", "json"):
        return str(value) if kind == "text" else json.dumps(value, ensure_ascii=False)
    raise _unsupported(kind)


def _system(model: ServedModel, blocks: tuple[Mapping[str, Any], ...]) -> str:
    text = "\n".join(block["text"] for block in blocks if "text" in block)
    if text and not model.system:
        raise invalid(
            "This model doesn't support system messages. Try again without a system message or use a model that supports system messages."
        )
    return text


def _tools(model: ServedModel, config: Mapping[str, Any]) -> tuple[tuple[Tool, ...], str]:
    specifications = [tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool]
    if specifications and not model.tools:
        raise invalid("This model doesn't support tool use.")
    tools = tuple(
        Tool(tool["name"], tool.get("description", ""), tool["inputSchema"].get("json") or {})
        for tool in specifications
    )
    kind, value = next(iter((config.get("toolChoice") or {"auto": {}}).items()))
    choice = value["name"] if kind == "tool" else kind
    if kind == "tool" and choice not in {tool.name for tool in tools}:
        raise invalid(f"The tool {choice} of toolChoice is not defined in tools.")
    return tools, choice


async def events(replies: AsyncIterator[EngineEvent]) -> AsyncIterator[Event]:
    """The events of ConverseStream, in the service's order: (name, payload)."""
    began_at = time.monotonic()
    index, in_text, input_tokens = 0, False, 0
    async for reply in replies:
        if isinstance(reply, Began):
            input_tokens = reply.input_tokens
            yield "messageStart", {"role": "assistant"}
        elif isinstance(reply, Piece):
            in_text = True
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": reply.text}}
        elif isinstance(reply, ToolUse):
            if in_text:
                yield "contentBlockStop", {"contentBlockIndex": index}
                index, in_text = index + 1, False
            started = {"toolUse": {"toolUseId": reply.id, "name": reply.name}}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": started}
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": reply.arguments}}}
            yield "contentBlockStop", {"contentBlockIndex": index}
            index += 1
        else:
            if in_text:
                yield "contentBlockStop", {"contentBlockIndex": index}
            yield "messageStop", _stop(reply)
            yield "metadata", _metadata(input_tokens, reply, began_at)


async def whole(replies: AsyncIterator[EngineEvent]) -> dict[str, Any]:
    """The answer of Converse."""
    began_at = time.monotonic()
    content: list[dict[str, Any]] = []
    answer: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": content}}}
    input_tokens = 0
    async for reply in replies:
        if isinstance(reply, Began):
            input_tokens = reply.input_tokens
        elif isinstance(reply, Piece):
            if not content or "text" not in content[-1]:
                content.append({"text": ""})
            content[-1]["text"] += reply.text
        elif isinstance(reply, ToolUse):
            arguments = json.loads(reply.arguments)
            content.append({"toolUse": {"toolUseId": reply.id, "name": reply.name, "input": arguments}})
        else:
            answer |= {**_stop(reply), **_metadata(input_tokens, reply, began_at)}
    return answer


def _stop(end: End) -> dict[str, Any]:
    return {"stopReason": end.stop_reason}


def _metadata(input_tokens: int, end: End, began_at: float) -> dict[str, Any]:
    input_tokens = input_tokens if end.input_tokens is None else end.input_tokens
    usage = {
        "inputTokens": input_tokens,
        "outputTokens": end.output_tokens,
        "totalTokens": input_tokens + end.output_tokens,
    }
    return {"usage": usage, "metrics": {"latencyMs": round((time.monotonic() - began_at) * 1000)}}
