"""The embedded model: llama.cpp in this process, asked through the server that it brings along.

llama.cpp's own HTTP API tells what its Python calls keep to themselves: which stop sequence was met. It listens on
loopback and takes only requests with a key that is made at each start.
"""

import asyncio
import gc
import json
import logging
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import httpx

from codecoach.local.engine import Began, End, Piece, ServedModel, State
from codecoach.local.line import Line
from codecoach.local.plain import Prompt, Said
from codecoach.local.served import local_model
from codecoach.local.wire.faults import AwsFault, too_long

_log = logging.getLogger(__name__)

# Requests that may wait; with a reply of half a minute each, more would only wait in vain.
_LONGEST_LINE = 16
# Measured with the 0.5B model: 64 costs 5 % more time per token than the default of 512, 32 costs 18 %.
_BATCH_TOKENS = 64
_TEMPERATURE = 0.2
_TOP_P = 0.95
_STOP_REASONS = {"eos": "end_turn", "limit": "max_tokens", "word": "stop_sequence", "none": "end_turn"}


class LlamaEngine:
    """Answers with a GGUF model, one request at a time."""

    def __init__(self, path: Path, context_tokens: int) -> None:
        """Nothing is loaded before `start`."""
        self._path = path
        self._context_tokens = context_tokens
        self._line = Line(_LONGEST_LINE)
        self._server: object | None = None
        self._client: httpx.AsyncClient | None = None
        self._loading: asyncio.Task[None] | None = None
        self._state = State("loading")

    def models(self) -> tuple[ServedModel, ...]:
        # How it was quantised says nothing to who chooses a model.
        return (local_model(re.sub(r"[-._](i?q\d\w*|f16|bf16|f32)$", "", self._path.stem, flags=re.IGNORECASE)),)

    def state(self) -> State:
        return self._state

    def start(self) -> None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        key = secrets.token_urlsafe(24)
        try:
            self._server, address = await asyncio.to_thread(_started, self._path, self._context_tokens, key)
        except Exception as error:
            _log.exception("the model cannot be loaded: %s", self._path)
            self._state = State("failed", {"error": f"{self._path.name}: {error or type(error).__name__}"})
            return
        # A reply has no time limit of its own: the prompt of a slow machine may take minutes, and clients can leave.
        self._client = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(None),
            # llama.cpp closes idle connections after a while; a request must not be sent into one that is just closing.
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )
        self._state = State("ready")

    async def complete(self, prompt: Prompt) -> AsyncIterator[Began | Piece | End]:
        client = await self._ready()
        async with self._line.turn():
            tokens = await self._tokens(client, prompt.messages)
            room = self._context_tokens - len(tokens)
            if room < 1:
                raise too_long()
            yield Began(len(tokens))
            # Closed before the turn is given on: the next request finds the model idle.
            async with aclosing(_generated(client, _body(prompt, tokens, room))) as generated:
                async for event in generated:
                    yield event

    async def close(self) -> None:
        if self._loading:
            self._loading.cancel()
            with suppress(asyncio.CancelledError):
                await self._loading
        if self._client:
            await self._client.aclose()
        self._server = None
        gc.collect()

    async def _ready(self) -> httpx.AsyncClient:
        self.start()
        if self._loading:
            await asyncio.shield(self._loading)
        if self._client is None:
            raise AwsFault(
                "ModelErrorException", f"The local model cannot be loaded: {self._state.detail.get('error')}"
            )
        return self._client

    async def _tokens(self, client: httpx.AsyncClient, messages: tuple[Said, ...]) -> list[int]:
        """The prompt as the model's own template makes it."""
        said = [{"role": message.role, "content": message.text} for message in messages]
        text = (await _post(client, "/apply-template", {"messages": said}))["prompt"]
        tokens: list[int] = (await _post(client, "/tokenize", {"content": text, "add_special": True}))["tokens"]
        return tokens


def _started(path: Path, context_tokens: int, key: str) -> tuple[object, str]:
    # Before the library is loaded: threads that spin while they wait slow each other down tenfold on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = context_tokens
    parameters.n_parallel = 1
    parameters.use_jinja = True
    parameters.verbosity = 0
    parameters.ui = False
    parameters.api_keys = [key]
    # Repacked weights are a little faster and take half as much memory again.
    parameters.no_extra_bufts = True
    # Prompts of earlier conversations are kept up to this many MB; the default is 8192.
    parameters.cache_ram_mib = 256
    # A client that leaves while its prompt is read is noticed between two batches.
    parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = os.cpu_count() or 2
    server = xllamacpp.Server(parameters)
    return server, server.listening_address


def _body(prompt: Prompt, tokens: list[int], room: int) -> dict[str, object]:
    body: dict[str, object] = {
        "prompt": tokens,
        "n_predict": min(prompt.max_tokens or room, room),
        "temperature": _TEMPERATURE if prompt.temperature is None else prompt.temperature,
        "top_p": _TOP_P if prompt.top_p is None else prompt.top_p,
        "stop": list(prompt.stop_sequences),
        "cache_prompt": True,
        "stream": True,
    }
    return body | ({"json_schema": prompt.schema} if prompt.schema else {})


async def _post(client: httpx.AsyncClient, path: str, body: dict[str, object]) -> Any:  # noqa: ANN401  JSON
    reply = await client.post(path, json=body)
    if reply.is_error:
        raise AwsFault("ModelErrorException", _message(reply.text))
    return reply.json()


async def _generated(client: httpx.AsyncClient, body: dict[str, object]) -> AsyncGenerator[Piece | End, None]:
    try:
        async with client.stream("POST", "/completion", json=body) as reply:
            if reply.is_error:
                raise AwsFault("ModelErrorException", _message((await reply.aread()).decode()))
            async for line in reply.aiter_lines():
                if line.startswith("error:"):
                    raise AwsFault("ModelStreamErrorException", _message(line.removeprefix("error:")))
                if not line.startswith("data:"):
                    continue
                chunk = json.loads(line.removeprefix("data:"))
                if "error" in chunk:
                    raise AwsFault("ModelStreamErrorException", str(chunk["error"].get("message")))
                if chunk["content"]:
                    yield Piece(chunk["content"])
                if chunk["stop"]:
                    met = chunk.get("stopping_word") or None
                    yield End(_STOP_REASONS[chunk["stop_type"]], chunk["tokens_predicted"], met)
    except httpx.HTTPError as error:
        raise AwsFault("ModelStreamErrorException", f"The local model broke off: {error}") from error


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
