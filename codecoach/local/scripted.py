"""An engine whose replies and faults are written down beforehand: the tests' and benchmarks' half of Bedrock.

In a test:

    with ScriptedServer() as bedrock:
        bedrock.engine.say("Hello", token_delay_s=0.02)
        ...                                # boto3 with endpoint_url=bedrock.url
        assert bedrock.engine.requests[0].turns[0].text == "Hi"

As a process, `python -m codecoach.local.bedrock_endpoint --scripted rules.json` replies by rules:

    {"rules": [{"match": "list my buckets", "reply": {"text": "```python ..."}},
               {"match": "busy", "times": 2, "reply": {"fault": "ThrottlingException"}}],
     "default": {"text": "Hello", "token_delay_s": 0.02}}

The first rule whose `match` is in the last words of the user's, and that has not been used `times` times, replies.
"""

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as checked_dataclass

from codecoach.local.endpoint_app import build
from codecoach.local.endpoint_server import ThreadedServer
from codecoach.local.engine import Began, ChatRequest, End, EngineEvent, Piece, ServedModel, State, ToolUse
from codecoach.local.served import catalogue_models
from codecoach.local.wire.faults import AwsFault, CutOff

# The value of any field of `Reply`.
ReplyField = Any

_STRICT = ConfigDict(extra="forbid")


@checked_dataclass(frozen=True, config=_STRICT)
class Call:
    """A tool that the reply calls."""

    name: str
    arguments: dict[str, Any]
    id: str = "tooluse_scripted"


@checked_dataclass(frozen=True, config=_STRICT)
class Reply:
    """A reply to one request.

    chunks         the pieces that `text` is streamed in; None: cut at the spaces
    first_delay_s  seconds before the first event, as of a model that reads a long prompt
    token_delay_s  seconds from one piece to the next
    stop_reason    None: what is true (`tool_use` after a call, `max_tokens` or `stop_sequence` where the request's met)
    input_tokens   None: a quarter of the prompt's characters;  output_tokens  None: the number of pieces
    fault          an AWS error code instead of the reply, or, with `fault_after` pieces, in its midst
    cut_after      pieces after which the connection breaks
    end_after      pieces after which the stream ends properly, but without its end events
    """

    text: str = ""
    chunks: tuple[str, ...] | None = None
    calls: tuple[Call, ...] = ()
    first_delay_s: float = 0.0
    token_delay_s: float = 0.0
    stop_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    fault: str | None = None
    fault_message: str = "Injected by the script."
    fault_after: int | None = None
    cut_after: int | None = None
    end_after: int | None = None

    @property
    def pieces(self) -> tuple[str, ...]:
        return self.chunks if self.chunks is not None else tuple(re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", self.text))


@checked_dataclass(frozen=True, config=_STRICT)
class Rule:
    """Reply so, at most `times` times, where the user's last words contain `match`."""

    match: str
    reply: Reply
    times: int | None = None


@checked_dataclass(frozen=True, config=_STRICT)
class Script:
    """All rules; `default` replies where none fits."""

    rules: tuple[Rule, ...] = ()
    default: Reply = Reply(text="Hello from the script.")

    @classmethod
    def parse(cls, text: str | bytes) -> "Script":
        """From JSON; raises ValueError that names what is wrong."""
        return TypeAdapter(cls).validate_json(text)

    @classmethod
    def load(cls, path: Path) -> "Script":
        return cls.parse(path.read_bytes())


class ScriptedEngine:
    """Replies what `say` and `fail` queued, in order; with an empty queue by the script's rules.

    requests   what was asked, parsed, in order
    cancelled  requests whose client went away before the end
    """

    def __init__(self, script: Script | None = None, models: tuple[ServedModel, ...] | None = None) -> None:
        self.requests: list[ChatRequest] = []
        self.cancelled: list[ChatRequest] = []
        self.cancel_seen = threading.Event()
        self._queue: deque[Reply] = deque()
        self._models = models or catalogue_models()
        self.follow(script or Script())

    def say(self, text: str = "", **how: ReplyField) -> None:
        """Queue a reply; `how` are fields of `Reply`."""
        self._queue.append(Reply(text=text, **how))

    def fail(self, code: str, message: str = "Injected by the script.", times: int = 1) -> None:
        """Queue an AWS error instead of a reply, for so many requests."""
        self._queue.extend([Reply(fault=code, fault_message=message)] * times)

    def follow(self, script: Script) -> None:
        """Reply by these rules from now on."""
        self._script = script
        self._left = [rule.times for rule in script.rules]

    def models(self) -> tuple[ServedModel, ...]:
        return self._models

    def state(self) -> State:
        return State("ready")

    def start(self) -> None:
        """Nothing is to be made ready."""

    async def close(self) -> None:
        """Nothing is held."""

    async def stream(self, request: ChatRequest) -> AsyncIterator[EngineEvent]:
        self.requests.append(request)
        reply = self._reply_to(request)
        try:
            async for event in _play(reply, request):
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(request)
            self.cancel_seen.set()
            raise

    def _reply_to(self, request: ChatRequest) -> Reply:
        if self._queue:
            return self._queue.popleft()
        words = last_words(request)
        for at, rule in enumerate(self._script.rules):
            left = self._left[at]
            if rule.match in words and left != 0:
                self._left[at] = left if left is None else left - 1
                return rule.reply
        return self._script.default


async def _play(reply: Reply, request: ChatRequest) -> AsyncIterator[EngineEvent]:
    now = asyncio.get_running_loop().time
    await asyncio.sleep(reply.first_delay_s)
    if reply.fault and reply.fault_after is None:
        raise AwsFault(reply.fault, reply.fault_message)
    yield Began(_input_tokens(reply, request))
    pieces, end = _within(reply, request)
    next_at = now()
    for number, piece in enumerate(pieces):
        _break(reply, number)
        next_at += reply.token_delay_s
        # By the clock and not by the pause, so that a busy machine does not slow the pace down.
        await asyncio.sleep(next_at - now())
        yield Piece(piece)
    _break(reply, len(pieces))
    if reply.end_after is not None and reply.end_after <= len(pieces):
        return
    for call in reply.calls:
        yield ToolUse(call.id, call.name, json.dumps(call.arguments))
    yield end


def _break(reply: Reply, sent: int) -> None:
    if reply.fault and reply.fault_after == sent:
        raise AwsFault(reply.fault, reply.fault_message)
    if reply.cut_after == sent:
        raise CutOff


def _within(reply: Reply, request: ChatRequest) -> tuple[tuple[str, ...], End]:
    """The pieces that the request's own limits let through, and how they end."""
    pieces, stop_reason, met = reply.pieces, "tool_use" if reply.calls else "end_turn", None
    text = "".join(pieces)
    found = [(text.index(stop), stop) for stop in request.stop_sequences if stop in text]
    if found:
        at, met = min(found)
        pieces, stop_reason = _cut(pieces, at), "stop_sequence"
    if request.max_tokens is not None and len(pieces) > request.max_tokens:
        pieces, stop_reason, met = pieces[: request.max_tokens], "max_tokens", None
    if reply.end_after is not None:
        pieces = pieces[: reply.end_after]
    tokens = reply.output_tokens if reply.output_tokens is not None else len(pieces) + len(reply.calls)
    return pieces, End(reply.stop_reason or stop_reason, tokens, met)


def _cut(pieces: tuple[str, ...], chars: int) -> tuple[str, ...]:
    kept = []
    for piece in pieces:
        if chars <= 0:
            break
        kept.append(piece[:chars])
        chars -= len(piece)
    return tuple(kept)


def _input_tokens(reply: Reply, request: ChatRequest) -> int:
    if reply.input_tokens is not None:
        return reply.input_tokens
    return -(-(len(request.system) + sum(len(turn.text) for turn in request.turns)) // 4)


def last_words(request: ChatRequest) -> str:
    """What the user said last, without what tools answered."""
    return next((turn.text for turn in reversed(request.turns) if turn.role == "user" and turn.text), "")


class ScriptedServer:
    """A scripted Bedrock on loopback in a thread of this process, for as long as the `with` lasts."""

    def __init__(self, script: Script | None = None, models: tuple[ServedModel, ...] | None = None) -> None:
        self.engine = ScriptedEngine(script, models)
        self._server = ThreadedServer(build(self.engine))
        self.url = self._server.url

    @property
    def requests(self) -> list[ChatRequest]:
        """What was asked, parsed, in order."""
        return self.engine.requests

    def __enter__(self) -> "ScriptedServer":
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
