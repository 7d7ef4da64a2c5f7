"""`python -m benchmarks [WORD...]`: run the benchmarks whose file names hold one of the words, or all."""

import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.rows import Row, table


def names() -> list[str]:
    found = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if m.name.startswith("bench_"))
    words = sys.argv[1:]
    return [name for name in found if not words or any(word in name for word in words)]


def main() -> None:
    rows: list[Row] = []
    for name in names():
        print(f"{name}...", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"benchmarks.{name}").run()
    print(table(rows))


main()
