"""Times that can be compared though the machine is busy."""

import statistics
import time
from collections.abc import Callable


def alternating(runs: int, *works: Callable[[], object]) -> list[float]:
    """Median milliseconds of each work, taken in turns so that a busy moment of the machine hits all of them.

    Each is done once before, so that caches are warm.
    """
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
    return [statistics.median(taken) for taken in times]
