"""A sign-in lasts until it is ended anywhere, costs no read while it lasts, and its secrets are nowhere kept."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from codecoach.errors import StoreUnavailable
from codecoach.store import keys
from codecoach.store.port import Item
from codecoach.store.revocations import LOOKED_AT_EVERY_S, REMEMBERED_S
from codecoach.store.sign_ins import KEPT_AFTER_S, SEEN_EVERY_S, TICKET_S, Ended, SignIns
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, Died, WatchedTable

ANN, BOB = "ann@example.com", "bob@example.com"
IDLE_S, LONGEST_S = 30 * 60, 12 * 3600


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
    return SignIns(table, IDLE_S, LONGEST_S, clock=clock, monotonic=clock)


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


def test_a_sign_in_is_found_by_every_process_until_its_user_was_idle_for_too_long(here, elsewhere, clock):
    sid = here.open(ANN)
    clock.now += IDLE_S - 1
    assert (here.find(sid), elsewhere.find(sid)) == (ANN, ANN)
    clock.now += 1
    assert (here.find(sid), elsewhere.find(sid)) == (None, None)
    assert elsewhere.why_ended(sid) is Ended.IDLE
    assert here.see(sid) is None  # coming back does not bring it back


def test_who_is_active_stays_signed_in_in_every_process_until_the_longest_time_is_over(here, elsewhere, clock):
    sid, began = here.open(ANN), clock.now
    while clock.now < began + LONGEST_S - IDLE_S:
        clock.now += IDLE_S / 2
        assert here.see(sid) == ANN
        assert elsewhere.find(sid) == ANN
    clock.now = began + LONGEST_S - 1
    assert (here.see(sid), elsewhere.see(sid)) == (ANN, ANN)
    clock.now += 1
    assert (here.see(sid), elsewhere.find(sid)) == (None, None)
    assert here.why_ended(sid) is Ended.TOO_LONG


def test_looking_without_being_active_keeps_nobody_signed_in(here, clock):
    sid = here.open(ANN)
    for _ in range(IDLE_S - 1):
        clock.now += 1
        assert here.find(sid) == ANN
    clock.now += 1
    assert here.find(sid) is None


def test_activity_elsewhere_is_looked_up_before_a_sign_in_is_taken_for_idle(here, elsewhere, clock):
    sid = here.open(ANN)
    clock.now += IDLE_S - 5
    assert elsewhere.find(sid) == ANN  # and remembers when it was last seen
    assert here.see(sid) == ANN
    clock.now += 10
    assert elsewhere.find(sid) == ANN


def test_activity_costs_a_write_a_minute_and_no_read(here, table, clock):
    sid = here.open(ANN)
    here.see(sid)
    table.reset()
    for _ in range(3):
        for _ in range(100):
            here.see(sid)
        clock.now += SEEN_EVERY_S
    # Each minute one look at the revocations, one at the sign-in, and one write.
    assert (table.calls, table.written) == (6, 2)


@pytest.mark.parametrize("close", [lambda one, sid: one.close(sid), lambda one, sid: one.close_all(ANN)])
def test_activity_does_not_bring_back_what_was_closed_meanwhile(here, elsewhere, table, clock, close):
    sid = here.open(ANN)
    clock.now += 10
    assert here.find(sid) == ANN
    clock.now += SEEN_EVERY_S - 10.5
    assert here.find(sid) == ANN  # remembered, and the revocations have just been looked at
    close(elsewhere, sid)
    clock.now += 0.5
    table.reset()
    assert here.see(sid) == ANN  # for it knows no better yet
    assert table.written == 1
    assert table.get(keys.sign_in(keys.hashed(sid))) is None
    clock.now += LOOKED_AT_EVERY_S
    assert (here.see(sid), elsewhere.see(sid)) == (None, None)


def test_activity_that_cannot_be_written_down_stops_nobody(table, clock):
    class ReadOnly(WatchedTable):
        def put(self, item: Item, expected_version: int | None = None) -> Item:
            raise StoreUnavailable(detail="the disk is full")

    here = process(ReadOnly(table), clock)
    sid = here.open(ANN)
    clock.now += SEEN_EVERY_S
    assert here.see(sid) == ANN


def test_why_a_sign_in_ended_is_known_for_a_day_and_of_a_closed_one_no_more_than_that(here, clock):
    sid, closed = here.open(ANN), here.open(ANN)
    here.close(closed)
    assert here.why_ended(closed) is Ended.CLOSED
    clock.now += LONGEST_S + KEPT_AFTER_S - 1
    assert here.why_ended(sid) is Ended.TOO_LONG
    clock.now += 1
    assert here.why_ended(sid) is Ended.CLOSED


def test_a_sign_in_of_an_older_version_of_ours_has_ended(here, table):
    hashed = keys.hashed("old")
    table.put(Item(keys.sign_in(hashed), {"username": ANN}, expires_at=2_000_000_000))
    table.put(Item(keys.user_sign_in(ANN, hashed), {}, expires_at=2_000_000_000))
    assert here.find("old") is None
    assert here.all_of(ANN) == ()
    here.close_all(ANN)
    assert table.get(keys.sign_in(hashed)) is None


# --- the list of them ---


def test_a_user_sees_where_he_is_signed_in_the_one_seen_last_first(here, elsewhere, clock):
    first = here.open(ANN, "Firefox on Linux", "192.0.2.1")
    clock.now += 120
    second = elsewhere.open(ANN, "Safari on iOS", "198.51.100.7")
    here.open(BOB)
    clock.now += 120
    here.see(first)
    seen = [(one.id, one.device, one.address, (one.seen_at - one.begun_at).total_seconds()) for one in here.all_of(ANN)]
    assert seen == [
        (here.id_of(first), "Firefox on Linux", "192.0.2.1", 240),
        (here.id_of(second), "Safari on iOS", "198.51.100.7", 0),
    ]
    assert [one.username for one in elsewhere.all_of(BOB)] == [BOB]


def test_the_list_has_no_ended_ones_and_any_number_of_others(here, clock):
    here.open(ANN)
    clock.now += IDLE_S
    open_ones = {here.id_of(here.open(ANN)) for _ in range(230)}
    assert {one.id for one in here.all_of(ANN)} == open_ones


def test_what_a_browser_calls_itself_is_cut(here):
    here.open(ANN, "x" * 100_000, "y" * 100_000)
    (one,) = here.all_of(ANN)
    assert (len(one.device), len(one.address)) == (120, 120)


def test_one_sign_in_is_ended_by_its_id_and_by_its_own_user_alone(here, elsewhere, clock):
    kept, doomed, bobs = here.open(ANN), here.open(ANN), here.open(BOB)
    assert all(elsewhere.find(sid) for sid in (kept, doomed, bobs))
    here.close_one(ANN, here.id_of(doomed))
    here.close_one(ANN, here.id_of(bobs))
    clock.now += LOOKED_AT_EVERY_S
    for one in (here, elsewhere):
        assert [one.find(sid) for sid in (kept, doomed, bobs)] == [ANN, None, BOB]


@pytest.mark.parametrize(
    "nonsense", ["", "a", "0" * 15, "0" * 17, "0" * 15 + "#", "０" * 16, "\ud83d" * 16, "x" * 5000]
)
def test_nonsense_for_an_id_ends_nothing(here, nonsense):
    sid = here.open(ANN)
    here.close_one(ANN, nonsense)
    assert here.find(sid) == ANN


def test_the_id_of_a_sign_in_signs_nobody_in(here):
    sid = here.open(ANN)
    assert here.find(here.id_of(sid)) is None
    assert here.find(keys.hashed(sid)) is None


# --- over processes ---


def test_finding_again_reads_at_most_the_revocations_once_a_second(here, table, clock):
    sid = here.open(ANN)
    here.find(sid)
    table.reset()
    for _ in range(100):
        assert here.find(sid) == ANN
    assert table.read == 0
    clock.now += LOOKED_AT_EVERY_S
    for _ in range(100):
        assert here.find(sid) == ANN
    assert table.calls == 1


def test_a_sign_in_that_is_ended_is_gone_here_at_once_and_elsewhere_within_a_second(here, elsewhere, clock):
    sid, other = here.open(ANN), here.open(BOB)
    assert elsewhere.find(sid) == ANN
    here.close(sid)
    assert here.find(sid) is None
    clock.now += LOOKED_AT_EVERY_S
    assert elsewhere.find(sid) is None
    assert (here.find(other), elsewhere.find(other)) == (BOB, BOB)


def test_all_sign_ins_of_a_user_end_but_the_one_that_is_kept(here, elsewhere, clock):
    sids = [here.open(ANN) for _ in range(90)]
    other = here.open(BOB)
    assert all(elsewhere.find(sid) for sid in sids)
    here.close_all(ANN, keep_sid=sids[7])
    clock.now += LOOKED_AT_EVERY_S
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
        clock.now += LOOKED_AT_EVERY_S
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
    assert table.calls == 2


def test_no_secret_is_in_the_file(here, table, tmp_path):
    sid, ticket = here.open(ANN), here.issue_ticket("another sid")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert ANN.encode() in kept
    for secret in (sid, ticket, "another sid"):
        assert secret.encode() not in kept
