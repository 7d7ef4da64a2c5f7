"""Administrators add, reset and close accounts; the first of them is made at the first start."""

from contextlib import suppress

import pytest

from codecoach.errors import InputRefused
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.ui.administration import OPERATOR, ROLE_ADMIN, Administration, is_admin
from codecoach.ui.first_admin import ensure_first_admin
from codecoach.ui.passwords import check_password, hash_password
from tests.unit.store_tables import Meanwhile

ADMIN = "Admin@Example.com"
ANN, CARL = "ann@example.com", "carl@example.com"


@pytest.fixture
def services(tmp_path):
    made = Services(Settings(data_dir=tmp_path, cache_dir=tmp_path))
    yield made
    made.close()


@pytest.fixture
def accounts(services):
    return services.accounts


@pytest.fixture
def sign_ins(services):
    return services.sign_ins


@pytest.fixture
def administration(services):
    """As the command line has it."""
    return Administration(services, by=OPERATOR)


@pytest.fixture
def admin(services):
    """As the page of the administrator has it, beside whom there is no other."""
    services.accounts.create(ADMIN, "hash", (ROLE_ADMIN,))
    return Administration(services, by="admin@example.com")


def refusal(action, *words) -> str:
    with pytest.raises(InputRefused) as caught:
        action(*words)
    return caught.value.key


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


def test_a_reset_ends_the_sign_ins_and_the_lock(services, administration, accounts, sign_ins):
    administration.add("ann@example.com")
    sid = sign_ins.open("ann@example.com")
    for _ in range(6):
        services.failures.begin("ann@example.com", "")
    password = administration.reset("Ann@Example.com")
    assert sign_ins.find(sid) is None
    assert services.failures.wait_s("ann@example.com", "") == 0
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
    assert refusal(administration.add, "ANN@example.com") == "account_exists"
    assert refusal(administration.invite, "ANN@example.com") == "account_exists"
    assert refusal(administration.add, "ann") == "username_refused"


# What an administrator can do to somebody else, by the name of the method, with what more it takes.
ACTIONS = {
    "add": ("new@example.com",),
    "invite": ("new@example.com",),
    "withdraw": (CARL,),
    "reset": (ANN,),
    "disable": (ANN,),
    "enable": (ANN,),
    "delete": (ANN,),
    "make_admin": (ANN, True),
    "allow_my_aws": (ANN, True),
    "unlock": (ANN,),
    "sign_out": (ANN,),
}


def test_every_action_is_in_the_table_above():
    assert {name for name in vars(Administration) if not name.startswith("_")} == ACTIONS.keys()


@pytest.fixture
def ann(services):
    """An account with a sign-in and a failure, and an invitation of somebody else."""
    services.accounts.create(ANN, "hash")
    services.failures.begin(ANN, "")
    services.invitations.invite(CARL)
    return services.sign_ins.open(ANN)


def everything(services) -> list:
    """What the table holds of accounts, invitations and sign-ins."""
    return [
        services.accounts.all(),
        [one.password_hash for one in services.accounts.all()],
        services.invitations.open(),
        services.table.query(keys.user(ANN)).items,
        services.table.query(keys.failures(f"username {ANN}").partition).items,
    ]


@pytest.mark.parametrize("action", ACTIONS)
def test_whoever_is_no_administrator_can_do_nothing(services, ann, action):
    services.accounts.create("bob@example.com", "hash", ("my_aws",))
    services.accounts.create("closed@example.com", "hash", (ROLE_ADMIN,))
    services.accounts.set_disabled("closed@example.com", True)
    services.accounts.create("new-admin@example.com", "hash", (ROLE_ADMIN,), must_change_password=True)
    before = everything(services)
    for by in ("bob@example.com", "nobody@example.com", "closed@example.com", "new-admin@example.com", " "):
        assert refusal(getattr(Administration(services, by), action), *ACTIONS[action]) == "not_an_administrator"
    assert everything(services) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_whoever_stops_being_an_administrator_can_do_nothing_more(services, ann, admin, action):
    services.accounts.set_role(ADMIN, ROLE_ADMIN, False)
    before = everything(services)
    assert refusal(getattr(admin, action), *ACTIONS[action]) == "not_an_administrator"
    assert everything(services) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_an_administrator_can_do_each_of_it(services, ann, admin, action):
    before = everything(services)
    getattr(admin, action)(*ACTIONS[action])
    assert (everything(services) == before) == (action == "enable")  # what is not closed needs no opening


@pytest.mark.parametrize(
    "action", ["reset", "disable", "enable", "delete", "make_admin", "allow_my_aws", "unlock", "sign_out", "withdraw"]
)
def test_nothing_is_done_to_an_account_that_is_not_there(services, admin, action):
    before = everything(services)
    key = refusal(getattr(admin, action), "nobody@example.com", *ACTIONS[action][1:])
    assert key == ("no_such_invitation" if action == "withdraw" else "no_such_account")
    assert everything(services) == before


@pytest.mark.parametrize("words", [("reset",), ("disable",), ("enable",), ("delete",), ("make_admin", False)])
def test_an_administrator_cannot_shut_himself_out(services, admin, words):
    services.accounts.create(ANN, "hash", (ROLE_ADMIN,))
    action, *more = words
    assert refusal(getattr(admin, action), "Admin@example.COM", *more) == "not_oneself"
    assert is_admin(services.accounts.get(ADMIN))


@pytest.mark.parametrize("words", [("disable",), ("delete",), ("make_admin", False)])
def test_nobody_takes_the_last_administrator(services, admin, administration, words):
    services.accounts.create(ANN, "hash", (ROLE_ADMIN,))
    services.accounts.set_disabled(ANN, True)
    action, *more = words
    assert refusal(getattr(administration, action), ADMIN, *more) == "last_administrator"
    services.accounts.set_disabled(ANN, False)
    getattr(administration, action)(ADMIN, *more)
    assert refusal(getattr(administration, action), ANN, *more) == "last_administrator"
    assert [one.username for one in services.accounts.all() if is_admin(one) and not one.disabled] == [ANN]


@pytest.mark.parametrize("words", [("disable",), ("make_admin", False)])
def test_two_administrators_at_once_cannot_take_each_other(tmp_path, words):
    """Whatever the other one does between our reading and writing: one administrator at least stays."""
    action, *more = words
    for at_call in range(1, 12):
        services = Services(Settings(data_dir=tmp_path / str(at_call), cache_dir=tmp_path))
        services.accounts.create(ADMIN, "hash", (ROLE_ADMIN,))
        services.accounts.create(ANN, "hash", (ROLE_ADMIN,))

        def the_other_way(services=services):
            with suppress(InputRefused):
                getattr(Administration(services, ANN), action)("admin@example.com", *more)

        crossed = Services(services.settings)
        crossed.__dict__["table"] = Meanwhile(services.table, at_call, the_other_way)
        with suppress(InputRefused):
            getattr(Administration(crossed, "admin@example.com"), action)(ANN, *more)
        left = [one.username for one in services.accounts.all() if is_admin(one) and not one.disabled]
        assert left, f"at call {at_call}"
        services.close()


def test_an_invitation_is_used_up_by_adding_the_account(services, admin):
    code = admin.invite(ANN, admin=True)
    assert services.invitations.find(code).roles == (ROLE_ADMIN,)
    admin.add(ANN)
    assert services.invitations.open() == ()
    assert not is_admin(services.accounts.get(ANN))


def test_who_did_what_to_whom_is_logged_without_the_secret(services, admin, caplog):
    caplog.set_level("INFO")
    secrets = [admin.add(ANN), admin.reset(ANN), admin.invite(CARL)]
    assert f"password reset for {ANN} by admin@example.com" in caplog.text
    assert [secret for secret in secrets if secret in caplog.text] == []


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


def test_opening_an_account_again_revives_none_of_its_sign_ins(administration, accounts, sign_ins):
    administration.add(ANN)
    sid = sign_ins.open(ANN)
    accounts.set_disabled(ANN, True)  # and the process died before it ended the sign-ins
    administration.enable(ANN)
    assert not accounts.get(ANN).disabled
    assert sign_ins.find(sid) is None


def test_a_given_one_time_password_is_neither_renewed_nor_printed(accounts):
    assert ensure_first_admin(accounts, ADMIN, given="from-the-secrets") is None
    for _ in range(2):  # other instances, later starts
        assert ensure_first_admin(accounts, ADMIN, given="from-the-secrets") is None
    account = accounts.get(ADMIN)
    assert account.must_change_password
    assert check_password("from-the-secrets", account.password_hash)
