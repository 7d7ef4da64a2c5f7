"""A sign-in lasts until it is ended anywhere, costs no read while it lasts, and its secrets are nowhere kept."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from codecoach.store.sign_ins import REMEMBERED_S, REVOCATIONS_EVERY_S, TICKET_S, SignIns
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, Died, WatchedTable

ANN, BOB = "ann@example.com", "bob@example.com"
DAY_S = 24 * 3600


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(tmp_path, clock):
    table = SqliteTable(tmp_path / "codecoach.sqlite", clock=clock)
    yield WatchedTable(table)
    table.close()


def process(table, clock) -> SignIns:
    """The sign-ins as one process of the app has them."""
    return SignIns(table, days=7, clock=clock, monotonic=clock)


@pytest.fixture
def here(table, clock):
    return process(table, clock)


@pytest.fixture
def elsewhere(table, clock):
    return process(table, clock)


# --- tickets ---


def test_a_ticket_is_redeemed_once(here, elsewhere):
    ticket = here.issue_ticket("a sid")
    assert elsewhere.redeem(ticket) == "a sid"
    assert here.redeem(ticket) is None


def test_of_many_who_redeem_a_ticket_at_once_one_gets_it(here, elsewhere):
    for _ in range(10):
        ticket = here.issue_ticket("a sid")
        with ThreadPoolExecutor(6) as pool:
            got = list(pool.map(lambda number, ticket=ticket: (here, elsewhere)[number % 2].redeem(ticket), range(6)))
        assert sorted(got, key=str) == [None] * 5 + ["a sid"]


def test_a_ticket_does_not_last(here, clock):
    ticket = here.issue_ticket("a sid")
    clock.now += TICKET_S
    assert here.redeem(ticket) is None


@pytest.mark.parametrize("nonsense", ["", "x", "\ud83d", "x" * 5000])
def test_nonsense_is_no_ticket_and_no_sign_in(here, nonsense):
    assert here.redeem(nonsense) is None
    assert here.find(nonsense) is None
    here.close(nonsense)


# --- sign-ins ---


def test_a_sign_in_is_found_by_every_process_until_its_days_are_over(here, elsewhere, clock):
    sid = here.open(ANN)
    assert (here.find(sid), elsewhere.find(sid)) == (ANN, ANN)
    clock.now += 7 * DAY_S - 1
    assert (here.find(sid), elsewhere.find(sid)) == (ANN, ANN)
    clock.now += 1
    assert (here.find(sid), elsewhere.find(sid)) == (None, None)


def test_finding_again_reads_at_most_the_revocations_once_a_second(here, table, clock):
    sid = here.open(ANN)
    here.find(sid)
    table.reset()
    for _ in range(100):
        assert here.find(sid) == ANN
    assert table.read == 0
    clock.now += REVOCATIONS_EVERY_S
    for _ in range(100):
        assert here.find(sid) == ANN
    assert table.read == 1


def test_a_sign_in_that_is_ended_is_gone_here_at_once_and_elsewhere_within_a_second(here, elsewhere, clock):
    sid, other = here.open(ANN), here.open(BOB)
    assert elsewhere.find(sid) == ANN
    here.close(sid)
    assert here.find(sid) is None
    clock.now += REVOCATIONS_EVERY_S
    assert elsewhere.find(sid) is None
    assert (here.find(other), elsewhere.find(other)) == (BOB, BOB)


def test_all_sign_ins_of_a_user_end_but_the_one_that_is_kept(here, elsewhere, clock):
    sids = [here.open(ANN) for _ in range(90)]
    other = here.open(BOB)
    assert all(elsewhere.find(sid) for sid in sids)
    here.close_all(ANN, keep_sid=sids[7])
    clock.now += REVOCATIONS_EVERY_S
    for process in (here, elsewhere):
        assert [sid for sid in sids if process.find(sid)] == [sids[7]]
        assert process.find(other) == BOB
    here.close_all(ANN)
    assert here.find(sids[7]) is None
    here.close_all(ANN)


def test_a_process_that_dies_while_ending_sign_ins_leaves_none_half_ended(here, elsewhere, table, clock):
    sids = [here.open(ANN) for _ in range(3)]
    assert all(elsewhere.find(sid) for sid in sids)
    for dies_after in range(4):
        table.reset()
        table.dies_after = dies_after
        with suppress(Died):
            here.close_all(ANN)
        table.dies_after = None
        clock.now += REVOCATIONS_EVERY_S
        # What the table says, every process says: an ended sign-in lives on in no memory.
        fresh = process(table, clock)
        assert [elsewhere.find(sid) for sid in sids] == [fresh.find(sid) for sid in sids]
    assert elsewhere.find(sids[0]) is None


def test_memory_is_refreshed_though_nothing_was_ended(here, table, clock):
    sid = here.open(ANN)
    here.find(sid)
    clock.now += REMEMBERED_S
    table.reset()
    assert here.find(sid) == ANN
    assert table.read == 2


def test_no_secret_is_in_the_file(here, table, tmp_path):
    sid, ticket = here.open(ANN), here.issue_ticket("another sid")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert ANN.encode() in kept
    for secret in (sid, ticket, "another sid"):
        assert secret.encode() not in kept
