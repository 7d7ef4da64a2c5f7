"""Whoever is invited makes an account with a password of their own, and is signed in; nobody else gets in."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.services import Services
from codecoach.store import keys
from codecoach.store.failures import LOCKED_FROM
from codecoach.store.invitations import KEPT_S
from codecoach.ui import session
from codecoach.ui.passwords import check_password

from .conftest import ROOT, open_page, texts

CARL = "carl@example.com"
CHOSEN = "three green umbrellas"


@pytest.fixture
def code(services):
    return services.invitations.invite(CARL, ("admin",))


def open_link(code: str, sid: str | None = None) -> AppTest:
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    test.context = {"locale": "en-US"}
    test.query_params["invitation"] = code
    if sid:
        test.session_state["codecoach.sid"] = sid
    return test.run()


def send(test, code: str | None = None, password: str = CHOSEN, again: str | None = None):
    if code is not None:
        test.text_input(key="invited-code").set_value(code)
    test.text_input(key="invited-password").set_value(password)
    test.text_input(key="invited-again").set_value(password if again is None else again)
    test.button[0].click().run()
    assert not test.exception
    return test


def test_the_link_brings_the_code_which_leaves_the_address_at_once(services, code):
    test = open_link(code)
    assert dict(test.query_params) == {}
    assert test.text_input(key="invited-code").value == code
    assert services.accounts.get(CARL) is None  # opening it makes and signs in nobody
    send(test)
    assert "Get started" in texts(test)
    account = services.accounts.get(CARL)
    assert account.roles == ("admin",)
    assert not account.must_change_password
    assert check_password(CHOSEN, account.password_hash)
    assert len(services.sign_ins.all_of(CARL)) == 1
    assert services.invitations.open() == ()


def test_without_the_link_the_code_is_typed_in(services, code):
    test = open_page("4_Settings")
    test.button(key="invited-begin").click().run()
    send(test, code=code.upper())
    assert test.title[0].value == "Settings"
    assert services.accounts.get(CARL)


def test_one_can_go_back_to_sign_in(services):
    test = open_page("Home")
    test.button(key="invited-begin").click().run()
    test.button(key="invited-back").click().run()
    assert [field.label for field in test.text_input] == ["E-mail address", "Password"]


@pytest.mark.parametrize("kind", ["wrong", "empty", "used", "withdrawn", "expired"])
def test_whatever_is_wrong_with_a_code_sounds_the_same(services, code, kind):
    typed = {"wrong": "abcde-abcde", "empty": ""}.get(kind, code)
    if kind == "used":
        services.invitations.accept(code, "hash")
    if kind == "withdrawn":
        services.invitations.withdraw(CARL)
    if kind == "expired":
        (item,) = services.table.query(keys.INVITATIONS).items
        services.table.put(replace(item, expires_at=item.expires_at - KEPT_S - 1))
    before = services.accounts.all()
    test = open_page("Home")
    test.button(key="invited-begin").click().run()
    send(test, code=typed)
    assert [error.value for error in test.error] == [
        "This invitation is not valid: its code is wrong, it was used or withdrawn, or it is older than 7 days."
    ]
    assert services.accounts.all() == before


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        (CHOSEN, "three red umbrellas", "not the same"),
        ("short", None, "at least 8 characters"),
        ("Password1", None, "list of leaked passwords"),
        ("carl@example.com", None, "your own address"),
    ],
)
def test_a_password_that_will_not_do_costs_nobody_the_invitation(services, code, password, again, said):
    test = send(open_link(code), password=password, again=again)
    assert said in test.error[0].value
    assert services.invitations.find(code)
    send(test)
    assert services.accounts.get(CARL)


def test_after_many_wrong_codes_not_even_the_right_one_is_tried_and_passwords_still_are(services, user, code):
    # The test's address is another one in each run, unless a proxy that says nothing is trusted.
    behind_proxy = Services(services.settings.model_copy(update={"client_address_header": "X-Address"}))
    behind_proxy.__dict__ |= {name: getattr(services, name) for name in ("table", "model", "directory")}
    session.install(behind_proxy)
    test = send(open_link("made-up"))
    counter = services.table.get(keys.failures("username invitation"))
    assert counter.data["count"] == 1
    services.table.put(replace(counter, data=counter.data | {"count": LOCKED_FROM}))
    send(test, code=code)
    assert "Too many attempts. Try again in 15 min." in test.error[0].value
    assert services.accounts.get(CARL) is None
    assert services.failures.wait_s(user, "") == 0


def test_who_is_signed_in_is_told_so_and_the_invitation_waits(services, user, code):
    test = open_link(code, services.sign_ins.open(user))
    assert not test.exception
    assert dict(test.query_params) == {}
    assert "signed in as" in test.toast[0].value
    assert services.invitations.find(code)
    assert "invited:code" not in test.session_state


@pytest.mark.parametrize("text", ["x" * 100_000, "<script>alert(1)</script>", "[a](javascript:b)"])
def test_anything_may_stand_in_the_address(services, text):
    test = send(open_link(text))
    assert "not valid" in test.error[0].value


def test_no_log_tells_a_code_or_a_password(services, code, caplog):
    caplog.set_level("DEBUG", logger="codecoach")
    send(send(open_link(code), password="Password1"))
    assert f"invitation accepted: {CARL}" in caplog.text
    assert [secret for secret in (code, CHOSEN, "Password1") if secret in caplog.text] == []
