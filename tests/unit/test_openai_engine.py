"""An OpenAI-compatible endpoint as the embedded model, and its errors as AWS's, against a small server of that kind."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from codecoach.local.engine import Began, End, Piece
from codecoach.local.openai_compatible import OpenAiEngine
from codecoach.local.plain import Prompt, Said
from codecoach.local.wire.faults import AwsFault

HI = Prompt((Said("system", "Be brief."), Said("user", "hi")))


def delta(text: str | None = None, finish: str | None = None) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}


class Endpoint(ThreadingHTTPServer):
    """Answers with `chunks`, or with `error`; `hangs` after the chunks until the client has gone."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.chunks: list[object] = []
        self.done_mark = True
        self.hangs = False
        self.client_left = threading.Event()
        self.error: tuple[int, object] | None = None
        self.bodies: list[dict[str, object]] = []
        self.keys: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.keys.append(self.headers["Authorization"])
        if self.server.error or self.path != "/v1/chat/completions":
            status, body = self.server.error or (404, "no such path")
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": a comment\n\n")
        for chunk in self.server.chunks:
            text = chunk if isinstance(chunk, str) else json.dumps(chunk)
            self.wfile.write(f"data: {text}\n\n".encode())
        if self.server.hangs:
            self.connection.recv(1)
            self.server.client_left.set()
        elif self.server.done_mark:
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def answer(url: str, prompt: Prompt = HI, key: str = "") -> list[Began | Piece | End]:
    async def collect() -> list[Began | Piece | End]:
        engine = OpenAiEngine(url, "some-coder:7b", key)
        try:
            return [event async for event in engine.complete(prompt)]
        finally:
            await engine.close()

    return asyncio.run(collect())


def text_of(events: list[Began | Piece | End]) -> str:
    return "".join(event.text for event in events if isinstance(event, Piece))


def test_a_reply_streams_with_the_endpoints_own_counts(endpoint):
    endpoint.chunks = [delta("Hello"), delta(" 世界"), delta(finish="stop"), USAGE]
    events = answer(endpoint.url + "/", key="s3cret")
    assert text_of(events) == "Hello 世界"
    assert events[-1] == End("end_turn", 7, input_tokens=11)
    assert endpoint.keys == ["Bearer s3cret"]
    assert endpoint.bodies[0]["model"] == "some-coder:7b"
    assert endpoint.bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_without_a_key_none_is_sent(endpoint):
    endpoint.chunks = [delta("x", "stop")]
    answer(endpoint.url)
    assert endpoint.keys == [None]


def test_only_what_was_asked_for_is_passed_on(endpoint):
    endpoint.chunks = [delta("x", "stop")]
    answer(endpoint.url)
    assert {"max_tokens", "temperature", "top_p", "response_format"} & endpoint.bodies[0].keys() == set()
    answer(endpoint.url, Prompt(HI.messages, 9, 0.0, 0.5, schema={"type": "object"}))
    body = endpoint.bodies[1]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (9, 0.0, 0.5)
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_a_limit_is_told(endpoint):
    endpoint.chunks = [delta("Hello"), delta(finish="length"), USAGE]
    assert answer(endpoint.url)[-1].stop_reason == "max_tokens"


def test_an_endpoint_that_counts_nothing_is_counted_for(endpoint):
    endpoint.chunks = [delta("one"), delta(" two"), delta(finish="stop")]
    events = answer(endpoint.url)
    assert events[0] == Began(3)
    assert events[-1].output_tokens == 2


@pytest.mark.parametrize("pieces", [["Hello END more"], ["Hello E", "ND more"], list("Hello END more")])
def test_a_stop_sequence_is_found_wherever_the_pieces_break(endpoint, pieces):
    endpoint.chunks = [delta(piece) for piece in pieces]
    events = answer(endpoint.url, Prompt(HI.messages, stop_sequences=("END", "never")))
    assert text_of(events) == "Hello "
    assert (events[-1].stop_reason, events[-1].stop_sequence) == ("stop_sequence", "END")


def test_what_only_begins_like_a_stop_sequence_is_kept(endpoint):
    endpoint.chunks = [delta("Hello EN"), delta(finish="stop")]
    assert text_of(answer(endpoint.url, Prompt(HI.messages, stop_sequences=("END",)))) == "Hello EN"


def test_closing_hangs_up(endpoint):
    endpoint.chunks, endpoint.hangs = [delta("Hello")], True

    async def first_piece_only() -> None:
        engine = OpenAiEngine(endpoint.url, "m")
        async with aclosing(engine.complete(HI)) as events:
            async for event in events:
                if isinstance(event, Piece):
                    break
        await engine.close()

    asyncio.run(first_piece_only())
    assert endpoint.client_left.wait(10)


def said(message: str) -> dict[str, object]:
    return {"error": {"message": message, "type": "x"}}


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (401, said("Incorrect API key"), "AccessDeniedException", "Incorrect API key"),
        (404, {"error": "model 'x' not found, try pulling it first"}, "ResourceNotFoundException", "not found"),
        (429, said("slow down"), "ThrottlingException", "slow down"),
        (400, said("maximum context length is 4096 tokens"), "ValidationException", "Input is too long"),
        (400, said("temperature must be positive"), "ValidationException", "temperature must be positive"),
        (500, said("out of memory"), "ServiceUnavailableException", "out of memory"),
        (502, "<html>bad gateway</html>", "ServiceUnavailableException", "bad gateway"),
    ],
)
def test_errors_are_aws_errors(endpoint, status, body, code, message):
    endpoint.error = (status, body)
    with pytest.raises(AwsFault, match=message) as caught:
        answer(endpoint.url)
    assert caught.value.code == code


def test_an_endpoint_that_is_not_there_is_named():
    with pytest.raises(AwsFault, match=r"http://127\.0\.0\.1:9/v1 cannot be reached") as caught:
        answer("http://127.0.0.1:9/v1")
    assert caught.value.code == "ServiceUnavailableException"


@pytest.mark.parametrize(
    "chunks", [[delta("Hello")], [delta("Hello"), said("the GPU is gone")], [delta("Hello"), "{broken"]]
)
def test_a_stream_that_goes_wrong_is_a_stream_error(endpoint, chunks):
    endpoint.chunks, endpoint.done_mark = chunks, False
    with pytest.raises(AwsFault) as caught:
        answer(endpoint.url)
    assert caught.value.code == "ModelStreamErrorException"
