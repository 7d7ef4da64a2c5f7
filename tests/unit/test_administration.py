"""Administrators add, reset and close accounts; the first of them is made at the first start."""

import pytest

from codecoach.errors import InputRefused, VersionConflict
from codecoach.store.accounts import Accounts
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.ui.administration import Administration, is_admin
from codecoach.ui.first_admin import ensure_first_admin
from codecoach.ui.passwords import check_password, hash_password

ADMIN = "Admin@Example.com"


@pytest.fixture
def accounts(tmp_path):
    table = SqliteTable(tmp_path / "table.sqlite")
    yield Accounts(table)
    table.close()


@pytest.fixture
def sign_ins(accounts):
    return SignIns(accounts._table, days=1)


@pytest.fixture
def administration(accounts, sign_ins):
    return Administration(accounts, sign_ins)


def test_the_first_start_makes_an_administrator_who_must_change_the_password(accounts):
    password = ensure_first_admin(accounts, ADMIN)
    account = accounts.get(ADMIN)
    assert is_admin(account)
    assert account.must_change_password
    assert check_password(password, account.password_hash)


def test_a_start_after_a_crash_gives_a_fresh_password(accounts):
    lost = ensure_first_admin(accounts, ADMIN)
    fresh = ensure_first_admin(accounts, ADMIN)
    stored = accounts.get(ADMIN).password_hash
    assert check_password(fresh, stored)
    assert not check_password(lost, stored)


def test_the_app_itself_does_not_replace_a_password_that_was_printed(accounts):
    printed = ensure_first_admin(accounts, ADMIN)
    assert ensure_first_admin(accounts, ADMIN, renew=False) is None
    assert check_password(printed, accounts.get(ADMIN).password_hash)


def test_a_chosen_password_is_never_replaced(accounts):
    ensure_first_admin(accounts, ADMIN)
    accounts.set_password(ADMIN, hash_password("my own choice"))
    assert ensure_first_admin(accounts, ADMIN) is None
    assert check_password("my own choice", accounts.get(ADMIN).password_hash)


def test_a_closed_administrator_stays_closed(accounts):
    ensure_first_admin(accounts, ADMIN)
    accounts.set_disabled(ADMIN, True)
    assert ensure_first_admin(accounts, ADMIN) is None
    assert accounts.get(ADMIN).disabled


def test_a_reset_ends_the_sign_ins_and_the_lock(administration, accounts, sign_ins):
    administration.add("ann@example.com")
    sid = sign_ins.open("ann@example.com")
    for _ in range(6):
        accounts.record_failure("ann@example.com", "")
    password = administration.reset("Ann@Example.com")
    assert sign_ins.find(sid) is None
    assert accounts.locked_for_s("ann@example.com", "") == 0
    assert check_password(password, accounts.get("ann@example.com").password_hash)
    assert accounts.get("ann@example.com").must_change_password


def test_closing_an_account_ends_its_sign_ins_and_keeps_others(administration, accounts, sign_ins):
    for name in ("ann@example.com", "bob@example.com"):
        administration.add(name)
    ann, bob = sign_ins.open("ann@example.com"), sign_ins.open("bob@example.com")
    administration.disable("ANN@example.com")
    assert (sign_ins.find(ann), sign_ins.find(bob)) == (None, "bob@example.com")
    administration.enable("ann@example.com")
    assert not accounts.get("ann@example.com").disabled
    assert sign_ins.find(ann) is None


def test_an_account_is_not_made_twice_and_not_of_any_name(administration):
    administration.add("ann@example.com", admin=True)
    with pytest.raises(VersionConflict):
        administration.add("ANN@example.com")
    with pytest.raises(InputRefused):
        administration.add("ann")


def test_a_ticket_gives_its_sign_in_once_and_the_table_never_shows_it(tmp_path, sign_ins):
    sid = sign_ins.open("ann@example.com")
    ticket = sign_ins.issue_ticket(sid)
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"ann@example.com" in kept
    assert sid.encode() not in kept
    assert ticket.encode() not in kept
    assert sign_ins.redeem(ticket) == sid
    assert sign_ins.redeem(ticket) is None
    assert sign_ins.redeem("made up") is None


def test_good_sign_ins_do_not_count_against_their_address(accounts):
    for _ in range(40):
        accounts.record_failure("ann@example.com", "192.0.2.1")
        accounts.clear_failures("ann@example.com", "192.0.2.1")
    assert accounts.locked_for_s("ann@example.com", "192.0.2.1") == 0


def test_a_good_sign_in_does_not_hide_the_failures_of_its_address(accounts):
    for number in range(19):
        accounts.record_failure(f"user{number}@example.com", "192.0.2.1")
    accounts.record_failure("mallory@example.com", "192.0.2.1")
    accounts.clear_failures("mallory@example.com", "192.0.2.1")
    accounts.record_failure("ann@example.com", "192.0.2.1")
    assert accounts.locked_for_s("bob@example.com", "192.0.2.1") > 0
