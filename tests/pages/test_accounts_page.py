"""Settings, all accounts: administrators find, invite, change and end accounts; nobody else does anything."""

import pytest

from codecoach.i18n import Language, table
from codecoach.services import Services
from codecoach.settings import MyAws
from codecoach.store import keys
from codecoach.ui import session
from codecoach.ui.account_panel import ACTIONS
from codecoach.ui.passwords import check_password
from codecoach.ui.settings_accounts import ON_A_PAGE

from .conftest import PASSWORD_HASH, open_page, texts

ROOT = "root@example.com"


def open_accounts(services, name: str):
    return open_page("4_Settings", services.sign_ins.open(name)).get("pills")[0].set_value("accounts").run()


@pytest.fixture
def page(services, user, admin):
    return open_accounts(services, admin)


def rows(test) -> list[list[str]]:
    return test.dataframe[0].value.to_numpy().tolist() if test.dataframe else []


def select(test, number: int):
    """Select a row, as a click beside it does."""
    key = test.dataframe[0].key
    test.session_state[key] = {"selection": {"rows": [number], "columns": [], "cells": []}}
    return test.run()


def find(test, words: str):
    return test.text_input(key="accounts-search").set_value(words).run()


def press(test, action: str, answer: str = "yes"):
    """Press the button of an action, and answer the question it asks, if it asks one."""
    test.button(key=f"accounts-{action}").click().run()
    if ACTIONS[action].asked_first:
        test.button(key=f"confirm-{answer}").click().run()
    assert not test.exception
    return test


def actions(test) -> set[str]:
    return {str(button.key).removeprefix("accounts-") for button in test.button if str(button.key)[9:] in ACTIONS}


def add(test, name: str, how: str = "password", admin: bool = False):
    test.text_input(key="accounts-new-name-0").set_value(name)
    test.radio(key="accounts-new-how-0").set_value(how)
    test.checkbox(key="accounts-new-admin-0").set_value(admin)
    next(button for button in test.button if button.label == "Add").click().run()
    assert not test.exception
    return test


def test_only_administrators_have_the_section(services, user, admin):
    def sections(name: str) -> str:
        return str(open_page("4_Settings", services.sign_ins.open(name)).get("pills")[0].options)

    assert "All accounts" in sections(admin)
    assert "All accounts" not in sections(user)


def test_nobody_else_gets_it_by_asking_for_the_section(services, user, admin):
    test = open_page("4_Settings", services.sign_ins.open(user))
    test.session_state["settings-section"] = "accounts"
    test.session_state["accounts-chosen"] = admin
    test.run()
    assert not test.exception
    assert admin not in texts(test)
    assert rows(test) == []
    assert actions(test) == set()


def test_everybody_is_listed_with_standing_role_and_last_sign_in(services, user, page):
    services.accounts.create("closed@example.com", PASSWORD_HASH)
    services.accounts.set_disabled("closed@example.com", True)
    services.accounts.create("new@example.com", PASSWORD_HASH, must_change_password=True)
    services.invitations.invite("carl@example.com", ("admin",))
    services.last_sign_ins.note(user)
    listed = {name: rest for name, *rest in rows(page.run())}
    assert {name: rest[:2] for name, rest in listed.items()} == {
        "ann@example.com": ["Active", "User"],
        "carl@example.com": ["Invited", "Administrator"],
        "closed@example.com": ["Disabled", "User"],
        "new@example.com": ["Password due", "User"],
        ROOT: ["Active", "Administrator"],
    }
    assert listed[ROOT][2] == "Never"
    assert listed[user][2].startswith("20")


def test_among_500_accounts_one_is_found_by_a_part_of_the_address(services, page):
    for number in range(500):
        services.accounts.create(f"user{number:03d}@example.com", "hash")
    assert len(rows(page.run())) == ON_A_PAGE
    assert "502 of 502" in texts(page)
    page.get("pagination")[0].set_value(51).run()
    assert [name for name, *_ in rows(page)] == ["user498@example.com", "user499@example.com"]
    find(page, "USER 07")  # every word of it
    assert [name for name, *_ in rows(page)] == [
        *(f"user{number:03d}@example.com" for number in (7, *range(70, 79))),
    ]
    find(page, "user321")
    assert actions(page)  # the only one left is chosen without a click
    press(page, "disable")
    assert services.accounts.get("user321@example.com").disabled
    find(page, "nobody")
    assert "No address has" in texts(page)
    assert actions(page) == set()


def test_what_is_done_is_done_to_the_one_that_was_shown_however_the_list_changed(services, user, page):
    select(page, 0)
    assert "ann@example.com" in page.subheader[0].value.replace("\\", "").replace(":small[]", "")
    services.accounts.create("aaa@example.com", "hash")
    press(page, "disable")
    assert services.accounts.get(user).disabled
    assert not services.accounts.get("aaa@example.com").disabled
    press(page, "enable")  # still the same one
    assert not services.accounts.get(user).disabled


def test_a_question_answered_with_no_changes_nothing(services, user, page):
    select(page, 0)
    sid = services.sign_ins.open(user)
    for action in [name for name in ("reset", "disable", "make_admin", "sign_out") if name in actions(page)]:
        press(page, action, answer="no")
    account = services.accounts.get(user)
    assert (account.disabled, account.roles, account.password_hash) == (False, (), PASSWORD_HASH)
    assert services.sign_ins.find(sid) == user


def test_a_reset_gives_a_one_time_password_that_is_shown_once(services, user, page):
    sid = services.sign_ins.open(user)
    press(select(page, 0), "reset")
    password = page.code[0].value
    assert check_password(password, services.accounts.get(user).password_hash)
    assert services.accounts.get(user).must_change_password
    assert services.sign_ins.find(sid) is None
    page.run()
    assert password not in [code.value for code in page.code]


def test_an_account_is_deleted_only_when_its_address_was_typed(services, user, page):
    services.conversations.create(user, "code_coach", "Buckets")
    select(page, 0)
    page.button(key="accounts-delete").click().run()
    page.text_input(key="confirm-typed").set_value("ann")
    page.button(key="confirm-yes").click().run()
    assert "Nothing was deleted" in page.error[0].value
    assert services.conversations.list(user).conversations
    page.text_input(key="confirm-typed").set_value(f" {user} ")
    page.button(key="confirm-yes").click().run()
    assert not page.exception
    assert services.accounts.get(user) is None
    assert services.conversations.list(user).conversations == ()
    assert [name for name, *_ in rows(page)] == [ROOT]


@pytest.mark.parametrize(
    ("domains", "said"), [("other.example,example.com", True), ("other.example", False), ("", False)]
)
def test_who_deletes_somebody_whom_the_provider_lets_in_again_is_told_that_only_disabling_keeps_them_out(
    services, user, page, monkeypatch, domains, said
):
    changed = services.settings.model_copy(update={"oidc_domains": domains})
    monkeypatch.setattr(services, "settings", changed)
    select(page, 0)
    page.button(key="accounts-delete").click().run()
    assert "Nobody can bring it back" in texts(page)
    assert ("disable the account instead" in texts(page)) is said


def test_the_role_is_given_and_taken(services, user, page):
    press(select(page, 0), "make_admin")
    assert services.accounts.get(user).roles == ("admin",)
    press(page, "take_admin")
    assert services.accounts.get(user).roles == ()


def test_an_account_is_unlocked_and_signed_out(services, user, page):
    sid = services.sign_ins.open(user)
    for _ in range(12):
        services.failures.begin(user, "")
    select(page, 0)
    assert "locked for" in texts(page)
    assert "in one browser" in texts(page)
    press(page, "unlock")
    assert services.failures.wait_s(user, "") == 0
    press(page, "sign_out")
    assert services.sign_ins.find(sid) is None
    assert "Not signed in anywhere" in texts(page)


def test_ones_own_account_offers_no_way_to_shut_oneself_out(page):
    select(page, 1)
    assert "your own account" in texts(page)
    assert actions(page) == set()


def test_an_account_is_added_and_chosen(services, page):
    add(page, "New@Example.com", admin=True)
    account = services.accounts.get("new@example.com")
    assert account.must_change_password
    assert account.roles == ("admin",)
    assert check_password(page.code[0].value, account.password_hash)
    assert "take_admin" in actions(page)
    assert page.text_input(key="accounts-new-name-1").value == ""


def test_somebody_is_invited_with_a_link_and_a_code_and_the_invitation_is_withdrawn(services, page):
    add(page, "Carl@Example.com", how="invitation")
    link, code = (one.value for one in page.code[:2])
    assert link.endswith(f"/?invitation={code}")
    assert services.invitations.find(code).username == "carl@example.com"
    assert services.accounts.get("carl@example.com") is None
    assert actions(page) == {"withdraw"}
    page.button(key="accounts-invite_again").click().run()
    assert services.invitations.find(code) is None
    assert services.invitations.find(page.code[1].value)
    press(page, "withdraw")
    assert services.invitations.open() == ()


def test_the_link_of_an_invitation_leads_to_the_address_of_the_settings(services, admin):
    with_address = Services(services.settings.model_copy(update={"public_url": "https://coach.example.com/app"}))
    with_address.__dict__ |= {name: getattr(services, name) for name in ("table", "model", "directory")}
    session.install(with_address)
    page = add(open_accounts(with_address, admin), "carl@example.com", how="invitation")
    assert page.code[0].value == f"https://coach.example.com/app/?invitation={page.code[1].value}"


@pytest.mark.parametrize("how", ["password", "invitation"])
@pytest.mark.parametrize(("name", "said"), [("ann@example.com", "already is an account"), ("nonsense", "e-mail")])
def test_what_cannot_be_added_says_why_and_what_was_typed_stays(page, name, said, how):
    add(page, name, how)
    assert said in page.error[0].value
    assert "Reference" not in page.error[0].value  # what was typed was refused: there is nothing to look up
    assert page.text_input(key="accounts-new-name-0").value == name


@pytest.mark.parametrize("action", ["reset", "make_admin", "unlock", "sign_out", "disable"])
def test_whoever_lost_the_role_does_nothing_from_a_page_that_is_still_open(services, user, admin, page, action):
    """As well as whoever sends a click that no page offered: what counts is asked when it is done."""
    select(page, 0)
    sid = services.sign_ins.open(user)
    services.failures.begin(user, "")
    failures = services.table.get(keys.failures(f"username {user}"))
    assert failures
    before = services.accounts.get(user)
    services.accounts.create("other@example.com", PASSWORD_HASH, ("admin",))
    services.accounts.set_role(admin, "admin", False)
    press(page, action, "yes") if not ACTIONS[action].asked_first else page.button(
        key=f"accounts-{action}"
    ).click().run()
    assert services.accounts.get(user) == before
    assert services.sign_ins.find(sid) == user
    assert services.table.get(keys.failures(f"username {user}")) == failures
    assert rows(page) == []


def test_whoever_lost_the_role_adds_nobody(services, admin, page):
    services.accounts.set_role(admin, "admin", False)
    add(page, "new@example.com")
    assert services.accounts.get("new@example.com") is None
    assert len(page.code) == 0


def test_whoever_lost_the_role_while_a_question_was_open_does_nothing(services, user, admin, page):
    select(page, 0)
    page.button(key="accounts-disable").click().run()
    services.accounts.set_role(admin, "admin", False)
    page.button(key="confirm-yes").click().run()
    assert not page.exception
    assert not services.accounts.get(user).disabled


def test_my_aws_is_allowed_and_refused_where_administrators_decide(services, user, admin):
    role = "arn:aws:iam::123456789012:role/run"
    chosen = {"run_role_arn": role, "my_aws": MyAws.CHOSEN}
    with_role = Services(services.settings.model_copy(update=chosen))
    with_role.__dict__ |= {name: getattr(services, name) for name in ("table", "model", "directory")}
    session.install(with_role)
    test = select(open_accounts(with_role, admin), 0)
    press(test, "allow_my_aws")
    assert services.accounts.get(user).roles == ("my_aws",)
    assert rows(test)[0][2] == "User · My AWS"
    press(test, "refuse_my_aws")
    assert services.accounts.get(user).roles == ()


@pytest.mark.parametrize("name", ACTIONS)
def test_every_action_has_its_texts(name):
    wanted = {f"accounts.{name}", f"accounts.{name}_done"}
    if ACTIONS[name].asked_first:
        wanted.add(f"accounts.{name}_question")
    assert wanted <= table(Language.EN).keys()
