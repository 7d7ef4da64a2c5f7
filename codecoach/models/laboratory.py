"""Sends a payload just as it is, and keeps what came back: the Prompt Lab's way to a model."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from codecoach.chat.messages import Usage
from codecoach.errors import StreamBroken
from codecoach.models.catalogue import entry
from codecoach.models.payloads import Payload
from codecoach.models.port import Finished, ModelEvent, TextDelta
from codecoach.models.reading import hang_up
from codecoach.models.repeating import FIRST_PAUSE_S, RepeatedReply

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

# InvokeModel's own figures, in the last chunk. Source: API reference of InvokeModelWithResponseStream.
_METRICS: Final = "amazon-bedrock-invocationMetrics"


@dataclass
class Trace:
    """What is known of one call; grows while it goes on.

    events          as they came, JSON; texts that followed one another in one
    first_token_ms  from sending to the first text; None before it
    total_ms        from sending to the end
    service_ms      the service's own figure for the whole; 0 where it gave none
    """

    operation: str
    request_id: str = ""
    status: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    first_token_ms: float | None = None
    total_ms: float | None = None
    service_ms: int = 0
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)

    def json(self) -> dict[str, Any]:
        """{"operation", "requestId", "httpStatusCode", "events"}: the response as far as it has come."""
        return {
            "operation": self.operation,
            "requestId": self.request_id,
            "httpStatusCode": self.status,
            "events": self.events,
        }


def dollars(model_id: str, usage: Usage) -> float | None:
    """What so many tokens cost, in US dollars by the catalogue's prices; None where no price is known."""
    known = entry(model_id)
    price = known.price_of(model_id) if known else None
    if price is None:
        return None
    return (usage.input_tokens * price.input_per_mtok + usage.output_tokens * price.output_per_mtok) / 1e6


class Laboratory:
    """Models, by the very bodies that are given."""

    def __init__(self, runtime_client: "BedrockRuntimeClient", first_pause_s: float = FIRST_PAUSE_S) -> None:
        self.runtime = runtime_client
        self.first_pause_s = first_pause_s

    def submit(self, payload: Payload) -> "LaboratoryReply":
        """The reply; the call is made when the first event is asked for."""
        return LaboratoryReply(self, payload)


class LaboratoryReply(RepeatedReply):
    """One reply on its way; `trace` tells of the call that was made last."""

    def __init__(self, laboratory: Laboratory, payload: Payload) -> None:
        self.payload = payload
        self.trace = Trace(payload.streamed)
        self._laboratory = laboratory
        self._stream: Any = None
        self._opening = threading.Lock()
        super().__init__(payload.model_id, laboratory.first_pause_s)

    def _hang_up(self) -> None:
        with self._opening:
            if self._stream is not None:
                hang_up(self._stream)

    def _call(self) -> Iterator[ModelEvent]:
        trace = self.trace = Trace(self.payload.streamed)
        began = time.monotonic()
        try:
            for event in self._opened(trace):
                heard = _HEARD[self.payload.format](event)
                _record(trace, event, heard)
                if heard.text:
                    trace.first_token_ms = trace.first_token_ms or (time.monotonic() - began) * 1000
                    yield TextDelta(heard.text)
                trace.stop_reason = heard.stop_reason or trace.stop_reason
                trace.usage = _more(trace.usage, heard.usage)
                trace.service_ms = heard.service_ms or trace.service_ms
        finally:
            trace.total_ms = (time.monotonic() - began) * 1000
            if self._stream is not None:
                self._stream.close()
        if not trace.stop_reason:
            raise StreamBroken()
        yield Finished(trace.stop_reason, trace.usage, trace.service_ms)

    def _opened(self, trace: Trace) -> Iterator[dict[str, Any]]:
        """The events of a new call."""
        runtime: Any = self._laboratory.runtime
        if self.payload.operation == "Converse":
            response = runtime.converse_stream(modelId=self.payload.model_id, **self.payload.body)
            stream = response["stream"]
        else:
            response = runtime.invoke_model_with_response_stream(
                modelId=self.payload.model_id,
                body=json.dumps(self.payload.body, ensure_ascii=False),
                contentType="application/json",
                accept="application/json",
            )
            stream = response["body"]
        about = response["ResponseMetadata"]
        trace.request_id, trace.status = about.get("RequestId", ""), about.get("HTTPStatusCode", 0)
        with self._opening:
            self._stream = stream
        if self._closed.is_set():
            hang_up(stream)
        for event in stream:
            yield json.loads(event["chunk"]["bytes"]) if "chunk" in event else event


@dataclass(frozen=True)
class _Heard:
    """What one event says."""

    text: str = ""
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    service_ms: int = 0


def _converse(event: dict[str, Any]) -> _Heard:
    if "contentBlockDelta" in event:
        return _Heard(event["contentBlockDelta"]["delta"].get("text", ""))
    if "messageStop" in event:
        return _Heard(stop_reason=event["messageStop"]["stopReason"])
    if "metadata" in event:
        usage, metrics = event["metadata"].get("usage", {}), event["metadata"].get("metrics", {})
        counted = Usage(usage.get("inputTokens", 0), usage.get("outputTokens", 0))
        return _Heard(usage=counted, service_ms=metrics.get("latencyMs", 0))
    return _Heard()


def _claude_messages(event: dict[str, Any]) -> _Heard:
    measured = _measured(event)
    if event.get("type") == "content_block_delta":
        return _Heard(event["delta"].get("text", ""))
    if event.get("type") == "message_start":
        return _Heard(usage=Usage(event["message"].get("usage", {}).get("input_tokens", 0), 0))
    if event.get("type") == "message_delta":
        counted = event.get("usage", {}).get("output_tokens", 0)
        return _Heard(stop_reason=event["delta"].get("stop_reason") or "", usage=Usage(0, counted))
    return measured


def _claude_text(event: dict[str, Any]) -> _Heard:
    measured = _measured(event)
    return _Heard(event.get("completion", ""), event.get("stop_reason") or "", measured.usage, measured.service_ms)


def _mistral_text(event: dict[str, Any]) -> _Heard:
    measured = _measured(event)
    output = (event.get("outputs") or [{}])[0]
    return _Heard(output.get("text", ""), output.get("stop_reason") or "", measured.usage, measured.service_ms)


def _measured(event: dict[str, Any]) -> _Heard:
    metrics = event.get(_METRICS, {})
    usage = Usage(metrics.get("inputTokenCount", 0), metrics.get("outputTokenCount", 0))
    return _Heard(usage=usage, service_ms=metrics.get("invocationLatency", 0))


_HEARD: Final = {
    "converse": _converse,
    "claude_messages": _claude_messages,
    "claude_text": _claude_text,
    "mistral_text": _mistral_text,
}


def _more(known: Usage, told: Usage) -> Usage:
    return Usage(told.input_tokens or known.input_tokens, told.output_tokens or known.output_tokens)


def _record(trace: Trace, event: dict[str, Any], heard: _Heard) -> None:
    """Keep an event; one that only adds text to the one before it is made one with it."""
    last = trace.events[-1] if trace.events else None
    if heard.text and last is not None and _add(last, event, heard.text):
        return
    trace.events.append(event)


def _add(last: dict[str, Any], event: dict[str, Any], text: str) -> bool:
    """Add the text of an event to that of the last, if the two are of one kind."""
    for path in (("contentBlockDelta", "delta", "text"), ("delta", "text"), ("completion",), ("outputs", 0, "text")):
        before, after = _holder(last, path), _holder(event, path)
        if before is not None and after is not None and event.keys() == last.keys():
            before[path[-1]] += text
            return True
    return False


def _holder(event: dict[str, Any], path: tuple[str | int, ...]) -> dict[Any, Any] | None:
    """What holds the text at the end of a path, or None."""
    found: Any = event
    for step in path[:-1]:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found if isinstance(found, dict) and isinstance(found.get(path[-1]), str) else None
