"""Guessing passwords is slowed down and then locked, by name and by address, and nobody can keep an account's owner out."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecoach.store.accounts import Accounts
from codecoach.store.failures import ADDRESS_KNOWN_S, KEPT_S, LOCKED_FROM, LONGEST_LOCK_S, SLOW_FROM, Failures
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, WatchedTable

ANN = "ann@example.com"
HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(tmp_path, clock):
    table = SqliteTable(tmp_path / "codecoach.sqlite", clock=clock)
    yield table
    table.close()


@pytest.fixture
def failures(table, clock):
    return Failures(table, clock=clock)


def fail(failures: Failures, clock: Clock, times: int, name: str = ANN, address: str = "") -> int:
    """Fail so often, patiently; returns the wait that this leads to."""
    for _ in range(times):
        clock.now += failures.wait_s(name, address)
        assert failures.begin(name, address) == 0
    return failures.wait_s(name, address)


def sign_in(failures: Failures, name: str, address: str) -> None:
    assert failures.begin(name, address) == 0
    failures.clear(name, address)


@pytest.mark.parametrize("address", ["", HERE])
@pytest.mark.parametrize("name", [ANN, "unknown@example.com", "no address at all"])
def test_from_the_fifth_failure_on_waits_grow_and_from_the_tenth_on_it_is_locked(failures, table, clock, name, address):
    Accounts(table, clock=clock).create(ANN, "hash")
    waits = [fail(failures, clock, 1, name, address) for _ in range(14)]
    assert waits == [0, 0, 0, 0, 5, 10, 20, 40, 80, 900, 1800, 3600, 3600, 3600]
    assert (waits.index(5) + 1, waits.index(900) + 1, waits[-1]) == (SLOW_FROM, LOCKED_FROM, LONGEST_LOCK_S)
    assert failures.wait_s("other@example.com", "") == 0


def test_while_one_has_to_wait_nothing_is_tried_and_nothing_counted(failures, clock):
    assert fail(failures, clock, 5) == 5
    for left in (5, 4, 3, 2, 1):
        assert failures.begin(ANN, "") == left
        clock.now += 1
    assert failures.begin(ANN, "") == 0
    assert failures.begin(ANN, "") == 10


def test_an_address_is_slowed_and_locked_whatever_names_it_tries(failures, clock):
    waits = []
    for number in range(LOCKED_FROM):
        clock.now += failures.wait_s(ANN, HERE)
        waits.append(fail(failures, clock, 1, f"user{number}@example.com", HERE))
    assert waits == [0, 0, 0, 0, 5, 10, 20, 40, 80, 900]
    assert failures.begin(ANN, HERE) == 900
    assert (failures.wait_s(ANN, THERE), failures.wait_s(ANN, "")) == (0, 0)


def test_spelling_the_name_otherwise_does_not_help(failures):
    for name in ("ann@example.com", "ANN@example.com", " Ann@Example.com", "aNN@example.com ", "ann@EXAMPLE.com"):
        assert failures.begin(name, "") == 0
    assert failures.begin(ANN, "") > 0


def test_an_unknown_address_is_not_counted(failures):
    for number in range(50):
        assert failures.begin(f"user{number}@example.com", "") == 0


def test_of_many_tries_at_the_same_moment_no_more_are_let_through_than_one_after_the_other(failures):
    for name, address in ((ANN, HERE), ("bob@example.com", "")):
        with ThreadPoolExecutor(12) as pool:
            waits = list(pool.map(lambda _, who=(name, address): failures.begin(*who), range(48)))
        assert 1 <= waits.count(0) <= SLOW_FROM


def test_failures_are_forgotten_after_a_good_sign_in_or_a_day(failures, clock):
    fail(failures, clock, 4)
    sign_in(failures, ANN, "")
    assert fail(failures, clock, 4) == 0
    clock.now += KEPT_S
    assert fail(failures, clock, 4) == 0


def test_one_good_account_does_not_hide_the_other_failures_of_its_address(failures, clock):
    fail(failures, clock, 4, "bob@example.com", HERE)
    sign_in(failures, ANN, HERE)
    assert fail(failures, clock, 1, "carl@example.com", HERE) == 5
    for _ in range(3):  # not even again and again, and while the address has to wait
        sign_in(failures, ANN, HERE)
        assert failures.wait_s("carl@example.com", HERE) == 5
    assert fail(failures, clock, 1, "carl@example.com", HERE) == 10


def test_strangers_cannot_lock_out_who_signs_in_where_they_always_did(failures, clock):
    sign_in(failures, ANN, HERE)
    assert fail(failures, clock, 12, address=THERE) == LONGEST_LOCK_S
    assert failures.wait_s(ANN, HERE) == 0
    assert failures.wait_s(ANN, "203.0.113.9") == LONGEST_LOCK_S


def test_neither_can_others_at_the_same_address(failures, clock):
    sign_in(failures, ANN, HERE)
    assert fail(failures, clock, 12, "bob@example.com", HERE) == LONGEST_LOCK_S
    assert failures.wait_s("carl@example.com", HERE) == LONGEST_LOCK_S
    assert failures.wait_s(ANN, HERE) == 0


def test_guessing_from_an_address_that_is_known_is_slowed_down_there(failures, clock):
    sign_in(failures, ANN, HERE)
    assert [fail(failures, clock, 1, address=HERE) for _ in range(10)] == [0, 0, 0, 0, 5, 10, 20, 40, 80, 900]
    assert failures.wait_s(ANN, THERE) == 0


def test_an_address_is_known_for_a_while_and_to_one_name_only(failures, clock):
    sign_in(failures, ANN, HERE)
    fail(failures, clock, 5, address=THERE)
    fail(failures, clock, 5, "bob@example.com", "203.0.113.9")
    assert failures.wait_s(ANN, HERE) == 0
    assert failures.wait_s("bob@example.com", HERE) > 0
    clock.now += ADDRESS_KNOWN_S
    fail(failures, clock, 5, address=THERE)
    assert failures.wait_s(ANN, HERE) > 0


def test_an_unlocked_name_is_unlocked_everywhere_and_still_knows_its_addresses(failures, table, clock):
    sign_in(failures, ANN, HERE)
    for address in (HERE, THERE):
        assert fail(failures, clock, 10, address=address) == 900
    Accounts(table, clock=clock).unlock(ANN)
    assert (failures.wait_s(ANN, HERE), failures.wait_s(ANN, THERE)) == (0, 0)
    fail(failures, clock, 10, address=THERE)
    assert failures.wait_s(ANN, HERE) == 0


def test_who_was_locked_at_a_new_address_can_sign_in_there_once_unlocked(failures, clock):
    """Else an administrator's new password would be of no use for a quarter of an hour."""
    assert fail(failures, clock, 10, address=THERE) == 900
    failures.unlock(" ANN@example.com")
    sign_in(failures, ANN, THERE)


def test_names_that_exist_cost_as_many_calls_of_the_store_as_those_that_do_not(table, clock):
    Accounts(table, clock=clock).create(ANN, "hash")
    watched = WatchedTable(table)
    failures, accounts = Failures(watched, clock=clock), Accounts(watched, clock=clock)
    calls = []
    for name in (ANN, "nobody@example.com"):
        watched.reset()
        accounts.get(name)
        failures.begin(name, HERE)
        calls.append((watched.calls, watched.written))
    assert calls[0] == calls[1] != (0, 0)


@given(st.text(st.characters(), max_size=400), st.text(st.characters(), max_size=400))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_and_no_address_breaks_the_counting(failures, name, address):
    assert failures.begin(name, address) >= 0
    assert failures.wait_s(name, address) >= 0
    failures.clear(name, address)
    failures.unlock(name)
