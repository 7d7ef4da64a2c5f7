"""The web app under load: streaming to many sessions at once, reruns, first token, start."""

import asyncio
import re
import statistics
import time
from dataclasses import dataclass, field

from benchmarks.app import App, app, cpu_s
from benchmarks.rows import Row
from benchmarks.streamlit_client import Client, gather
from codecoach.models.clients import clients
from codecoach.settings import Settings

TOKENS = 500
TOKEN_S = 0.02
START_WITHIN_S = 2.0
MODEL = "local.qwen2.5-coder-1.5b-instruct"
# Prose in paragraphs with a program in the middle, as real answers come; each token carries its number.
REPLY_TOKENS = [
    f"w{i} "
    + (
        "\n\n```python\n"
        if i == 150
        else "\n```\n\n"
        if i == 300
        else "\n\n"
        if i % 60 == 59
        else "\n"
        if 150 < i < 300 and i % 8 == 0
        else ""
    )
    for i in range(TOKENS)
]
RULES: dict[str, object] = {"default": {"chunks": REPLY_TOKENS, "token_delay_s": TOKEN_S}}


@dataclass
class Watch:
    """When each token of one answer became visible in the browser, in seconds of the monotonic clock."""

    seen: dict[int, float] = field(default_factory=dict)
    updates: list[float] = field(default_factory=list)
    newest: int = -1
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    whole: asyncio.Event = field(default_factory=asyncio.Event)

    def text(self, text: str, now: float) -> None:
        numbers = [int(number) for number in re.findall(r"\bw(\d+)", text)]
        if numbers and max(numbers) > self.newest:
            self.seen |= dict.fromkeys(range(self.newest + 1, max(numbers) + 1), now)
            self.newest = max(numbers)
            self.updates.append(now)
            self.begun.set()
            if self.newest == TOKENS - 1:
                self.whole.set()

    def lags_s(self) -> list[float]:
        """How far behind its due time each token was seen; the promptest token of the answer counts as in time."""
        behind = [at - TOKEN_S * number for number, at in self.seen.items()]
        return [lag - min(behind) for lag in behind]

    def worst_gap_s(self) -> float:
        return max(b - a for a, b in zip(self.updates, self.updates[1:], strict=False))


async def stream(running: App, sessions: int) -> list[Row]:
    """`sessions` people ask at once; figures per answer."""

    async def opened(index: int) -> Client:
        client = Client(running.url, running.cookie(f"user{index}@example.com"), "Chat")
        await client.open()
        return client

    tabs = await gather(sessions, opened)
    watches = [Watch() for _ in tabs]
    for tab, watch in zip(tabs, watches, strict=True):
        tab.on_text = watch.text
    before, bytes_before = cpu_s(running.web), [tab.bytes_in for tab in tabs]
    for tab in tabs:
        await tab.submit_chat("Please tell me something long.")
        # People do not press Enter in the same millisecond; within two seconds is crowd enough.
        await asyncio.sleep(START_WITHIN_S / sessions)
    await asyncio.wait_for(asyncio.gather(*(watch.whole.wait() for watch in watches)), 120)
    await asyncio.sleep(1)  # the end of the answers, and what is drawn under them, belongs to the figures
    used = cpu_s(running.web) - before
    kb = statistics.mean(tab.bytes_in - start for tab, start in zip(tabs, bytes_before, strict=True)) / 1000
    for tab in tabs:
        await tab.close()
    lags = sorted(lag for watch in watches for lag in watch.lags_s())
    p95_ms = lags[int(len(lags) * 0.95)] * 1000
    gap_ms = max(watch.worst_gap_s() for watch in watches) * 1000
    cpu = used / sessions
    name = f"{sessions} sessions, {TOKENS} tokens at {1 / TOKEN_S:.0f}/s: "
    return [
        Row(name + "lag p95", p95_ms, "ms", "under 60 ms", p95_ms < 60),
        Row(name + "worst gap", gap_ms, "ms", "under 200 ms", gap_ms < 200),
        Row(name + "sent per answer", kb, "KB", "under 45 KB", kb < 45),
        Row(name + "CPU per answer", cpu, "s", "under 0.13 s", cpu < 0.13),
    ]


async def reruns(running: App) -> list[Row]:
    """How long one person's page takes to run again."""
    client = Client(running.url, running.cookie("reruns@example.com"), "Chat")
    await client.open()
    watch = Watch()
    client.on_text = watch.text
    await client.submit_chat("Something to look at.")
    await watch.whole.wait()
    await asyncio.sleep(1)
    took_ms = statistics.median([await client.rerun() for _ in range(40)]) * 1000
    await client.close()
    return [Row("page rerun, median", took_ms, "ms", "under 60 ms", took_ms < 60)]


async def first_token(running: App) -> list[Row]:
    """From sending to the first words on the page, against boto3 alone on the same endpoint."""
    through_app = []
    for index in range(9):
        client = Client(running.url, running.cookie(f"first{index}@example.com"), "Chat")
        await client.open()
        watch = Watch()
        client.on_text = watch.text
        began = time.monotonic()
        await client.submit_chat("hello")
        await asyncio.wait_for(watch.begun.wait(), 30)
        await client.close()
        through_app.append(watch.updates[0] - began)
    alone = await asyncio.to_thread(_boto3_first_token, running.endpoint_url)
    more_ms = (statistics.median(through_app) - alone) * 1000
    return [
        Row("first token, boto3 alone", alone * 1000, "ms"),
        Row("first token, through the app", statistics.median(through_app) * 1000, "ms"),
        Row("first token, the app's part", more_ms, "ms", "at most +50 ms", more_ms <= 50),
    ]


def _boto3_first_token(endpoint_url: str) -> float:
    runtime = clients(Settings(bedrock_endpoint_url=endpoint_url)).runtime
    took = []
    for _ in range(9):
        began = time.monotonic()
        reply = runtime.converse_stream(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "hello"}]}])
        for event in reply["stream"]:
            if "contentBlockDelta" in event:
                took.append(time.monotonic() - began)
                break
        reply["stream"].close()
    return statistics.median(took)


async def first_page(running: App) -> list[Row]:
    began = time.monotonic()
    client = Client(running.url, "", "")
    await client.open()
    await client.close()
    took = running.started_s + time.monotonic() - began
    return [Row("start of the app to its first page", took, "s", "under 3 s", took < 3)]


async def _all(running: App) -> list[Row]:
    rows = await first_page(running)
    rows += await first_token(running)
    rows += await reruns(running)
    for sessions in (25, 50):
        rows += await stream(running, sessions)
    return rows


def run() -> list[Row]:
    with app(RULES) as running:
        return asyncio.run(_all(running))
