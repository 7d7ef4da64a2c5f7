"""Streamlit's own sign-in routes behind ours: whatever a provider or an address says, it ends on a page of ours, with a word why."""

import logging
import re
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette.starlette_app import create_streamlit_middleware
from streamlit.web.server.starlette.starlette_auth_routes import create_auth_routes

from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.ui import oidc, session
from codecoach.ui.oidc_routes import ARRIVAL_S, ProviderRoutes
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, ScriptedProvider

APP = "https://coach.example.com"
BEGAN_ON = f"{APP}/Chat?c=1"
INCOMPLETE = "/Chat?c=1&signin=incomplete"


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def provider(running: ScriptedProvider) -> ScriptedProvider:
    running.reset()
    return running


@pytest.fixture
def settings(provider, tmp_path) -> Settings:
    return Settings(
        data_dir=tmp_path,
        cookie_secure=True,
        public_url=APP,
        oidc_metadata_url=provider.metadata_url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
    )


@pytest.fixture
def install() -> Iterator:
    def with_settings(settings: Settings) -> TestClient:
        session.install(Services(settings))
        secrets_singleton.merge_programmatic_secrets(oidc.secrets(settings))
        middleware = [Middleware(ProviderRoutes), *create_streamlit_middleware()]
        app = Starlette(routes=create_auth_routes(""), middleware=middleware)
        return TestClient(app, APP, raise_server_exceptions=True, follow_redirects=False)

    yield with_settings
    session.install(None)
    secrets_singleton.merge_programmatic_secrets({})
    secrets_singleton._reset()


@pytest.fixture
def browser(install, settings) -> TestClient:
    return install(settings)


def begin(browser: TestClient, referer: str = BEGAN_ON, expires_in_s: int = 100):
    """What the button does: to the address that `st.login` gives out."""
    key = OctKey.import_key(oidc.secrets(session.services().settings)["auth"]["cookie_secret"])
    token = jwt.encode({"alg": "HS256"}, {"provider": "default", "exp": int(time.time()) + expires_in_s}, key)
    return browser.get("/auth/login", params={"provider": token}, headers={"referer": referer})


def come_back(browser: TestClient, provider: ScriptedProvider, **query: str):
    """Begin, and come back from the provider with a code."""
    asked = parse_qs(urlsplit(begin(browser).headers["location"]).query)
    provider.nonce = asked["nonce"][0]
    return browser.get("/oauth2callback", params={"code": "once", "state": asked["state"][0]} | query)


def cookies(answer) -> dict[str, str]:
    """What the answer sets, by name; deletions left out."""
    set_ = {cookie.partition("=")[0]: cookie for cookie in answer.headers.get_list("set-cookie")}
    return {name: cookie for name, cookie in set_.items() if "Max-Age=0" not in cookie}


def test_the_provider_is_asked_for_no_more_than_the_address(browser, provider):
    answer = begin(browser)
    assert answer.headers["location"].startswith(f"{provider.url}/authorize?")
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{APP}/oauth2callback"]
    assert asked["scope"] == ["openid email"]
    assert asked["prompt"] == ["select_account"]
    assert asked["state"] != asked["nonce"]


def test_a_good_round_trip_ends_on_the_page_it_began_on_with_a_cookie_for_minutes(browser, provider):
    answer = come_back(browser, provider)
    assert (answer.status_code, answer.headers["location"]) == (302, "/Chat?c=1")
    who = cookies(answer)["_streamlit_user"]
    assert re.findall(r"Max-Age=(\d+)", who) == [str(ARRIVAL_S)]
    assert "HttpOnly" in who
    assert "for nobody" not in str(answer.headers)
    assert "_streamlit_user_tokens" not in cookies(answer)


def test_behind_https_every_cookie_is_secure(browser, provider):
    began = begin(browser)
    back = come_back(browser, provider)
    assert len(cookies(began)) == 2
    for cookie in [*cookies(began).values(), *cookies(back).values()]:
        assert re.search("; secure", cookie, re.IGNORECASE)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "somebody else"},
        {"aud": ["somebody else", CLIENT_ID]},
        {"iss": "https://elsewhere.example.com"},
        {"nonce": "of another round trip"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_round_trip_signs_nobody_in(browser, provider, claims):
    provider.claims = claims
    answer = come_back(browser, provider)
    assert answer.headers["location"] == INCOMPLETE
    assert "_streamlit_user" not in cookies(answer)


def test_a_token_that_somebody_else_signed_signs_nobody_in(browser, provider):
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})
    answer = come_back(browser, provider)
    assert answer.headers["location"] == INCOMPLETE
    assert "_streamlit_user" not in cookies(answer)


@pytest.mark.parametrize(
    "answer",
    [
        lambda token: (400, {"error": "invalid_grant", "error_description": "the code was used"}),
        lambda token: (500, {}),
        lambda token: (200, {"access_token": "alone", "token_type": "Bearer"}),
        lambda token: (200, {"access_token": "x", "token_type": "Bearer", "id_token": "no.token.atall"}),
        lambda token: (200, {"access_token": "x", "token_type": "Bearer", "id_token": unsigned(token)}),
    ],
    ids=["code used", "broken", "no token", "no JWT", "unsigned"],
)
def test_an_answer_that_is_no_token_signs_nobody_in(browser, provider, answer):
    provider.answer = answer
    came = come_back(browser, provider)
    assert came.headers["location"] == INCOMPLETE
    assert "_streamlit_user" not in cookies(came)


def unsigned(token: str) -> str:
    none = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    return f"{none}.{token.split('.')[1]}."


def test_a_callback_is_good_once(browser, provider):
    good = come_back(browser, provider)
    assert "_streamlit_user" in cookies(good)
    again = browser.get(good.request.url)
    assert again.headers["location"] == INCOMPLETE
    assert "_streamlit_user" not in cookies(again)


@pytest.mark.parametrize("state", [{"state": "made up"}, {"state": ""}], ids=["made up", "empty"])
def test_a_callback_with_another_state_signs_nobody_in(browser, provider, state):
    answer = come_back(browser, provider, **state)
    assert answer.headers["location"] == INCOMPLETE
    assert "_streamlit_user" not in cookies(answer)


def test_another_browsers_callback_signs_nobody_in(install, settings, provider):
    asked = parse_qs(urlsplit(begin(install(settings)).headers["location"]).query)
    provider.nonce = asked["nonce"][0]
    answer = install(settings).get("/oauth2callback", params={"code": "theirs", "state": asked["state"][0]})
    assert answer.headers["location"] == "/?signin=incomplete"
    assert "_streamlit_user" not in cookies(answer)


@pytest.mark.parametrize(
    ("error", "outcome"), [("access_denied", "cancelled"), ("server_error", "incomplete"), ("", "incomplete")]
)
def test_what_the_provider_reports_is_told(browser, provider, error, outcome):
    answer = come_back(browser, provider, error=error)
    assert answer.headers["location"] == f"/Chat?c=1&signin={outcome}"


def test_nothing_of_an_address_gets_into_the_log_as_it_is(browser, caplog):
    browser.get("/oauth2callback", params={"error": "x\r\n\x1b[31mforged", "error_description": "forged too"})
    assert "the sign-in provider reports" in caplog.text
    assert "forged" not in caplog.text


def test_no_secret_gets_into_the_log(browser, provider, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    # Streamlit's loggers may have been set to another level, and to hand nothing on, by whatever ran before.
    caplog.set_level("DEBUG", "streamlit")
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("streamlit") and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "propagate", True)
            monkeypatch.setattr(logger, "disabled", False)
            caplog.set_level("DEBUG", name)
    come_back(browser, provider)
    provider.claims = {"aud": "somebody else"}
    come_back(browser, provider)
    assert "token exchange failed" in caplog.text
    for secret in (CLIENT_SECRET, "for nobody", oidc.secrets(session.services().settings)["auth"]["cookie_secret"]):
        assert secret not in caplog.text


def test_a_provider_that_is_away_is_told(install, settings):
    browser = install(settings.model_copy(update={"oidc_metadata_url": "http://127.0.0.1:9/.well-known/x"}))
    answer = begin(browser)
    assert (answer.status_code, answer.headers["location"]) == (302, "/Chat?c=1&signin=unavailable")


def test_a_button_drawn_long_ago_is_told(browser):
    assert begin(browser, expires_in_s=-1).headers["location"] == INCOMPLETE
    assert browser.get("/auth/login").headers["location"] == "/?signin=incomplete"


@pytest.mark.parametrize(
    ("referer", "page"),
    [
        (f"{APP}/Prompt_Lab", "/Prompt_Lab"),
        (f"{APP}/Editor?p=1&signin=cancelled", "/Editor?p=1"),
        ("", "/"),
        ("https://elsewhere.example.com/", "/"),
        (f"{APP}//elsewhere.example.com", "/"),
        (f"{APP}/Chat/../../elsewhere", "/"),
        ("//elsewhere.example.com", "/"),
        (f"{APP}/Chat?x=%0d%0aset-cookie:%20a=b", "/Chat?x=%0D%0Aset-cookie%3A+a%3Db"),
        ("http://[", "/"),
    ],
)
def test_one_comes_back_to_pages_of_ours_alone(browser, referer, page):
    begin(browser, referer)
    answer = browser.get("/oauth2callback", params={"error": "access_denied"})
    assert answer.headers["location"] == f"{page}{'&' if '?' in page else '?'}signin=cancelled"


@pytest.mark.parametrize(
    "page", ["//elsewhere.example.com", "https://elsewhere.example.com", "%2F%2Fx", "\\\\x", "Chat\\x"]
)
def test_a_forged_note_of_the_page_leads_nowhere_else(browser, page):
    answer = browser.get(
        "/oauth2callback", params={"error": "access_denied"}, headers={"cookie": f"codecoach_page={page}"}
    )
    assert answer.headers["location"] == "/?signin=cancelled"


def test_nobody_signs_others_out_by_a_link(browser):
    assert browser.get("/auth/logout").status_code == 404


@pytest.mark.parametrize("path", ["/auth/login", "/auth/logout", "/oauth2callback?error=access_denied"])
def test_without_a_provider_there_are_no_such_routes(install, tmp_path, path):
    assert install(Settings(data_dir=tmp_path)).get(path).status_code == 404
