"""Mistral's text body: {"prompt": "<s>[INST] ... [/INST]", "max_tokens": 100}."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from codecoach.local.engine import Began, ChatRequest, EngineEvent, Piece, ServedModel, Text, ToolUse, Turn
from codecoach.local.wire import fields
from codecoach.local.wire.faults import invalid
from codecoach.local.wire.metrics import Clock

_FIELDS = {
    "prompt": fields.REQUIRED_TEXT,
    "max_tokens": fields.COUNT,
    "stop": fields.LIST,
    "temperature": fields.NUMBER,
    "top_p": fields.NUMBER,
    "top_k": fields.ANY_COUNT,
}


def chat_request(_: ServedModel, model_id: str, body: Mapping[str, Any]) -> ChatRequest:
    """What the body asks. Raises a ValidationException."""
    fields.check(body, _FIELDS)
    return ChatRequest(
        model_id=model_id,
        turns=_read(body["prompt"]),
        max_tokens=body.get("max_tokens", 512),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop_sequences=fields.strings(body, "stop"),
    )


def _read(prompt: str) -> tuple[Turn, ...]:
    """The turns; without `[INST]` the model goes on writing, so all of it is the user's."""
    text = prompt.removeprefix("<s>").strip()
    turns: list[Turn] = []
    for asked, answered in re.findall(r"\[INST\](.*?)\[/INST\](.*?)(?=\[INST\]|$)", text, re.DOTALL):
        turns.append(Turn("user", (Text(asked.strip()),)))
        said = answered.replace("</s>", "").strip()
        if said:
            turns.append(Turn("assistant", (Text(said),)))
    turns = turns or [Turn("user", (Text(text),))]
    if not turns[0].text:
        raise invalid(
            "Malformed input request: #/prompt: expected minLength: 1, please reformat your input and try again."
        )
    return tuple(turns)


async def chunks(replies: AsyncIterator[EngineEvent], _: ChatRequest) -> AsyncIterator[dict[str, Any]]:
    """Pieces of the one output; the last one is empty and says why it stopped."""
    clock, input_tokens = Clock(), 0
    async for reply in replies:
        if isinstance(reply, Began):
            clock.first()
            input_tokens = reply.input_tokens
        elif isinstance(reply, Piece):
            yield {"outputs": [{"text": reply.text, "stop_reason": None}]}
        elif not isinstance(reply, ToolUse):
            reason = "length" if reply.stop_reason == "max_tokens" else "stop"
            yield {"outputs": [{"text": "", "stop_reason": reason}], **clock.metrics(input_tokens, reply)}


def whole(streamed: list[dict[str, Any]]) -> dict[str, Any]:
    """The one output."""
    outputs = [chunk["outputs"][0] for chunk in streamed]
    text = "".join(output["text"] for output in outputs)
    return {**streamed[-1], "outputs": [{"text": text, "stop_reason": outputs[-1]["stop_reason"]}]}
