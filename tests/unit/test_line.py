"""Callers of a busy engine are served in the order they came; who leaves the line frees his place."""

import asyncio

import pytest

from codecoach.local.line import Line
from codecoach.local.wire.faults import AwsFault


async def _visit(line: Line, name: str, seen: list[str], leave: asyncio.Event) -> None:
    async with line.turn():
        seen.append(name)
        await leave.wait()


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_one_at_a_time_in_order():
    async def story() -> list[str]:
        line, seen, leave = Line(5), [], asyncio.Event()
        visits = []
        for name in "abc":
            visits.append(asyncio.create_task(_visit(line, name, seen, leave)))
            await _settle()
        assert seen == ["a"]
        leave.set()
        await asyncio.gather(*visits)
        return seen

    assert asyncio.run(story()) == ["a", "b", "c"]


def test_who_leaves_while_waiting_is_passed_over():
    async def story() -> list[str]:
        line, seen, leave = Line(1), [], asyncio.Event()
        first = asyncio.create_task(_visit(line, "a", seen, leave))
        await _settle()
        gone = asyncio.create_task(_visit(line, "gone", seen, leave))
        await _settle()
        gone.cancel()
        await _settle()
        last = asyncio.create_task(_visit(line, "b", seen, leave))
        await _settle()
        leave.set()
        await asyncio.gather(first, last)
        return seen

    assert asyncio.run(story()) == ["a", "b"]


def test_a_full_line_throttles():
    async def story() -> None:
        line, seen, leave = Line(1), [], asyncio.Event()
        visits = []
        for name in "ab":
            visits.append(asyncio.create_task(_visit(line, name, seen, leave)))
            await _settle()
        with pytest.raises(AwsFault, match="ThrottlingException"):
            await _visit(line, "c", seen, leave)
        leave.set()
        await asyncio.gather(*visits)

    asyncio.run(story())


def test_a_turn_that_fails_is_given_on():
    async def story() -> None:
        line = Line(1)
        with pytest.raises(ZeroDivisionError):
            async with line.turn():
                raise ZeroDivisionError
        async with asyncio.timeout(5), line.turn():
            pass

    asyncio.run(story())
