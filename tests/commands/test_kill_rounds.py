"""A process that writes to every store is killed again and again: what it said was saved is there.

`python -m benchmarks.kill_rounds` does the same five hundred times.
"""

from benchmarks.kill_rounds import LONG_EVERY, Figures, Rounds
from tests import moto_server


def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path):
    figures = Figures()
    Rounds(str(tmp_path / "codecoach.sqlite"), figures).run(LONG_EVERY)
    assert figures.losses == []
    assert figures.rounds == LONG_EVERY
    assert figures.acknowledged > figures.rounds
    assert figures.checked > figures.rounds
    assert figures.replies, "at least the one of the long round was cut off"


def test_nor_is_it_where_the_store_is_dynamodb():
    figures = Figures()
    with moto_server.running() as url:
        Rounds(url, figures).run(3)
    assert figures.losses == []
    assert figures.acknowledged > figures.rounds
