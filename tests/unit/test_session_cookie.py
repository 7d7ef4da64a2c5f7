"""The session cookie is signed, told apart by how the page came, and says nothing of the browser but what is known here."""

import pytest

from codecoach.errors import SettingsWrong
from codecoach.settings import load
from codecoach.store.cookie_seal import CookieSeal
from codecoach.ui.session_cookie import COOKIE, SECURE_COOKIE, over_https, value_in
from codecoach.ui.visitor import device_of

OLD, NEW = "an old secret of 32 characters!!", "a new secret of 32 characters!!!"
SID = "s" * 43


def test_what_was_sealed_comes_out_again_and_nothing_else():
    seal = CookieSeal([NEW])
    value = seal.seal(SID)
    assert seal.unseal(value) == SID
    for number in range(len(value)):
        for character in "A_-.é\n ":
            if value[number] != character:
                assert seal.unseal(value[:number] + character + value[number + 1 :]) is None
    for other in (
        value[1:],
        value[:-1],
        f" {value}",
        f"{value}\n",
        f"{value}.{value}",
        "",
        ".",
        "x" * 1_000_000,
        "\ud83d",
    ):
        assert seal.unseal(other) is None


def test_a_secret_can_be_changed_without_signing_anybody_out():
    before, between, after = CookieSeal([OLD]), CookieSeal([NEW, OLD]), CookieSeal([NEW])
    assert between.unseal(before.seal(SID)) == SID
    assert between.seal(SID) == after.seal(SID)
    assert after.unseal(before.seal(SID)) is None


def test_without_a_secret_nothing_is_signed():
    with pytest.raises(ValueError, match="no secret"):
        CookieSeal([])


def test_secrets_that_are_set_are_long_and_not_shown(monkeypatch):
    monkeypatch.setenv("CODECOACH_COOKIE_SECRET", f" {NEW}, {OLD},")
    assert load().cookie_secrets == (NEW, OLD)
    assert NEW not in repr(load())
    monkeypatch.setenv("CODECOACH_COOKIE_SECRET", f"{NEW},too short")
    with pytest.raises(SettingsWrong) as refused:
        load()
    assert "CODECOACH_COOKIE_SECRET" in str(refused.value)
    assert "32 characters" in str(refused.value)
    assert "too short" not in str(refused.value)


@pytest.mark.parametrize("name", ["CODECOACH_SESSION_DAYS", "CODECOACH_SESSION_IDLE"])
def test_a_setting_of_an_older_version_is_named_at_the_start(monkeypatch, name):
    monkeypatch.setenv(name, "7")
    with pytest.raises(SettingsWrong) as refused:
        load()
    assert f"{name} is not a setting (did you mean CODECOACH_SESSION_" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("IDLE_MINUTES", "0"), ("IDLE_MINUTES", "1441"), ("HOURS", "0"), ("HOURS", "721"), ("HOURS", "x")],
)
def test_a_session_of_no_length_or_without_an_end_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"CODECOACH_SESSION_{name}", value)
    with pytest.raises(SettingsWrong, match=f"CODECOACH_SESSION_{name}"):
        load()


@pytest.mark.parametrize(
    ("cookies", "over_http", "over_https_"),
    [
        ({}, "", ""),
        ({COOKIE: "plain"}, "plain", ""),  # over HTTPS a neighbouring host could have set it
        ({SECURE_COOKIE: "host"}, "host", "host"),
        ({COOKIE: "plain", SECURE_COOKIE: "host"}, "host", "host"),
        ({"other": "x"}, "", ""),
    ],
)
def test_over_https_only_the_cookie_that_is_this_hosts_alone_counts(cookies, over_http, over_https_):
    assert value_in(cookies, https=False) == over_http
    assert value_in(cookies, https=True) == over_https_


@pytest.mark.parametrize(
    ("headers", "scheme", "https"),
    [
        ({}, "http", False),
        ({}, "https", True),
        ({}, "wss", True),
        ({"x-forwarded-proto": "https"}, "http", True),
        ({"x-forwarded-proto": "http"}, "https", True),
        ({"x-forwarded-proto": " https , http"}, "", True),
        ({"cloudfront-forwarded-proto": "https"}, "ws", True),
        ({"x-forwarded-proto": "httpsx"}, "", False),
        ({"x-forwarded-proto": ""}, "", False),
    ],
)
def test_https_anywhere_on_the_way_from_the_browser_counts(headers, scheme, https):
    assert over_https(headers, scheme) is https


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
            "Safari, macOS",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
            "Chrome, iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        ("curl/8.0", ""),
        ("", ""),
        ("<script>alert(1)</script>" * 1000, ""),
    ],
)
def test_a_browser_is_called_by_words_of_ours_alone(user_agent, device):
    assert device_of(user_agent) == device
