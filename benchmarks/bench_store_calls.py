"""What one person costs the table: calls of DynamoDB for an answer, for looking at pages, and for nothing at all.

Counted at a simulated DynamoDB. Units are at most those: a write is taken for as large as its whole request.
"""

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from benchmarks.app import app, cookie
from benchmarks.bench_pages import RULES, Watch
from benchmarks.rows import Row
from benchmarks.streamlit_client import Client
from codecoach.store import dynamodb, dynamodb_table

REGION, TABLE = "us-east-1", "codecoach"
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
RERUNS = 20
IDLE_S = 20.0


class Counted:
    """WSGI: counts what passes; `reads` and `writes` are calls, `kb` of writes each rounded up."""

    def __init__(self, behind: Callable[..., object]) -> None:
        self._behind = behind
        self.calls: Counter[str] = Counter()
        self.write_units = 0

    def __call__(self, environ: dict[str, str], start: Callable[..., object]) -> object:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        self.calls[operation] += 1
        if operation in WRITES:
            twice = 2 if operation == "TransactWriteItems" else 1
            self.write_units += twice * math.ceil(int(environ.get("CONTENT_LENGTH") or 1) / 1024)
        return self._behind(environ, start)

    def taken(self) -> tuple[int, int, int]:
        """(reads, writes, write units) since the last time."""
        writes = sum(self.calls[name] for name in WRITES)
        found = self.calls.total() - writes, writes, self.write_units
        self.calls.clear()
        self.write_units = 0
        return found


@contextmanager
def counted_dynamodb() -> Iterator[tuple[str, Counted]]:
    counted = Counted(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counted, threaded=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}", counted
    server.shutdown()


def run() -> list[Row]:
    with counted_dynamodb() as (url, counted):
        client = dynamodb.client(REGION, url)
        dynamodb_table.ensure(client, TABLE)
        table = dynamodb.DynamoTable(client, TABLE)
        with app(RULES, {"CODECOACH_DYNAMODB_ENDPOINT_URL": url, "CODECOACH_TABLE": TABLE}) as running:
            return asyncio.run(_person(Client(running.url, cookie(table, "one@example.com"), "Chat"), counted))


async def _person(tab: Client, counted: Counted) -> list[Row]:
    await tab.open()
    await tab.rerun()
    counted.taken()
    began = time.monotonic()
    await asyncio.sleep(IDLE_S)
    reads, writes, _ = counted.taken()
    idle_s = time.monotonic() - began
    rows = [Row("table: an instance with one idle page, calls", (reads + writes) / idle_s * 60, "a minute")]
    for _ in range(RERUNS):
        await tab.rerun()
    reads, writes, _ = counted.taken()
    rows.append(Row("table: a page's rerun, calls", (reads + writes) / RERUNS, "a rerun"))
    watch = Watch()
    tab.on_text = watch.text
    await tab.submit_chat("Please tell me something long.")
    await watch.whole.wait()
    await asyncio.sleep(2)
    reads, writes, units = counted.taken()
    await tab.close()
    rows.append(Row("table: an answer of 500 tokens in 10 s, reads", reads, "calls"))
    rows.append(Row("table: an answer of 500 tokens in 10 s, writes", writes, "calls"))
    rows.append(Row("table: an answer of 500 tokens in 10 s, write units", units, "at most"))
    return rows
