"""Times that can be compared though the machine is busy."""

import statistics
import time
from collections.abc import Callable


def alternating(runs: int, *works: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Median milliseconds of each work, taken in turns so that a busy moment of the machine hits all of them.

    Each is done once before, so that caches are warm. `clock` may also be `time.thread_time`, for what is all computing.
    """
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for work, taken in zip(works, times, strict=True):
            began = clock()
            work()
            taken.append((clock() - began) * 1000)
    return [statistics.median(taken) for taken in times]
