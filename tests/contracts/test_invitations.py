"""Invitations are good once and for a week, over every table, and the table never tells a code."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from codecoach.errors import InputRefused
from codecoach.store import keys
from codecoach.store.accounts import ROLE_ADMIN, Accounts
from codecoach.store.invitations import KEPT_S, Invitations
from codecoach.store.last_sign_ins import LastSignIns
from codecoach.store.port import Item

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def accounts(table, clock):
    return Accounts(table, clock=clock)


@pytest.fixture
def invitations(table, accounts, clock):
    return Invitations(table, accounts, clock=clock)


def refusal(action, *words) -> str:
    with pytest.raises(InputRefused) as caught:
        action(*words)
    return caught.value.key


def test_an_invitation_makes_the_account_once(invitations, accounts):
    accounts.create(BOB, "hash", (ROLE_ADMIN,))
    code = invitations.invite("Ann@Example.com", (ROLE_ADMIN,), BOB)
    assert [(one.username, one.roles, one.invited_by) for one in invitations.open()] == [(ANN, (ROLE_ADMIN,), BOB)]
    assert invitations.find(f"  {code.upper().replace('-', ' ')} ").username == ANN
    assert accounts.get(ANN) is None

    assert invitations.accept(code, "hash of her own") == ANN
    made = accounts.get(ANN)
    assert (made.password_hash, made.roles, made.must_change_password) == ("hash of her own", (ROLE_ADMIN,), False)
    assert invitations.open() == ()
    assert refusal(invitations.accept, code, "another hash") == "invitation_refused"
    assert accounts.get(ANN).password_hash == "hash of her own"


@pytest.mark.parametrize("dismissed", ["disabled", "demoted", "deleted"])
def test_an_invitation_is_void_once_who_invited_is_an_administrator_no_more(invitations, accounts, dismissed):
    accounts.create(BOB, "hash", (ROLE_ADMIN,))
    code = invitations.invite(ANN, (ROLE_ADMIN,), BOB)
    assert invitations.find(code)
    if dismissed == "disabled":
        accounts.set_disabled(BOB, True)
    elif dismissed == "demoted":
        accounts.set_role(BOB, ROLE_ADMIN, False)
    else:
        accounts.delete(BOB)
    assert invitations.find(code) is None
    assert refusal(invitations.accept, code, "hash of her own") == "invitation_refused"
    assert accounts.get(ANN) is None


def test_of_many_who_accept_at_once_one_does(invitations, accounts):
    code = invitations.invite(ANN)

    def accept(number):
        try:
            return number if invitations.accept(code, f"hash {number}") else None
        except InputRefused:
            return None

    with ThreadPoolExecutor(4) as pool:
        (winner,) = [number for number in pool.map(accept, range(4)) if number is not None]
    assert accounts.get(ANN).password_hash == f"hash {winner}"


def test_an_invitation_does_not_last(invitations, accounts, clock):
    code = invitations.invite(ANN)
    clock.now += KEPT_S - 1
    assert invitations.find(code)
    clock.now += 1
    assert invitations.find(code) is None
    assert invitations.open() == ()
    assert refusal(invitations.accept, code, "hash") == "invitation_refused"
    assert accounts.get(ANN) is None


def test_one_that_is_withdrawn_or_replaced_is_worth_nothing(invitations, accounts):
    first, other = invitations.invite(ANN), invitations.invite(BOB)
    second = invitations.invite(ANN)
    assert refusal(invitations.accept, first, "hash") == "invitation_refused"
    assert [one.username for one in invitations.open()] == [ANN, BOB]
    invitations.withdraw("ANN@example.com")
    assert refusal(invitations.accept, second, "hash") == "invitation_refused"
    assert refusal(invitations.withdraw, ANN) == "no_such_invitation"
    assert invitations.accept(other, "hash") == BOB
    assert accounts.get(ANN) is None


@pytest.mark.parametrize("code", ["", "-", "made-up", "x" * 10_000, "\udc00"])
def test_no_other_code_is_good(invitations, code):
    invitations.invite(ANN)
    assert invitations.find(code) is None
    assert refusal(invitations.accept, code, "hash") == "invitation_refused"


def test_somebody_who_has_an_account_is_not_invited_and_no_invitation_changes_one(invitations, accounts):
    code = invitations.invite(ANN)
    accounts.create(ANN, "her hash")
    assert refusal(invitations.invite, "ANN@example.com") == "account_exists"
    assert refusal(invitations.invite, "nonsense") == "username_refused"
    assert refusal(invitations.accept, code, "another hash") == "invitation_refused"
    assert accounts.get(ANN).password_hash == "her hash"


def test_the_table_does_not_tell_the_code(table, invitations):
    code = invitations.invite(ANN)
    (item,) = table.query(keys.INVITATIONS).items
    for secret in (code, code.replace("-", "")):
        assert secret not in f"{item.key} {item.data}"


def test_more_invitations_than_a_page_of_the_table_are_listed_and_withdrawn(table, invitations):
    invitations.invite(ANN)
    (item,) = table.query(keys.INVITATIONS).items
    names = [f"user{number:03d}@example.com" for number in range(105)]
    table.delete(item.key)
    for name in names:
        table.put(Item(keys.invitation(name), item.data | {"username": name}, expires_at=item.expires_at))
    assert [one.username for one in invitations.open()] == names
    for name in names[::21]:
        invitations.withdraw(name)
    assert len(invitations.open()) == 100


def test_the_last_sign_in_of_each_is_kept(table, clock):
    last = LastSignIns(table, clock=clock)
    last.note(ANN)
    clock.now += 3600
    last.note(ANN)
    times = last.of([ANN, BOB])
    assert {name: at.timestamp() for name, at in times.items()} == {ANN: clock.now}
    last.forget(ANN)
    assert last.of([ANN]) == {}
