"""InvokeModel: the bodies that model families take and give, told apart by the model and by what the body holds.

    claude_messages   {"anthropic_version", "messages", "max_tokens", "system", "tools"...}
    claude_text       {"prompt": "\\n\\nHuman: ...\\n\\nAssistant:", "max_tokens_to_sample"}
    mistral_text      {"prompt": "<s>[INST] ... [/INST]", "max_tokens"}

Source: "Inference request parameters and response fields" in the Amazon Bedrock user guide.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from codecoach.local.engine import ChatRequest, EngineEvent, ServedModel
from codecoach.local.wire import claude_messages, claude_text, mistral_text
from codecoach.local.wire.faults import invalid, malformed
from codecoach.models.catalogue import Format


class Body(Protocol):
    """One family's body. A module, in each case."""

    def chat_request(self, model: ServedModel, model_id: str, body: Mapping[str, Any]) -> ChatRequest:
        """What the body asks. Raises a ValidationException."""
        ...

    def chunks(self, replies: AsyncIterator[EngineEvent], request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects of the streamed answer."""
        ...

    def whole(self, chunks: list[dict[str, Any]]) -> dict[str, Any]:
        """The answer in one piece, from what would have been streamed."""
        ...


_BODIES: dict[Format, Body] = {
    "claude_messages": claude_messages,
    "claude_text": claude_text,
    "mistral_text": mistral_text,
}


def parse(model: ServedModel, model_id: str, content: bytes) -> tuple[Body, ChatRequest]:
    """The body's family and what it asks. Raises a ValidationException."""
    try:
        body = json.loads(content)
    except ValueError:
        raise malformed() from None
    if not isinstance(body, dict):
        raise malformed()
    family = _BODIES[_format(model, body)]
    return family, family.chat_request(model, model_id, body)


def _format(model: ServedModel, body: Mapping[str, Any]) -> Format:
    given: Format = "claude_messages"
    if "messages" not in body and "prompt" in body:
        given = "mistral_text" if _is_mistral(body) else "claude_text"
    if not model.formats:
        raise invalid(f"{model.id} is served through Converse only.")
    if given in model.formats:
        return given
    if given == "claude_text" and "claude_messages" in model.formats:
        raise invalid(f'"{model.id}" is not supported on this API. Please use the Messages API instead.')
    # The family's own rules say what is missing.
    return min(model.formats)


def _is_mistral(body: Mapping[str, Any]) -> bool:
    return "max_tokens_to_sample" not in body and "[INST]" in str(body["prompt"])
