"""Any endpoint that speaks OpenAI's chat completions (Ollama, llama.cpp, vLLM...) as the embedded model.

Stop sequences are looked for here: such endpoints end at one without saying so, and not all of them take one.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from codecoach.local.engine import Began, End, Piece, ServedModel, State
from codecoach.local.plain import Prompt
from codecoach.local.served import local_model
from codecoach.local.wire.faults import AwsFault, invalid, too_long

_CONNECT_TIMEOUT_S = 5.0
# Without a byte: a large model may read a long prompt for minutes.
_READ_TIMEOUT_S = 300.0
_TOO_LONG = (
    "context length",
    "context size",
    "context_length_exceeded",
    "maximum context",
    "too long",
    "exceed_context",
)


class OpenAiEngine:
    """Answers through `POST {url}/chat/completions`."""

    def __init__(self, url: str, name: str, key: str = "") -> None:
        """url: up to and with `/v1`. name: the model's name there. key: empty where none is needed."""
        self._url = url.rstrip("/")
        self._name = name
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(_READ_TIMEOUT_S, connect=_CONNECT_TIMEOUT_S),
        )

    def models(self) -> tuple[ServedModel, ...]:
        return (local_model(self._name),)

    def state(self) -> State:
        return State("ready")

    def start(self) -> None:
        """Nothing is to be made ready."""

    async def close(self) -> None:
        await self._client.aclose()

    async def complete(self, prompt: Prompt) -> AsyncIterator[Began | Piece | End]:
        try:
            async with self._client.stream("POST", f"{self._url}/chat/completions", json=self._body(prompt)) as reply:
                if reply.is_error:
                    raise self._fault(reply.status_code, (await reply.aread()).decode("utf-8", "replace"))
                async for event in _events(reply.aiter_lines(), prompt):
                    yield event
        except httpx.TimeoutException as error:
            raise AwsFault("ModelTimeoutException", f"{self._url} does not answer in time.") from error
        except httpx.ConnectError as error:
            raise AwsFault("ServiceUnavailableException", f"{self._url} cannot be reached: {error}") from error
        except httpx.HTTPError as error:
            raise AwsFault("ModelStreamErrorException", f"{self._url} broke off: {error}") from error

    def _body(self, prompt: Prompt) -> dict[str, object]:
        optional: dict[str, object | None] = {
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            "response_format": prompt.schema
            and {"type": "json_schema", "json_schema": {"name": "call", "schema": prompt.schema, "strict": True}},
        }
        return {
            "model": self._name,
            "messages": [{"role": message.role, "content": message.text} for message in prompt.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _fault(self, status: int, text: str) -> AwsFault:
        message = f"{self._url}: {_message(text)}"
        if status in (401, 403):
            return AwsFault("AccessDeniedException", message)
        if status == 404:
            return AwsFault("ResourceNotFoundException", message)
        if status == 429:
            return AwsFault("ThrottlingException", message)
        if any(words in text.lower() for words in _TOO_LONG):
            return too_long()
        return invalid(message) if status < 500 else AwsFault("ServiceUnavailableException", message)


async def _events(lines: AsyncIterator[str], prompt: Prompt) -> AsyncIterator[Began | Piece | End]:
    """The reply of the endpoint. Its usage comes last, so the prompt's tokens are told by estimate until then."""
    stop = StopWatch(prompt.stop_sequences)
    tokens, reason, began = 0, "", False
    usage: dict[str, int] = {}
    async for line in lines:
        chunk = _chunk(line)
        if chunk is None:
            continue
        if not began:
            began = True
            yield Began(_estimate(prompt))
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            text = (choice.get("delta") or {}).get("content") or ""
            tokens += bool(text)
            shown = stop.pass_on(text)
            if shown:
                yield Piece(shown)
            if stop.met:
                # Leaving ends the generation there; what it had counted is not told then.
                yield End("stop_sequence", tokens, stop.met)
                return
            reason = choice.get("finish_reason") or reason
    if not reason:
        raise AwsFault("ModelStreamErrorException", "The endpoint ended the stream without saying why.")
    rest = stop.rest()
    if rest:
        yield Piece(rest)
    input_tokens = usage.get("prompt_tokens")
    yield End(
        "max_tokens" if reason == "length" else "end_turn",
        usage.get("completion_tokens", tokens),
        input_tokens=input_tokens,
    )


def _chunk(line: str) -> dict[str, Any] | None:
    data = line.removeprefix("data:").strip()
    if not line.startswith("data:") or data == "[DONE]":
        return None
    try:
        chunk: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise AwsFault("ModelStreamErrorException", f"The endpoint sent no JSON: {data[:100]}") from error
    if chunk.get("error"):
        raise AwsFault("ModelStreamErrorException", _message(data))
    return chunk


class StopWatch:
    """Looks for stop sequences in a text that comes in pieces."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = sequences
        self._held = ""
        self.met: str | None = None

    def pass_on(self, text: str) -> str:
        """What can be shown: all before a stop sequence, and nothing that may become one."""
        self._held += text
        found = [(self._held.index(each), each) for each in self._sequences if each in self._held]
        if found:
            at, self.met = min(found)
        else:
            at = len(self._held) - self._possible()
        shown, self._held = self._held[:at], self._held[at:]
        return shown

    def rest(self) -> str:
        """What was held back and has become no stop sequence."""
        return self._held

    def _possible(self) -> int:
        longest = max((len(each) for each in self._sequences), default=0)
        for size in range(min(longest - 1, len(self._held)), 0, -1):
            if any(each.startswith(self._held[-size:]) for each in self._sequences):
                return size
        return 0


def _estimate(prompt: Prompt) -> int:
    return -(-sum(len(message.text) for message in prompt.messages) // 4)


def _message(text: str) -> str:
    try:
        error = json.loads(text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return text[:300] or "no reason given"
