"""Claude 2's text body: {"prompt": "[system]\\n\\nHuman: ...\\n\\nAssistant:", "max_tokens_to_sample": 100}."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from codecoach.local.engine import Began, ChatRequest, EngineEvent, Piece, ServedModel, Text, ToolUse, Turn
from codecoach.local.wire import fields
from codecoach.local.wire.faults import invalid
from codecoach.local.wire.metrics import Clock

_HUMAN = "\n\nHuman:"
_FIELDS = {
    "prompt": fields.REQUIRED_TEXT,
    "max_tokens_to_sample": fields.REQUIRED_COUNT,
    "stop_sequences": fields.LIST,
    "temperature": fields.NUMBER,
    "top_p": fields.NUMBER,
    "top_k": fields.ANY_COUNT,
    "anthropic_version": fields.TEXT,
}


def chat_request(_: ServedModel, model_id: str, body: Mapping[str, Any]) -> ChatRequest:
    """What the body asks. Raises a ValidationException."""
    fields.check(body, _FIELDS)
    system, turns = _read(body["prompt"])
    # The model stops before the next turn of the human's, told or not.
    stops = tuple(stop for stop in fields.strings(body, "stop_sequences") if stop.strip() != "Human:")
    return ChatRequest(
        model_id=model_id,
        turns=turns,
        system=system,
        max_tokens=body["max_tokens_to_sample"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop_sequences=stops,
    )


def _read(prompt: str) -> tuple[str, tuple[Turn, ...]]:
    """The system prompt and the turns; a last `Assistant:` with words is a reply to go on with."""
    system, *parts = re.split(r"\n\n(Human|Assistant):", prompt)
    pairs = list(zip(parts[::2], parts[1::2], strict=True))
    if not pairs or pairs[0][0] != "Human":
        raise invalid('prompt must start with "\n\nHuman:" turn after an optional system prompt')
    if pairs[-1][0] != "Assistant":
        raise invalid('prompt must end with "\n\nAssistant:" turn')
    turns: list[Turn] = []
    for speaker, words in pairs:
        role: Any = "user" if speaker == "Human" else "assistant"
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role, (Text(turns[-1].text + "\n\n" + words.strip()),))
        elif words.strip():
            turns.append(Turn(role, (Text(words.strip()),)))
    if not turns or turns[0].role != "user":
        raise invalid("prompt: the Human turn is empty")
    return system.strip(), tuple(turns)


async def chunks(replies: AsyncIterator[EngineEvent], _: ChatRequest) -> AsyncIterator[dict[str, Any]]:
    """Pieces of the completion; the last one is empty and says why it stopped."""
    clock, input_tokens = Clock(), 0
    async for reply in replies:
        if isinstance(reply, Began):
            clock.first()
            input_tokens = reply.input_tokens
        elif isinstance(reply, Piece):
            yield {"type": "completion", "completion": reply.text, "stop_reason": None, "stop": None}
        elif not isinstance(reply, ToolUse):
            limited = reply.stop_reason == "max_tokens"
            yield {
                "type": "completion",
                "completion": "",
                "stop_reason": "max_tokens" if limited else "stop_sequence",
                # To this body the end of the turn is the next `Human:`.
                "stop": None if limited else reply.stop_sequence or _HUMAN,
                **clock.metrics(input_tokens, reply),
            }


def whole(streamed: list[dict[str, Any]]) -> dict[str, Any]:
    """The completion."""
    return {**streamed[-1], "completion": "".join(chunk["completion"] for chunk in streamed)}
