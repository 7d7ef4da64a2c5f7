"""The Prompt Lab under load: four answers side by side, and pages while a test set of 200 rows is tried."""

import asyncio
import re
import statistics
import time
from collections import defaultdict
from itertools import pairwise

from benchmarks.app import App, app
from benchmarks.rows import Row
from benchmarks.streamlit_client import Client
from codecoach.i18n import Language, text
from codecoach.lab.cases import Cases, Check
from codecoach.lab.sheet import Sheet
from codecoach.services import DATABASE
from codecoach.store.case_sets import CaseSet, CaseSets
from codecoach.store.evaluations import Evaluations
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Draft, Templates

COLUMNS = 4
TOKENS = 500
TOKEN_S = 0.02
CASES = 200
USER = "lab@example.com"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
RULES: dict[str, object] = {
    "rules": [
        {
            "match": "Case ",
            "reply": {"text": "It is a fine answer of some ten words, all in all.", "token_delay_s": 0.01},
        }
    ],
    "default": {"chunks": [f"w{number} " for number in range(TOKENS)], "token_delay_s": TOKEN_S},
}


class Columns:
    """When each column of a page showed more."""

    def __init__(self) -> None:
        self.updates: dict[tuple[int, ...], list[float]] = defaultdict(list)
        self.newest: dict[tuple[int, ...], int] = {}
        self.whole = asyncio.Event()

    def text(self, words: str, now: float, path: tuple[int, ...]) -> None:
        numbers = [int(number) for number in re.findall(r"\bw(\d+)", words)]
        if numbers and max(numbers) > self.newest.get(path, -1):
            self.updates[path].append(now)
            self.newest[path] = max(numbers)
            if sum(newest == TOKENS - 1 for newest in self.newest.values()) == COLUMNS:
                self.whole.set()

    def gaps_ms(self) -> list[float]:
        """Between one update of a column and its next, over all columns."""
        shared = next(at for at, steps in enumerate(zip(*self.updates, strict=False)) if len(set(steps)) > 1)
        columns: dict[tuple[int, ...], list[float]] = defaultdict(list)
        for path, times in self.updates.items():
            columns[path[: shared + 1]] += times
        return sorted((b - a) * 1000 for times in map(sorted, columns.values()) for a, b in pairwise(times))


def _said(key: str) -> str:
    return text(Language.EN, f"lab.{key}")


async def compare(running: App) -> list[Row]:
    """Four columns at 50 tokens/s each."""
    client = Client(running.url, running.cookie(USER), "Prompt_Lab")
    await client.open()
    await client.choose("lab:mode", _said("mode_compare"))
    await client.choose("lab:columns", str(COLUMNS))
    columns = Columns()
    client.on_text_at = columns.text
    await client.press("lab:submit_all")
    await asyncio.wait_for(columns.whole.wait(), 120)
    await client.close()
    gaps = columns.gaps_ms()
    p95 = gaps[int(len(gaps) * 0.95)]
    name = f"lab: {COLUMNS} columns at {1 / TOKEN_S:.0f} tokens/s each: "
    return [
        Row(name + "between updates, p95", p95, "ms", "under 120 ms", p95 < 120),
        Row(name + "worst gap", gaps[-1], "ms"),
    ]


async def test_set(running: App) -> list[Row]:
    """How quick pages are while 200 cases are tried, four at a time, and with the results on the page."""
    lab = Client(running.url, running.cookie(USER), "Prompt_Lab")
    await lab.open()
    await lab.choose("lab:mode", _said("mode_test"))
    idle = statistics.median([await lab.rerun() for _ in range(10)]) * 1000
    other = Client(running.url, running.cookie("other@example.com"), "Chat")
    await other.open()
    await lab.press("lab:start_test")
    began = time.monotonic()
    await asyncio.sleep(1)
    took = [await other.rerun() for _ in range(20)]
    table = SqliteTable(running.data_dir / DATABASE)
    try:
        while not (found := Evaluations(table).list(USER)) or found[0].done < CASES:
            took.append(await other.rerun())
            await asyncio.sleep(0.2)
        lasted = time.monotonic() - began
        whole = statistics.median([await lab.rerun() for _ in range(10)]) * 1000
    finally:
        table.close()
    await lab.close()
    await other.close()
    meanwhile = statistics.median(took) * 1000
    return [
        Row(f"lab: page of a test set of {CASES} rows, rerun", idle, "ms", "under 120 ms", idle < 120),
        Row(f"lab: {CASES} rows tried", lasted, "s"),
        Row("lab: another user's page meanwhile, rerun", meanwhile, "ms", "under 60 ms", meanwhile < 60),
        Row("lab: the same page with its results, rerun", whole, "ms", "under 200 ms", whole < 200),
    ]


def _prepare(running: App) -> None:
    rows = tuple((f"Case {number}", "fine") for number in range(CASES))
    table = SqliteTable(running.data_dir / DATABASE)
    Templates(table).keep_draft(USER, Draft(Sheet("Say {word}.", model_id=MODEL, values={"word": "something"})))
    CaseSets(table).save(CaseSet("", USER, "Words", Cases(("word", "expected"), rows, (Check("contains"),))))
    table.close()


async def _all(running: App) -> list[Row]:
    return await compare(running) + await test_set(running)


def run() -> list[Row]:
    with app(RULES) as running:
        _prepare(running)
        return asyncio.run(_all(running))
