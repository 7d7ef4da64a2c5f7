"""The Model port over `ChatBedrockConverse` of langchain-aws.

It is imported at the first call, not before: that takes more than a second, so a server calls `warm()` when it starts.
"""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING

from codecoach.chat.messages import Role, Usage
from codecoach.errors import StreamBroken
from codecoach.models.catalogue import base_id, entry
from codecoach.models.failures import as_ours
from codecoach.models.port import Finished, ModelEvent, ModelRequest, TextDelta
from codecoach.models.reading import Reading
from codecoach.models.repeating import FIRST_PAUSE_S, RepeatedReply

if TYPE_CHECKING:
    from langchain_aws import ChatBedrockConverse
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient


def warm() -> None:
    """Import what the first call would otherwise wait for (1 to 2 s)."""
    _langchain()


class ConverseModel:
    """Models on Amazon Bedrock, or on an endpoint that speaks its protocol."""

    def __init__(
        self,
        runtime_client: "BedrockRuntimeClient",
        control_client: "BedrockClient",
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self.runtime = runtime_client
        self.first_pause_s = first_pause_s
        self._control = control_client
        self._bases: dict[str, str] = {}

    def stream(self, request: ModelRequest) -> "ConverseReply":
        """The reply; the call is made when the first event is asked for."""
        return ConverseReply(self, request)

    def chat(self, request: ModelRequest, reading: Reading) -> "ChatBedrockConverse":
        """The langchain model for one request, with the parameters that its model accepts."""
        known = entry(request.model_id) or entry(self.base(request.model_id))
        sampling = known.sampling if known else "none"
        base = known.id if known else self.base(request.model_id)
        chat = _langchain()(
            model_id=request.model_id,
            # Both are given, because guessing them fails for ARNs and for some prefixes (`in.`, `ca.`).
            base_model_id=base,
            provider=known.provider if known else base.partition(".")[0],
            client=reading,
            bedrock_client=self._control,
            max_tokens=_max_tokens(request),
            temperature=request.temperature if sampling != "none" else None,
            top_p=request.top_p if sampling == "both" or (sampling == "one" and request.temperature is None) else None,
            stop_sequences=list(request.stop_sequences) or None,
            disable_streaming=False,
        )
        # For the ARN of an application inference profile the line above is overruled by a list of models.
        chat.disable_streaming = False
        return chat

    def base(self, model_id: str) -> str:
        """The model behind an id; that of an application inference profile must be asked for, once."""
        if "application-inference-profile/" not in model_id:
            return base_id(model_id)
        if model_id not in self._bases:
            try:
                profile = self._control.get_inference_profile(inferenceProfileIdentifier=model_id)
            except Exception as error:
                raise as_ours(error, model_id) from error
            self._bases[model_id] = base_id(profile["models"][0]["modelArn"])
        return self._bases[model_id]


class ConverseReply(RepeatedReply):
    """One reply on its way."""

    def __init__(self, model: ConverseModel, request: ModelRequest) -> None:
        self._model = model
        self._request = request
        self._reading = Reading(model.runtime)
        super().__init__(request.model_id, model.first_pause_s)

    def _hang_up(self) -> None:
        self._reading.close()

    def _call(self) -> Iterator[ModelEvent]:
        stop_reason, usage, latency_ms = "", Usage(), 0
        self._reading = Reading(self._model.runtime)
        if self._closed.is_set():
            return
        # Not `stream`: around this it only adds up the chunks and tells callbacks of them, which takes as long again.
        chunks = self._model.chat(self._request, self._reading)._stream(_messages(self._request))
        try:
            with closing(chunks):  # type: ignore[type-var]  # declared as an iterator, is a generator
                for made in chunks:
                    chunk: AIMessageChunk = made.message  # type: ignore[assignment]  # declared wider
                    if text := _text(chunk):
                        yield TextDelta(text)
                    if chunk.usage_metadata:
                        counted = chunk.usage_metadata
                        usage = Usage(counted["input_tokens"], counted["output_tokens"])
                    facts = chunk.response_metadata
                    stop_reason = facts.get("stopReason") or stop_reason
                    latency_ms = facts.get("metrics", {}).get("latencyMs", latency_ms)
        finally:
            self._reading.close()
        if not stop_reason:
            raise StreamBroken()
        yield Finished(stop_reason, usage, latency_ms)


@cache
def _langchain() -> "type[ChatBedrockConverse]":
    from langchain_aws import ChatBedrockConverse

    return ChatBedrockConverse


def _max_tokens(request: ModelRequest) -> int:
    known = entry(request.model_id)
    limit = known.max_output_tokens if known else None
    return min(request.max_tokens, limit) if limit else request.max_tokens


def _messages(request: ModelRequest) -> "list[BaseMessage]":
    """The turns as langchain's messages. A system prompt that the model does not take goes before the first turn."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    known = entry(request.model_id)
    turns = [HumanMessage(turn.text) if turn.role is Role.USER else AIMessage(turn.text) for turn in request.turns]
    if not request.system:
        return [*turns]
    if known and not known.system:
        return [HumanMessage(f"{request.system}\n\n{request.turns[0].text}"), *turns[1:]]
    return [SystemMessage(request.system), *turns]


def _text(chunk: "AIMessageChunk") -> str:
    """The text of a chunk, whose content is a string or a list of blocks (text, reasoning, tool use)."""
    if isinstance(chunk.content, str):
        return chunk.content
    return "".join(block["text"] for block in chunk.content if isinstance(block, dict) and block.get("type") == "text")
