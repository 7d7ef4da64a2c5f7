"""Tables of every kind, for the one contract suite."""

from collections.abc import Iterator

import pytest

from codecoach.store.port import Table
from codecoach.store.sqlite import SqliteTable


class Clock:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite"])
def table(request, tmp_path, clock) -> Iterator[Table]:
    sqlite = SqliteTable(tmp_path / "store" / "codecoach.sqlite", clock=clock)
    yield sqlite
    sqlite.close()
