"""A fault at any call of any store loses nothing that was acknowledged, shows nothing half done, and can be got over by doing it again."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codecoach.errors import StoreError, VersionConflict
from codecoach.store.sqlite import SqliteTable
from tests.unit import store_scenarios
from tests.unit.store_scenarios import Scenario
from tests.unit.store_tables import Fault, FaultyTable

# In memory where there is such a folder: hundreds of tables are made here, and no power is cut.
_FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

SCENARIOS = (
    *store_scenarios.ACCOUNTS,
    *store_scenarios.CONVERSATIONS,
    *store_scenarios.PROGRAMS,
    *store_scenarios.LAB,
    *store_scenarios.CHOICES,
)


@contextmanager
def new_table() -> Iterator[SqliteTable]:
    with tempfile.TemporaryDirectory(dir=_FOLDER) as folder:
        table = SqliteTable(Path(folder) / "codecoach.sqlite")
        try:
            yield table
        finally:
            table.close()


def undisturbed(scenario: Scenario) -> tuple[object, object, int]:
    """(view before, view after, calls that it takes)."""
    with new_table() as table:
        made = scenario.prepare(table)
        before, counting = scenario.view(table, made), FaultyTable(table)
        scenario.act(counting, made)
        return before, scenario.view(table, made), counting.calls


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_fault_at_any_call_loses_and_doubles_nothing(scenario, fault):
    before, after, calls = undisturbed(scenario)
    assert before != after
    struck = 0
    for at_call in range(1, calls + 1):
        with new_table() as table:
            made = scenario.prepare(table)
            faulty = FaultyTable(table, at_call, fault)
            try:
                scenario.act(faulty, made)
                acknowledged = True
            except StoreError:  # any other error fails the test
                acknowledged = False
            struck += faulty.struck
            seen = scenario.view(table, made)
            assert seen == after if acknowledged else seen in (before, after) or scenario.between(seen)
            if acknowledged:
                continue
            was_done = seen == after
            try:
                scenario.act(table, made)
            except VersionConflict:
                assert was_done, "nothing was done, so nobody was quicker"
            seen_again = scenario.view(table, made)
            doubled = scenario.twice and was_done and seen_again == [*after, *after]
            assert seen_again == after or doubled
    assert struck > 0 or fault is Fault.REFUSED  # some delete and put nothing
