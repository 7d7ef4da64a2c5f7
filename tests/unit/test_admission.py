"""Whom the provider vouches for gets the account of that address, or one where the domain allows, and never another's."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from codecoach.i18n import Notice
from codecoach.store.accounts import Account, Accounts
from codecoach.store.arrivals import KEPT_S, Arrivals
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.ui import oidc_claims
from codecoach.ui.admission import NO_PASSWORD, Admission
from codecoach.ui.passwords import check_password
from tests.unit.store_tables import Clock

ANN = "ann@example.com"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(tmp_path, clock):
    table = SqliteTable(tmp_path / "codecoach.sqlite", clock=clock)
    yield table
    table.close()


@pytest.fixture
def accounts(table, clock) -> Accounts:
    return Accounts(table, clock)


@pytest.fixture
def sign_ins(table, clock) -> SignIns:
    return SignIns(table, idle_s=1800, longest_s=43200, clock=clock, monotonic=clock)


@pytest.fixture
def admission(accounts, sign_ins) -> Admission:
    return Admission(accounts, sign_ins, ("example.com", "example.org"))


def admitted(found: Account | Notice) -> str:
    assert isinstance(found, Account), f"refused: {found}"
    return found.username


def test_a_first_visit_from_an_allowed_domain_makes_a_plain_account_without_a_password(accounts, admission):
    assert admitted(admission.admit(ANN)) == ANN
    made = accounts.get(ANN)
    assert (made.password_hash, made.roles, made.must_change_password) == (NO_PASSWORD, (), False)
    assert admission.admit(ANN) == made


@pytest.mark.parametrize("password", ["", "x", "a good password", "密" * 20])
def test_no_password_opens_an_account_that_has_none(password):
    assert not check_password(password, NO_PASSWORD)


@pytest.mark.parametrize(
    "address",
    [
        "ann@elsewhere.com",
        "ann@sub.example.com",
        "ann@notexample.com",
        "ann@example.com.elsewhere.com",
        "ann@elsewhere.com@example.com",
        "@example.com",
        "a b@example.com",
        "ann@",
    ],
)
def test_other_domains_and_what_is_no_address_get_no_account(accounts, admission, address):
    assert admission.admit(address) == Notice("oidc.no_account", {"email": address})
    assert accounts.all() == ()


def test_who_has_an_account_comes_in_whatever_the_domain_and_keeps_the_password(accounts, sign_ins, admission):
    accounts.create("guest@elsewhere.com", "a hash", ("admin",))
    elsewhere = sign_ins.open("guest@elsewhere.com")
    assert admitted(admission.admit("guest@elsewhere.com")) == "guest@elsewhere.com"
    assert accounts.get("guest@elsewhere.com").password_hash == "a hash"
    assert sign_ins.find(elsewhere) == "guest@elsewhere.com"


def test_without_domains_only_those_who_have_an_account_come_in(accounts, sign_ins):
    closed = Admission(accounts, sign_ins, ())
    assert closed.admit(ANN) == Notice("oidc.no_account", {"email": ANN})
    accounts.create(ANN, "a hash")
    assert admitted(closed.admit(ANN)) == ANN


def test_a_disabled_account_stays_closed(accounts, admission):
    accounts.create(ANN, "a hash", must_change_password=True)
    accounts.set_disabled(ANN, True)
    assert admission.admit(ANN) == Notice("oidc.disabled", {"email": ANN})
    assert accounts.get(ANN).password_hash == "a hash"


def test_a_one_time_password_is_void_once_its_owner_came_through_the_provider(accounts, sign_ins, admission):
    accounts.create(ANN, "a hash", ("admin",), must_change_password=True)
    held_up = sign_ins.open(ANN)
    found = admission.admit(ANN)
    assert sign_ins.find(held_up) is None
    now = accounts.get(ANN)
    assert found == now  # or signing in would take it for changed meanwhile
    assert (now.password_hash, now.must_change_password, now.roles) == (NO_PASSWORD, False, ("admin",))


def test_two_tabs_at_once_make_one_account(accounts, admission):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: admission.admit(ANN), range(8)))
    assert {admitted(account) for account in found} == {ANN}
    assert len(accounts.all()) == 1


def test_a_round_trip_signs_in_once_in_all_processes_together(table, clock):
    processes = [Arrivals(table, clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda process: process.use_up("proof"), processes)) == [False] * 7 + [True]
    assert processes[0].use_up("another")


def test_a_round_trip_is_remembered_for_longer_than_it_would_be_accepted(table, clock):
    arrivals = Arrivals(table, clock)
    # A token may be ahead of our clock by as much as it may be behind.
    assert 2 * oidc_claims.FRESH_S < KEPT_S
    assert arrivals.use_up("proof")
    clock.now += 2 * oidc_claims.FRESH_S
    assert not arrivals.use_up("proof")
