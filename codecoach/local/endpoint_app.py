"""The HTTP side of the local Bedrock endpoint: routes, answers, errors, and clients that go away.

    client ── request ──> read, validated by botocore's model ──> engine ──> events ──> frames ──> client
                                                                    ^
    client closes ────────── the task is cancelled ─────────────────┘  the generation stops

Whatever fails before the first event is an HTTP error; after it, an exception frame in the stream, as AWS does it.
"""

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from codecoach.local import served
from codecoach.local.engine import ChatRequest, Engine, EngineEvent
from codecoach.local.wire import bodies, converse, eventstream, listing, metrics, shapes
from codecoach.local.wire.faults import AwsFault, CutOff

_log = logging.getLogger("codecoach.local.endpoint")


class Exchange:
    """One request and its answer."""

    def __init__(self, request: Request, send: Send) -> None:
        self.request = request
        self.id = str(uuid.uuid4())
        self.status = 0
        self._send = send

    async def begin(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        self.status = status
        all_headers = {"content-type": content_type, "x-amzn-RequestId": self.id, **headers}
        raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in all_headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def finish(self, content: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": content})

    async def answer(
        self, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None, status: int = 200
    ) -> None:
        content = json.dumps(payload, ensure_ascii=False).encode()
        await self.begin(status, "application/json", {"content-length": str(len(content)), **(headers or {})})
        await self.finish(content)

    async def refuse(self, fault: AwsFault) -> None:
        await self.answer({"message": fault.message}, {"x-amzn-ErrorType": fault.code}, fault.status)

    async def stream(self, frames: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        """Frames as they come. The head waits for the first one, so that what fails before it is an HTTP error."""
        async with aclosing(frames):
            try:
                async for frame in frames:
                    if not self.status:
                        await self.begin(200, eventstream.CONTENT_TYPE, headers)
                    await self.write(frame)
            except AwsFault as fault:
                if not self.status:
                    raise
                await self.write(eventstream.exception(_member(fault.code), fault.message))
        await self.finish()


Handler = Callable[[Exchange, Engine], Awaitable[None]]


class Operation:
    """An ASGI application for one operation: nothing that it raises reaches the server, no client that left keeps it busy."""

    def __init__(self, engine: Engine, handler: Handler) -> None:
        self._engine = engine
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        exchange = Exchange(request, send)
        began_at = time.monotonic()
        ended = "ok"
        try:
            await request.body()
            await _while_connected(receive, self._handled(exchange))
        except ClientDisconnect:
            ended = "client left"
        except CutOff:
            # Returning without the end of the body makes the server close the connection: what is wanted here.
            ended = "cut"
        took_ms = round((time.monotonic() - began_at) * 1000)
        _log.info("%s %s %s %s %d ms", request.method, request.url.path, exchange.status or "-", ended, took_ms)

    async def _handled(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange, self._engine)
        except AwsFault as fault:
            await exchange.refuse(fault)
        except (CutOff, asyncio.CancelledError):
            raise
        except Exception:
            _log.exception("a fault of the endpoint's own (request %s)", exchange.id)
            if exchange.status:
                raise CutOff from None
            await exchange.refuse(AwsFault("InternalServerException", "The local endpoint failed; its log says why."))


async def _while_connected(receive: Receive, work: Awaitable[None]) -> None:
    """Do the work, but cancel it as soon as the client closes; raises ClientDisconnect then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _member(code: str) -> str:
    """`ThrottlingException` is `throttlingException` in a stream."""
    return code[0].lower() + code[1:]


async def _parameters(exchange: Exchange, service: str, name: str) -> dict[str, Any]:
    request = exchange.request
    operation = shapes.operation(service, name)
    return shapes.parameters(
        operation, request.path_params, request.query_params, request.headers, await request.body()
    )


async def _converse(exchange: Exchange, engine: Engine) -> None:
    async with _replies(engine, await _converse_request(exchange, engine, "Converse")) as replies:
        answer = await converse.whole(replies)
    await exchange.answer(answer)


async def _converse_stream(exchange: Exchange, engine: Engine) -> None:
    async with _replies(engine, await _converse_request(exchange, engine, "ConverseStream")) as replies:
        await exchange.stream(_frames(converse.events(replies)), {})


async def _converse_request(exchange: Exchange, engine: Engine, name: str) -> ChatRequest:
    parameters = await _parameters(exchange, "bedrock-runtime", name)
    return converse.chat_request(served.find(engine.models(), parameters["modelId"]), parameters)


async def _invoke(exchange: Exchange, engine: Engine) -> None:
    body, request = await _invoke_request(exchange, engine, "InvokeModel")
    async with _replies(engine, request) as replies:
        streamed = [chunk async for chunk in body.chunks(replies, request)]
    measured = streamed[-1].pop(metrics.KEY)
    names = {
        "Input-Token-Count": "inputTokenCount",
        "Output-Token-Count": "outputTokenCount",
        "Invocation-Latency": "invocationLatency",
    }
    headers = {f"X-Amzn-Bedrock-{header}": str(measured[name]) for header, name in names.items()}
    await exchange.answer(body.whole(streamed), headers)


async def _invoke_stream(exchange: Exchange, engine: Engine) -> None:
    body, request = await _invoke_request(exchange, engine, "InvokeModelWithResponseStream")
    async with _replies(engine, request) as replies:
        chunks = _chunk_frames(body.chunks(replies, request))
        await exchange.stream(chunks, {"X-Amzn-Bedrock-Content-Type": "application/json"})


async def _invoke_request(exchange: Exchange, engine: Engine, name: str) -> tuple[bodies.Body, ChatRequest]:
    parameters = await _parameters(exchange, "bedrock-runtime", name)
    model_id = parameters["modelId"]
    return bodies.parse(served.find(engine.models(), model_id), model_id, parameters["body"])


async def _chunk_frames(chunks: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    async for chunk in chunks:
        content = json.dumps(chunk, ensure_ascii=False).encode()
        yield eventstream.event("chunk", {"bytes": base64.b64encode(content).decode()})


def _replies(engine: Engine, request: ChatRequest) -> "aclosing[AsyncGenerator[EngineEvent, None]]":
    return aclosing(cast("AsyncGenerator[EngineEvent, None]", engine.stream(request)))


async def _frames(events: AsyncIterator[converse.Event]) -> AsyncGenerator[bytes, None]:
    async for name, payload in events:
        yield eventstream.event(name, payload)


def _listed(name: str, answer: Callable[..., dict[str, Any]]) -> Handler:
    async def handle(exchange: Exchange, engine: Engine) -> None:
        await exchange.answer(answer(engine.models(), await _parameters(exchange, "bedrock", name)))

    return handle


async def _state(exchange: Exchange, engine: Engine) -> None:
    """Not AWS's: how the engine is, for who shows it."""
    state = engine.state()
    models = [model.id for model in engine.models() if model.listed]
    await exchange.answer({"state": state.state, "detail": dict(state.detail), "models": models})


async def _unknown(exchange: Exchange, _: Engine) -> None:
    raise AwsFault(
        "UnknownOperationException", f"{exchange.request.method} {exchange.request.url.path} is not served here."
    )


def build(engine: Engine, more: tuple[Route, ...] = ()) -> Starlette:
    """The endpoint as an ASGI application; `more` routes come first."""
    for name in ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"):
        # Read now: the first request need not wait for botocore's files.
        shapes.operation("bedrock-runtime", name)
    engine.models()
    handlers: tuple[tuple[str, str, Handler], ...] = (
        ("POST", "/model/{modelId:path}/converse", _converse),
        ("POST", "/model/{modelId:path}/converse-stream", _converse_stream),
        ("POST", "/model/{modelId:path}/invoke", _invoke),
        ("POST", "/model/{modelId:path}/invoke-with-response-stream", _invoke_stream),
        ("GET", "/foundation-models", _listed("ListFoundationModels", listing.foundation_models)),
        ("GET", "/foundation-models/{modelIdentifier:path}", _listed("GetFoundationModel", listing.foundation_model)),
        ("GET", "/inference-profiles", _listed("ListInferenceProfiles", listing.inference_profiles)),
        ("GET", "/state", _state),
    )
    routes = [Route(path, Operation(engine, handler), methods=[method]) for method, path, handler in handlers]
    everything = Route("/{path:path}", Operation(engine, _unknown), methods=["GET", "POST", "PUT", "DELETE"])
    return Starlette(routes=[*more, *routes, everything])
