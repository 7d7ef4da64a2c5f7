"""Accounts are found under any spelling of their name, and every process notices what is changed in them."""

from contextlib import suppress

import pytest

from codecoach.errors import InputRefused, VersionConflict
from codecoach.store.accounts import Accounts
from codecoach.store.revocations import LOOKED_AT_EVERY_S
from codecoach.store.sqlite import SqliteTable
from tests.unit.store_tables import Clock, Died, WatchedTable

ANN = "ann@example.com"


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
    with pytest.raises(InputRefused):
        accounts.create(name, "hash")
    with pytest.raises(InputRefused):
        accounts.set_password(name, "hash")


def test_changes_leave_the_rest_as_it_was(accounts):
    accounts.create(ANN, "old", ("admin",), must_change_password=True)
    accounts.set_disabled(ANN, True)
    accounts.set_password("ANN@example.com", "new")
    found = accounts.get(ANN)
    assert (found.password_hash, found.must_change_password) == ("new", False)
    assert (found.disabled, found.roles) == (True, ("admin",))


def test_a_password_is_changed_only_over_the_one_that_was_checked(accounts):
    accounts.create(ANN, "checked")
    accounts.set_password(ANN, "mine", checked_hash="checked")
    with pytest.raises(InputRefused) as caught:
        accounts.set_password(ANN, "too late", checked_hash="checked")
    assert caught.value.key == "password_changed_meanwhile"
    assert accounts.get(ANN).password_hash == "mine"
    accounts.set_password(ANN, "of the administrator")
    assert accounts.get(ANN).password_hash == "of the administrator"


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
    assert watched.calls == 1


def test_an_account_that_was_not_there_is_found_as_soon_as_it_is(table, clock):
    here, elsewhere = (Accounts(table, clock=clock, monotonic=clock) for _ in range(2))
    assert here.current(ANN) is None
    elsewhere.create(ANN, "hash")
    assert here.current(ANN) is not None
    assert here.current("no address") is None


def test_a_one_time_password_is_renewed_only_while_none_was_chosen(accounts):
    accounts.create(ANN, "first", must_change_password=True)
    assert accounts.renew_one_time_password(ANN, "second")
    assert accounts.get(ANN).password_hash == "second"
    accounts.set_password(ANN, "chosen")
    assert not accounts.renew_one_time_password(ANN, "third")
    assert accounts.get(ANN).password_hash == "chosen"
    assert not accounts.renew_one_time_password("nobody@example.com", "third")


def test_a_hash_is_renewed_and_the_rest_stays(accounts):
    accounts.create(ANN, "cheap", ("admin",))
    accounts.renew_hash(ANN, "cheap", "dear")
    assert (accounts.get(ANN).password_hash, accounts.get(ANN).roles) == ("dear", ("admin",))


def test_renewing_a_hash_does_not_bring_back_a_password_that_was_changed_meanwhile(accounts):
    accounts.create(ANN, "cheap")
    accounts.set_password(ANN, "of the new password")
    accounts.renew_hash(ANN, "cheap", "dear")
    accounts.renew_hash("nobody@example.com", "cheap", "dear")
    assert accounts.get(ANN).password_hash == "of the new password"
    assert accounts.get("nobody@example.com") is None
