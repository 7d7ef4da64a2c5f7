"""The sign-in form with a provider beside it, and the account of somebody who has no password."""

import pytest

from codecoach.services import Services
from codecoach.ui import oidc, session
from codecoach.ui.admission import NO_PASSWORD

from .conftest import PAGES, open_page, texts

PROVIDER = {
    "public_url": "https://coach.example.com",
    "oidc_metadata_url": "https://provider.example.com/.well-known/openid-configuration",
    "oidc_client_id": "us",
    "oidc_label": "*Acme* Login",
}
NAMED = r"\*Acme\* Login"  # as Markdown that reads like the name


@pytest.fixture
def with_provider(services: Services) -> Services:
    made = Services(services.settings.model_copy(update=PROVIDER))
    made.__dict__ |= {name: getattr(services, name) for name in ("table", "model", "directory")}
    session.install(made)
    return made


def come_back(outcome: str, locale: str = "en-US"):
    """Open Home at the address that the routes send a failed round trip to."""
    test = open_page("Home", locale=locale)
    test.query_params[oidc.OUTCOME] = outcome
    return test.run()


@pytest.mark.parametrize("page", PAGES)
def test_every_pages_form_offers_the_provider_by_its_name(with_provider, page):
    test = open_page(page)
    assert not test.exception
    assert [button.label for button in test.button] == [f"Sign in with {NAMED}", "Sign in", "I have an invitation"]
    assert [field.label for field in test.text_input] == ["E-mail address", "Password"]


def test_a_provider_without_a_name_is_called_by_what_it_does(with_provider):
    session.install(Services(with_provider.settings.model_copy(update={"oidc_label": ""})))
    assert r"Sign in with single sign\-on" in texts(open_page("Home"))
    assert "通过 单点登录 登录" in texts(open_page("Home", locale="zh-CN"))


@pytest.mark.parametrize(
    ("outcome", "english", "chinese"),
    [
        ("cancelled", "was cancelled", "已取消"),
        ("incomplete", "came to nothing", "没有完成"),
        ("unavailable", "does not answer", "没有响应"),
    ],
)
def test_a_round_trip_that_led_nowhere_is_told_in_both_languages_and_leaves_the_address(
    with_provider, outcome, english, chinese
):
    for locale, told in (("en-US", english), ("zh-CN", chinese)):
        test = come_back(outcome, locale)
        assert not test.exception
        assert told in test.error[0].value
        assert NAMED in test.error[0].value
        assert oidc.OUTCOME not in test.query_params
        test.run()
        assert told in test.error[0].value


@pytest.mark.parametrize("outcome", ["", "made up", "oidc.disabled", "<b>x</b>", "no_account"])
def test_an_address_cannot_make_the_form_say_anything_else(with_provider, outcome):
    test = come_back(outcome)
    assert not test.exception
    assert not test.error


def test_without_a_provider_the_address_says_nothing(services):
    test = come_back("cancelled")
    assert not test.error
    assert [button.label for button in test.button] == ["Sign in", "I have an invitation"]


def test_an_account_without_a_password_has_none_to_change(with_provider):
    with_provider.accounts.create("ann@example.com", NO_PASSWORD)
    test = open_page("4_Settings", with_provider.sign_ins.open("ann@example.com"))
    test.get("pills")[0].set_value("account").run()
    assert not test.exception
    assert "no password here to change" in texts(test)
    assert not test.text_input


def test_no_password_signs_in_to_an_account_that_has_none_and_the_answer_tells_nothing(with_provider):
    with_provider.accounts.create("ann@example.com", NO_PASSWORD)
    for name in ("ann@example.com", "nobody@example.com"):
        test = open_page("Home")
        test.text_input(key="signin-username").set_value(name)
        test.text_input(key="signin-password").set_value("a good password")
        test.button[1].click().run()
        assert [error.value for error in test.error] == ["The e-mail address or the password is not right."]
