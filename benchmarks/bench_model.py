"""What a reply costs below the page: the adapter against boto3 alone, and 25 replies written, saved and looked at at once.

The scripted endpoint is a process of its own, so that its work is not counted.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rows import Row
from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.generation import Generations
from codecoach.models import converse
from codecoach.models.clients import Clients, clients
from codecoach.models.converse import ConverseModel
from codecoach.models.port import ModelRequest, Turn
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable

MODEL = "local.qwen2.5-coder-1.5b-instruct"
SESSIONS = 25
TOKENS = 500
TOKEN_S = 0.02
ONE_TOKEN, ANSWER = "one token", "an answer"
SCRIPT = {
    "rules": [
        {"match": ONE_TOKEN, "reply": {"text": "Hi"}},
        {"match": ANSWER, "reply": {"chunks": ["word "] * TOKENS, "token_delay_s": TOKEN_S}},
    ]
}


def run() -> list[Row]:
    with _endpoint() as url:
        made = clients(Settings(bedrock_endpoint_url=url))
        model = ConverseModel(made.runtime, made.control)
        converse.warm()
        alone_s = _first_token_s(lambda: next(_boto(made, ONE_TOKEN)))
        ours_s = _first_token_s(lambda: next(iter(model.stream(_request(ONE_TOKEN)))))
        alone_cpu_s = _cpu_s(lambda: list(_boto(made, ANSWER)))
        ours_cpu_s = _cpu_s(lambda: list(model.stream(_request(ANSWER))))
        whole_cpu_s, lags_s = _written_and_looked_at(model)
    extra_ms = 1000 * (ours_s - alone_s)
    lag_ms = 1000 * statistics.quantiles(lags_s, n=20)[-1]
    each = f"CPU of one of {SESSIONS} answers of {TOKENS} tokens"
    return [
        Row("model: first token, boto3 alone", 1000 * alone_s, "ms"),
        Row("model: first token, ours behind it", extra_ms, "ms", "at most +50 ms", extra_ms <= 50),
        Row(f"model: {each}, boto3 alone", alone_cpu_s, "s"),
        Row(f"model: {each}, ours", ours_cpu_s, "s"),
        Row(f"model: {each}, saved and looked at", whole_cpu_s, "s", "under 0.13 s", whole_cpu_s < 0.13),
        Row("model: a word's lag behind its due time, p95", lag_ms, "ms", "under 60 ms", lag_ms < 60),
    ]


@contextmanager
def _endpoint() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.json"
        script.write_text(json.dumps(SCRIPT))
        argv = [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--scripted", str(script), "--port", "0"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _request(words: str) -> ModelRequest:
    return ModelRequest(MODEL, (Turn(Role.USER, words),))


def _boto(made: Clients, words: str) -> Iterator[str]:
    asked = [{"role": "user", "content": [{"text": words}]}]
    for event in made.runtime.converse_stream(modelId=MODEL, messages=asked)["stream"]:
        if "contentBlockDelta" in event:
            yield event["contentBlockDelta"]["delta"]["text"]


def _first_token_s(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(30):
        started = time.perf_counter()
        ask()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _cpu_s(answer: Callable[[], object]) -> float:
    started = time.process_time()
    _at_once([answer] * SESSIONS)
    return (time.process_time() - started) / SESSIONS


def _written_and_looked_at(model: ConverseModel) -> tuple[float, list[float]]:
    """CPU seconds of one answer, and how late each look saw its newest word."""
    lags: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        table = SqliteTable(Path(folder) / "codecoach.sqlite")
        conversations = Conversations(table)
        generations = Generations(model, conversations)

        def look_on() -> None:
            now = datetime.now(UTC)
            message = Message(conversations.new_message_id(), Role.ASSISTANT, "", now, MessageState.STREAMING)
            running = generations.start(message.id, _request(ANSWER), message)
            seen, first_at = 0, 0.0
            while not running.done:
                words = len(running.wait(seen, 10).text)
                at = time.monotonic()
                first_at = first_at or at
                # Every word that is new in this look, by when it was due.
                lags.extend(at - first_at - TOKEN_S * (word / 5) for word in range(seen, words, 5))
                seen = words

        started = time.process_time()
        _at_once([look_on] * SESSIONS)
        cpu_s = (time.process_time() - started) / SESSIONS
        table.close()
    return cpu_s, lags


def _at_once(tasks: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
