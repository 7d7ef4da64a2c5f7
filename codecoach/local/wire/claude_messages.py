"""Claude's Messages body, for Claude 3 and newer.

{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "system": "...",
 "messages": [{"role": "user", "content": [{"type": "text", "text": "..."}]}]}
"""

import base64
import binascii
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from codecoach.local.engine import (
    Attachment,
    Began,
    Block,
    ChatRequest,
    EngineEvent,
    Piece,
    ServedModel,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
)
from codecoach.local.wire import fields
from codecoach.local.wire.faults import invalid
from codecoach.local.wire.metrics import Clock

_VERSION = "bedrock-2023-05-31"
_FIELDS = {
    "anthropic_version": fields.REQUIRED_TEXT,
    "max_tokens": fields.REQUIRED_COUNT,
    "messages": fields.Field((list,), required=True),
    "anthropic_beta": fields.LIST,
    "system": fields.Field((str, list)),
    "stop_sequences": fields.LIST,
    "temperature": fields.NUMBER,
    "top_p": fields.NUMBER,
    "top_k": fields.ANY_COUNT,
    "tools": fields.LIST,
    "tool_choice": fields.OBJECT,
    "thinking": fields.OBJECT,
    "metadata": fields.OBJECT,
}


def chat_request(model: ServedModel, model_id: str, body: Mapping[str, Any]) -> ChatRequest:
    """What the body asks. Raises a ValidationException."""
    _check(body)
    turns = tuple(_turn(model, at, message) for at, message in enumerate(body["messages"]))
    if not turns or turns[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    tools = tuple(
        Tool(tool["name"], tool.get("description", ""), tool["input_schema"])
        for tool in _tools(body.get("tools") or [])
    )
    return ChatRequest(
        model_id=model_id,
        turns=turns,
        system=_plain(body.get("system") or ""),
        max_tokens=body["max_tokens"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop_sequences=fields.strings(body, "stop_sequences"),
        tools=tools,
        tool_choice=_choice(body.get("tool_choice") or {"type": "auto"}, tools),
    )


def _check(body: Mapping[str, Any]) -> None:
    for name in ("anthropic_version", "max_tokens", "messages"):
        if name not in body:
            raise invalid(f"{name}: Field required")
    for name in body:
        if name not in _FIELDS:
            raise invalid(f"{name}: Extra inputs are not permitted")
    fields.check(body, _FIELDS)
    if body["anthropic_version"] != _VERSION:
        raise invalid(f'anthropic_version: Input should be "{_VERSION}"')


def _turn(model: ServedModel, at: int, message: object) -> Turn:
    if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
        raise invalid(f"messages.{at}.role: Input should be 'user' or 'assistant'")
    content = message.get("content")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise invalid(f"messages.{at}: at least one content block is required")
    return Turn(
        message["role"], tuple(_block(model, f"messages.{at}.content.{n}", block) for n, block in enumerate(content))
    )


def _block(model: ServedModel, place: str, block: Mapping[str, Any]) -> Block:
    try:
        kind = block["type"]
        if kind == "text":
            return _text(place, block["text"])
        if kind == "tool_use":
            return ToolUse(block["id"], block["name"], json.dumps(block["input"], ensure_ascii=False))
        if kind == "tool_result":
            return ToolResult(block["tool_use_id"], _plain(block.get("content") or ""))
        if kind in ("image", "document") and model.vision:
            source = block["source"]
            return Attachment(
                kind, source["media_type"].rsplit("/", 1)[-1], base64.b64decode(source["data"], validate=True)
            )
    except (KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise invalid(f"{place}: Field required or malformed: {error}") from None
    raise invalid(f"{place}: content blocks of type {kind!r} are not supported by this model")


def _text(place: str, text: str) -> Text:
    if not isinstance(text, str) or not text.strip():
        raise invalid(f"{place}: text content blocks must be non-empty")
    return Text(text)


def _plain(content: str | list[Mapping[str, Any]]) -> str:
    """The words of what may be a string or a list of text blocks."""
    if isinstance(content, str):
        return content
    if any(not isinstance(block, dict) or block.get("type") != "text" for block in content):
        raise invalid("content: only text blocks are supported here")
    return "\n".join(str(block.get("text", "")) for block in content)


def _tools(tools: list[Any]) -> list[Mapping[str, Any]]:
    for at, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise invalid(f"tools.{at}.name: Field required")
        if not isinstance(tool.get("input_schema"), dict):
            raise invalid(f"tools.{at}.input_schema: Field required")
    return tools


def _choice(choice: Mapping[str, Any], tools: tuple[Tool, ...]) -> str:
    kind = choice.get("type")
    if kind in ("auto", "any", "none"):
        return str(kind)
    if kind == "tool" and choice.get("name") in {tool.name for tool in tools}:
        return str(choice["name"])
    raise invalid(
        "tool_choice: Input should be one of 'auto', 'any', 'none', or 'tool' with the name of one of the tools"
    )


async def chunks(replies: AsyncIterator[EngineEvent], request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
    """message_start, the blocks, message_delta, message_stop."""
    clock, index, in_text, input_tokens = Clock(), 0, False, 0
    async for reply in replies:
        if isinstance(reply, Began):
            clock.first()
            input_tokens = reply.input_tokens
            yield {"type": "message_start", "message": _message(request, input_tokens)}
        elif isinstance(reply, Piece):
            if not in_text:
                in_text = True
                yield _start(index, {"type": "text", "text": ""})
            yield _delta(index, {"type": "text_delta", "text": reply.text})
        elif isinstance(reply, ToolUse):
            if in_text:
                yield {"type": "content_block_stop", "index": index}
                index, in_text = index + 1, False
            yield _start(index, {"type": "tool_use", "id": reply.id, "name": reply.name, "input": {}})
            yield _delta(index, {"type": "input_json_delta", "partial_json": reply.arguments})
            yield {"type": "content_block_stop", "index": index}
            index += 1
        else:
            if in_text:
                yield {"type": "content_block_stop", "index": index}
            stop = {"stop_reason": reply.stop_reason, "stop_sequence": reply.stop_sequence}
            yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": reply.output_tokens}}
            yield {"type": "message_stop", **clock.metrics(input_tokens, reply)}


def whole(streamed: list[dict[str, Any]]) -> dict[str, Any]:
    """The message."""
    message: dict[str, Any] = streamed[0]["message"]
    content = message["content"]
    for chunk in streamed:
        if chunk["type"] == "content_block_start":
            content.append(dict(chunk["content_block"]))
        elif chunk["type"] == "content_block_delta" and chunk["delta"]["type"] == "text_delta":
            content[-1]["text"] += chunk["delta"]["text"]
        elif chunk["type"] == "content_block_delta":
            content[-1]["input"] = json.loads(chunk["delta"]["partial_json"])
        elif chunk["type"] == "message_delta":
            message |= chunk["delta"]
            message["usage"] |= chunk["usage"]
    return message


def _message(request: ChatRequest, input_tokens: int) -> dict[str, Any]:
    return {
        "id": f"msg_bdrk_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": request.model_id.rsplit("/", 1)[-1].rpartition("anthropic.")[2],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": 0},
    }


def _start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}
