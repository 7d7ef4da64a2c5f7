"""Accounts are found under any spelling of their name, and guessing passwords is slowed down."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codecoach.errors import InputRefused, VersionConflict
from codecoach.store import keys
from codecoach.store.accounts import ADDRESS_KNOWN_S, FAILURES_KEPT_S, FAILURES_PER_ADDRESS, LONGEST_LOCK_S, Accounts
from codecoach.store.revocations import LOOKED_AT_EVERY_S
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, Died, WatchedTable

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
def accounts(table, clock):
    return Accounts(table, clock=clock)


def test_an_account_is_kept_under_its_name_in_lower_case(accounts):
    made = accounts.create(" Ann@Example.COM ", "hash", ("admin",), must_change_password=True)
    assert (made.username, made.roles, made.must_change_password, made.disabled) == (ANN, ("admin",), True, False)
    assert accounts.get("ANN@example.com") == made


def test_a_hash_is_not_shown_with_the_account(accounts):
    assert "secret-hash" not in repr(accounts.create(ANN, "secret-hash"))


def test_an_account_is_made_once(accounts):
    accounts.create(ANN, "first")
    with pytest.raises(VersionConflict):
        accounts.create("Ann@example.com", "second")
    assert accounts.get(ANN).password_hash == "first"


@pytest.mark.parametrize("name", ["", "ann", "a b@c", "a@b\x00", "a@\ud83d", "@", f"{'x' * 300}@example.com"])
def test_what_is_no_e_mail_address_is_nobody(accounts, name):
    assert accounts.get(name) is None
    assert accounts.locked_for_s(name, "") == 0
    accounts.record_failure(name, "")
    with pytest.raises(InputRefused):
        accounts.create(name, "hash")
    with pytest.raises(InputRefused):
        accounts.set_password(name, "hash")


@given(st.text(st.characters(), max_size=400), st.text(st.characters(), max_size=400))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_and_no_address_breaks_the_counting(accounts, name, address):
    accounts.record_failure(name, address)
    assert accounts.locked_for_s(name, address) >= 0
    assert accounts.get(name) is None


def test_changes_leave_the_rest_as_it_was(accounts):
    accounts.create(ANN, "old", ("admin",), must_change_password=True)
    accounts.set_disabled(ANN, True)
    accounts.set_password("ANN@example.com", "new")
    found = accounts.get(ANN)
    assert (found.password_hash, found.must_change_password) == ("new", False)
    assert (found.disabled, found.roles) == (True, ("admin",))


def test_changing_nobodys_account_is_refused(accounts):
    with pytest.raises(InputRefused):
        accounts.set_disabled("nobody@example.com", True)
    assert accounts.all() == ()


def test_all_accounts_are_listed_by_name(accounts):
    for name in ("carl", "ann", "bob"):
        accounts.create(f"{name}@example.com", "hash")
    assert [account.username for account in accounts.all()] == [
        f"{name}@example.com" for name in ("ann", "bob", "carl")
    ]


# --- what other processes notice ---


CHANGES = {
    "disabled": lambda accounts: accounts.set_disabled(ANN, True),
    "password": lambda accounts: accounts.set_password(ANN, "new"),
    "must change": lambda accounts: accounts.set_password(ANN, "old", must_change_password=True),
    "role given": lambda accounts: accounts.set_role(ANN, "admin", True),
    "role taken": lambda accounts: accounts.set_role(ANN, "my_aws", False),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen_here_at_once_and_elsewhere_within_a_second(table, clock, change):
    here, elsewhere = (Accounts(table, clock=clock, monotonic=clock) for _ in range(2))
    before = here.create(ANN, "old", ("my_aws",))
    assert elsewhere.current(ANN) == here.current(ANN) == before
    change(here)
    assert here.current(ANN) == here.get(ANN) != before
    clock.now += LOOKED_AT_EVERY_S
    assert elsewhere.current(ANN) == here.get(ANN)


def test_a_process_that_dies_while_changing_an_account_leaves_no_change_unnoticed(table, clock):
    watched = WatchedTable(table)
    here, elsewhere = Accounts(watched, clock=clock, monotonic=clock), Accounts(table, clock=clock, monotonic=clock)
    here.create(ANN, "hash")
    for dies_after in range(4):
        assert elsewhere.current(ANN) is not None
        watched.reset()
        watched.dies_after = dies_after
        with suppress(Died):
            here.set_disabled(ANN, True)
        clock.now += LOOKED_AT_EVERY_S
        assert elsewhere.current(ANN) == elsewhere.get(ANN)
    assert elsewhere.current(ANN).disabled


def test_asking_again_who_somebody_is_reads_at_most_the_revocations_once_a_second(table, clock):
    watched = WatchedTable(table)
    accounts = Accounts(watched, clock=clock, monotonic=clock)
    accounts.create(" Ann@Example.com", "hash")
    accounts.current(ANN)
    watched.reset()
    for _ in range(100):
        assert accounts.current("ANN@example.com").username == ANN
    assert watched.read == 0
    clock.now += LOOKED_AT_EVERY_S
    for _ in range(100):
        accounts.current(ANN)
    assert watched.read == 1


def test_an_account_that_was_not_there_is_found_as_soon_as_it_is(table, clock):
    here, elsewhere = (Accounts(table, clock=clock, monotonic=clock) for _ in range(2))
    assert here.current(ANN) is None
    elsewhere.create(ANN, "hash")
    assert here.current(ANN) is not None
    assert here.current("no address") is None


# --- lock ---


def fail(accounts: Accounts, times: int, name: str = ANN, address: str = "") -> int:
    for _ in range(times):
        accounts.record_failure(name, address)
    return accounts.locked_for_s(name, address)


@pytest.mark.parametrize("name", [ANN, "unknown@example.com", "no address at all"])
def test_the_fifth_failure_locks_a_name_known_or_not(accounts, name):
    accounts.create(ANN, "hash")
    assert fail(accounts, 4, name) == 0
    assert fail(accounts, 1, name) == 30
    assert accounts.locked_for_s("other@example.com", "") == 0


def test_each_further_failure_locks_longer_up_to_a_bound(accounts, clock):
    locks = [fail(accounts, 5)]
    for _ in range(8):
        clock.now += locks[-1]
        assert accounts.locked_for_s(ANN, "") == 0
        locks.append(fail(accounts, 1))
    assert locks[:4] == [30, 60, 120, 240]
    assert locks[-1] == LONGEST_LOCK_S


def test_spelling_the_name_otherwise_does_not_help(accounts):
    for name in ("ann@example.com", "ANN@example.com", " Ann@Example.com", "aNN@example.com ", "ann@EXAMPLE.com"):
        accounts.record_failure(name, "")
    assert accounts.locked_for_s(ANN, "") > 0


def test_an_address_is_locked_whatever_names_it_tries(accounts):
    for number in range(FAILURES_PER_ADDRESS):
        assert accounts.locked_for_s(ANN, HERE) == 0
        accounts.record_failure(f"user{number}@example.com", HERE)
    assert accounts.locked_for_s(ANN, HERE) > 0
    assert accounts.locked_for_s(ANN, THERE) == 0
    assert accounts.locked_for_s(ANN, "") == 0


def test_an_unknown_address_is_not_counted(accounts):
    for number in range(50):
        accounts.record_failure(f"user{number}@example.com", "")
    assert accounts.locked_for_s(ANN, "") == 0


def test_failures_are_forgotten_after_a_good_sign_in_or_a_day(accounts, clock):
    fail(accounts, 4)
    accounts.clear_failures(ANN, "")
    assert fail(accounts, 4) == 0
    clock.now += FAILURES_KEPT_S
    assert fail(accounts, 4) == 0


def test_failures_at_the_same_moment_all_count(accounts, table):
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: accounts.record_failure(ANN, HERE), range(48)))
    found = table.batch_get([keys.failures(f"username {ANN}"), keys.failures(f"address {HERE}")])
    assert [item.data["count"] for item in found.values()] == [48, 48]


def test_a_one_time_password_is_renewed_only_while_none_was_chosen(accounts):
    accounts.create(ANN, "first", must_change_password=True)
    assert accounts.renew_one_time_password(ANN, "second")
    assert accounts.get(ANN).password_hash == "second"
    accounts.set_password(ANN, "chosen")
    assert not accounts.renew_one_time_password(ANN, "third")
    assert accounts.get(ANN).password_hash == "chosen"
    assert not accounts.renew_one_time_password("nobody@example.com", "third")


def test_strangers_cannot_lock_out_who_signs_in_where_they_always_did(accounts):
    accounts.record_failure(ANN, HERE)
    accounts.clear_failures(ANN, HERE)  # a good sign-in
    assert fail(accounts, 10, address=THERE) > 0
    assert accounts.locked_for_s(ANN, HERE) == 0
    assert accounts.locked_for_s(ANN, "203.0.113.9") > 0


def test_guessing_from_an_address_that_is_known_is_slowed_down_there(accounts):
    accounts.clear_failures(ANN, HERE)
    assert fail(accounts, 4, address=HERE) == 0
    assert fail(accounts, 1, address=HERE) == 30
    assert accounts.locked_for_s(ANN, THERE) == 0


def test_an_address_is_known_for_a_while_and_to_one_name_only(accounts, clock):
    accounts.clear_failures(ANN, HERE)
    fail(accounts, 5, address=THERE)
    fail(accounts, 5, "bob@example.com", THERE)
    assert accounts.locked_for_s(ANN, HERE) == 0
    assert accounts.locked_for_s("bob@example.com", HERE) > 0
    clock.now += ADDRESS_KNOWN_S
    fail(accounts, 5, address=THERE)
    assert accounts.locked_for_s(ANN, HERE) > 0


def test_an_unlocked_name_is_unlocked_everywhere_and_still_knows_its_addresses(accounts):
    accounts.clear_failures(ANN, HERE)
    for address in (HERE, THERE):
        assert fail(accounts, 5, address=address) > 0
    accounts.unlock(ANN)
    assert (accounts.locked_for_s(ANN, HERE), accounts.locked_for_s(ANN, THERE)) == (0, 0)
    fail(accounts, 5, address=THERE)
    assert accounts.locked_for_s(ANN, HERE) == 0
