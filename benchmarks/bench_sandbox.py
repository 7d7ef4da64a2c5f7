"""What the sandbox adds to a program: `print(1)` in it against the bare interpreter, and how many run side by side."""

import statistics
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.rows import Row
from codecoach.runner import packages
from codecoach.runner.port import File, RunRequest
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

RUNS = 50
PROGRAMS = {
    "python": ("main.py", b"print(1)", ["bin/python3", "-c", "print(1)"]),
    "javascript": ("main.mjs", b"console.log(1)", ["bin/node", "-e", "console.log(1)"]),
    "bash": ("main.sh", b"echo 1", ["/usr/bin/bash", "-c", "echo 1"]),
}


def run() -> list[Row]:
    settings = Settings()
    sandbox = Sandbox(settings)
    rows: list[Row] = []
    try:
        for language, (name, source, bare) in PROGRAMS.items():
            built = packages.install(language, settings.cache_dir)
            folder = packages.runtimes_folder(settings.cache_dir) / built.folder
            command = [str(folder / bare[0]), *bare[1:]]
            request = (language, (File(name, source),))
            without, within = _alternating(
                lambda command=command: subprocess.run(command, check=True, stdout=subprocess.DEVNULL),
                lambda request=request: _in(sandbox, *request),
            )
            added = within - without
            rows.append(Row(f"{language}, one print: bare", without, "ms"))
            rows.append(Row(f"{language}, one print: in the sandbox", within, "ms"))
            rows.append(Row(f"{language}, what the sandbox adds", added, "ms", "at most +25 ms", added <= 25))
        rows += [_throughput(sandbox, clients) for clients in (1, 4, 16)]
    finally:
        sandbox.close()
    return rows


def _in(sandbox: Sandbox, language: str, files: tuple[File, ...]) -> None:
    for _ in sandbox.run(RunRequest(uuid.uuid4().hex, language, files)):
        pass


def _alternating(*works: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, taken in turns so that a busy moment of the machine hits all of them."""
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(RUNS):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
    return [statistics.median(taken) for taken in times]


def _throughput(sandbox: Sandbox, clients: int) -> Row:
    files = (File("main.py", b"print(1)"),)
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: _in(sandbox, "python", files), range(RUNS)))
    return Row(f"python, one print, {clients} at a time", RUNS / (time.perf_counter() - began), "runs/s")
