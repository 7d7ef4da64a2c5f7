"""What pages that stand open are told when their sign-in ends, and what becomes of cookies that we never gave out.

Against the app as a process of its own, by its websocket and routes and without a browser; the test itself is the other process:
it changes accounts and sign-ins in the same store.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import pytest
from streamlit.proto.Element_pb2 import Element

from benchmarks.streamlit_client import Client
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.store.cookie_seal import CookieSeal, kept_secrets
from codecoach.store.port import Item
from codecoach.ui.administration import OPERATOR, Administration
from codecoach.ui.session_cookie import COOKIE, SECURE_COOKIE

from .conftest import PASSWORD, RunningApp

pytestmark = pytest.mark.timeout(900)
WAIT_S = 90
OURS = {"x-codecoach": "1"}
ANN, BOB = "ann@example.com", "bob@example.com"


@dataclass
class Tab(Client):
    """A browser tab that notes whether what it was shown last is the sign-in form or somebody's page."""

    seen: list[str] = field(default_factory=list)

    def _element(self, element: Element, now: float, path: tuple[int, ...]) -> None:
        super()._element(element, now, path)
        kind = element.WhichOneof("type")
        if kind == "text_input" and element.text_input.label == "E-mail address":
            self.seen.append("form")
        elif kind == "page_link":
            self.seen.append("page")

    @property
    def shows(self) -> str:
        return self.seen[-1] if self.seen else ""

    async def until_it_shows(self, what: str) -> None:
        until = time.monotonic() + WAIT_S
        while self.shows != what:
            assert time.monotonic() < until, f"still shows {self.shows!r}"
            await asyncio.sleep(0.02)


@pytest.fixture(scope="module")
def elsewhere(app: RunningApp) -> Iterator[Services]:
    """Another process at the same store."""
    services = Services(Settings(data_dir=app.data_dir))
    for name in (ANN, BOB):
        app.add_account(name)
    yield services
    services.close()


def cookie_of(services: Services, username: str) -> str:
    return services.cookie_seal.seal(services.sign_ins.open(username))


def with_tab(app: RunningApp, headers: str, do: Callable[[Tab], Awaitable[None]], page: str = "") -> None:
    async def run() -> None:
        tab = Tab(app.url, headers, page)
        try:
            await asyncio.wait_for(tab.open(), WAIT_S)
            await do(tab)
        finally:
            await tab.close()

    # In a thread of its own: the browser of other tests has an event loop in this one.
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, run()).result()


def shown_to(app: RunningApp, headers: str) -> str:
    """What a tab that connects with these cookies is shown."""
    shown: list[str] = []

    async def look(tab: Tab) -> None:
        shown.append(tab.shows)

    with_tab(app, headers, look)
    return shown[0]


# --- ended elsewhere ---


ENDINGS: dict[str, Callable[[Services, str], object]] = {
    "signed out": lambda services, sid: services.sign_ins.close(sid),
    "signed out everywhere": lambda services, sid: services.sign_ins.close_all(ANN),
    "ended one": lambda services, sid: services.sign_ins.close_one(ANN, services.sign_ins.id_of(sid)),
    "new password": lambda services, sid: Administration(services, OPERATOR).reset(ANN),
    "disabled": lambda services, sid: services.accounts.set_disabled(ANN, True),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_a_page_that_nobody_touches_is_thrown_out_when_its_sign_in_ends_in_another_process(app, elsewhere, end):
    sid = elsewhere.sign_ins.open(ANN)

    async def do(tab: Tab) -> None:
        await tab.until_it_shows("page")
        await asyncio.to_thread(end, elsewhere, sid)
        await tab.until_it_shows("form")

    try:
        with_tab(app, f"{COOKIE}={elsewhere.cookie_seal.seal(sid)}", do, page="Settings")
    finally:
        elsewhere.accounts.set_disabled(ANN, False)
        elsewhere.accounts.set_password(ANN, elsewhere.accounts.get(BOB).password_hash)


def test_others_stay_when_somebody_is_thrown_out(app, elsewhere):
    anns, bobs = elsewhere.sign_ins.open(ANN), elsewhere.sign_ins.open(BOB)

    async def do(tab: Tab) -> None:
        await tab.until_it_shows("page")
        await asyncio.to_thread(elsewhere.sign_ins.close, anns)
        await asyncio.sleep(2)  # for what must not come
        assert "form" not in tab.seen
        await tab.rerun()
        assert tab.shows == "page"

    with_tab(app, f"{COOKIE}={elsewhere.cookie_seal.seal(bobs)}", do)


def test_a_page_that_follows_an_answer_is_thrown_out_in_its_midst(app, elsewhere, bedrock):
    sid = elsewhere.sign_ins.open(ANN)
    bedrock.engine.say("word " * 100_000, token_delay_s=0.05)

    async def do(tab: Tab) -> None:
        words = asyncio.Event()
        tab.on_text = lambda text, _: words.set() if "word word" in text else None
        await tab.submit_chat("Say many words")
        await asyncio.wait_for(words.wait(), WAIT_S)
        await asyncio.to_thread(elsewhere.sign_ins.close, sid)
        await tab.until_it_shows("form")

    with_tab(app, f"{COOKIE}={elsewhere.cookie_seal.seal(sid)}", do, page="Chat")
    (begun,) = elsewhere.conversations.list(ANN).conversations
    (_, reply) = elsewhere.conversations.messages(begun.id).messages
    elsewhere.conversations.request_stop(begun.id, reply.id)


# --- cookies ---


def forged(name: str, mine: str, other: str) -> str:
    """A cookie that nobody was given, made of two that were."""
    sid, signature = mine.split(".")
    others_sid, others_signature = other.split(".")
    edited = sid[:-1] + ("A" if sid[-1] != "A" else "B")
    return {
        "empty": "",
        "garbage": "garbage",
        "unsigned": sid,
        "no signature": f"{sid}.",
        "no sid": f".{signature}",
        "another's signature": f"{sid}.{others_signature}",
        "another's sid": f"{others_sid}.{signature}",
        "edited sid": f"{edited}.{signature}",
        "edited signature": f"{sid}.{signature[:10]}{'A' if signature[10] != 'A' else 'B'}{signature[11:]}",
        "truncated": mine[:-1],
        "longer": mine + "A",
        "twice": f"{mine}.{signature}",
        "other secret": CookieSeal(["x" * 32]).seal(sid),
        "signed hash": f"{'0' * 43}.{signature}",
        "percent": mine.replace(".", "%2E"),
        "long": "A" * 5_000,
    }[name]


FORGED = (
    "empty", "garbage", "unsigned", "no signature", "no sid", "another's signature", "another's sid", "edited sid",
    "edited signature", "truncated", "longer", "twice", "other secret", "signed hash", "percent", "long",
)  # fmt: skip


def test_a_cookie_that_we_gave_out_opens_the_page(app, elsewhere):
    assert shown_to(app, f"{COOKIE}={cookie_of(elsewhere, ANN)}") == "page"


@pytest.mark.parametrize("how", FORGED)
def test_a_cookie_that_we_did_not_give_out_opens_the_sign_in_form_alone(app, elsewhere, how):
    mine, other = cookie_of(elsewhere, ANN), cookie_of(elsewhere, BOB)
    assert shown_to(app, f"{COOKIE}={forged(how, mine, other)}") == "form"
    assert elsewhere.sign_ins.find(mine.split(".")[0]) == ANN  # and ends nothing


@pytest.mark.parametrize("how", FORGED)
def test_signing_out_with_such_a_cookie_ends_nobodys_sign_in(app, elsewhere, how):
    mine, other = cookie_of(elsewhere, ANN), cookie_of(elsewhere, BOB)
    cookie = f"{COOKIE}={forged(how, mine, other)}"
    answer = httpx.post(f"{app.url}/auth/end", headers={**OURS, "cookie": cookie}, timeout=WAIT_S)
    assert answer.status_code == 200
    assert [elsewhere.sign_ins.find(one.split(".")[0]) for one in (mine, other)] == [ANN, BOB]
    assert answer.headers["set-cookie"].startswith(f'{COOKIE}=""; ')


def test_a_cookie_of_a_megabyte_is_refused_and_the_app_goes_on(app, elsewhere):
    for path in ("/auth/end", "/auth/start"):
        headers = {**OURS, "cookie": f"{COOKIE}={'A' * 1_000_000}"}
        # Or the connection is closed before all of it was sent.
        with suppress(httpx.TransportError):
            assert httpx.post(app.url + path, headers=headers, timeout=WAIT_S).status_code in (400, 431)
    assert httpx.get(f"{app.url}/healthz", timeout=WAIT_S).status_code == 200


def test_an_expired_sign_in_is_none_any_more(app, elsewhere):
    services = Services(Settings(data_dir=app.data_dir))
    try:
        long_ago = services.sign_ins.open(ANN)
        for field_, name in (("seen_at", "idle"), ("begun_at", "too_long")):
            sid = services.sign_ins.open(ANN)
            age(services, sid, field_)
            assert shown_to(app, f"{COOKIE}={services.cookie_seal.seal(sid)}") == "form"
            assert services.sign_ins.why_ended(sid) == name
        assert services.sign_ins.find(long_ago) == ANN
    finally:
        services.close()


def age(services: Services, sid: str, field_: str) -> None:
    """Have a sign-in look two days old."""
    item = services.table.get(keys.sign_in(keys.hashed(sid)))
    services.table.put(
        Item(item.key, {**item.data, field_: "2020-01-01T00:00:00.000000+00:00"}, expires_at=item.expires_at)
    )


# --- the cookie itself ---


def start(app: RunningApp, services: Services, headers: dict[str, str]) -> tuple[str, httpx.Response]:
    sid = services.sign_ins.open(ANN)
    ticket = services.sign_ins.issue_ticket(sid)
    return sid, httpx.post(
        f"{app.url}/auth/start", headers={**OURS, **headers}, json={"ticket": ticket}, timeout=WAIT_S
    )


def attributes(response: httpx.Response) -> tuple[str, set[str]]:
    """(name and value of the cookie that is set, its attributes)"""
    value, *rest = response.headers["set-cookie"].split("; ")
    return value, {one.lower() for one in rest}


def test_over_http_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_lasts_as_long_as_a_sign_in_can(
    app, elsewhere
):
    sid, response = start(app, elsewhere, {})
    value, given = attributes(response)
    assert value == f"{COOKIE}={elsewhere.cookie_seal.seal(sid)}"
    assert given == {"httponly", "samesite=lax", "path=/", f"max-age={12 * 3600}"}
    assert shown_to(app, value) == "page"


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-proto": "https"},
        {"x-forwarded-proto": "HTTPS, http"},
        {"cloudfront-forwarded-proto": "https", "x-forwarded-proto": "http"},
    ],
)
def test_behind_https_the_cookie_is_secure_and_this_hosts_alone(app, elsewhere, headers):
    sid, response = start(app, elsewhere, headers)
    value, given = attributes(response)
    assert value == f"{SECURE_COOKIE}={elsewhere.cookie_seal.seal(sid)}"
    assert given == {"httponly", "samesite=lax", "path=/", "secure", f"max-age={12 * 3600}"}
    assert shown_to(app, value) == "page"


@pytest.mark.parametrize("headers", [{"x-forwarded-proto": "http"}, {"x-forwarded-proto": "javascript"}, {}])
def test_nothing_but_https_makes_it_secure(app, elsewhere, headers):
    value, given = attributes(start(app, elsewhere, headers)[1])
    assert value.startswith(f"{COOKIE}=")
    assert "secure" not in given


def test_signing_out_over_https_drops_the_cookie_under_either_name(app, elsewhere):
    sid, response = start(app, elsewhere, {"x-forwarded-proto": "https"})
    headers = {**OURS, "x-forwarded-proto": "https", "cookie": attributes(response)[0]}
    response = httpx.post(f"{app.url}/auth/end", headers=headers, timeout=WAIT_S)
    dropped = [one for name, one in response.headers.multi_items() if name == "set-cookie"]
    assert sorted(one.split("=")[0] for one in dropped) == [SECURE_COOKIE, COOKIE]
    assert all("max-age=0" in one.lower() and "secure" in one.lower() for one in dropped)
    assert elsewhere.sign_ins.find(sid) is None


def test_no_secret_is_in_the_log(app, elsewhere):
    """What came before is in there: cookies, tickets, a ticket that is none."""
    sid, response = start(app, elsewhere, {})
    httpx.post(f"{app.url}/auth/start", headers=OURS, json={"ticket": "made-up-ticket"}, timeout=WAIT_S)
    log = app.log.read_text()
    for secret in (
        sid,
        attributes(response)[0].split("=")[1],
        "made-up-ticket",
        PASSWORD,
        *kept_secrets(elsewhere.table),
    ):
        assert secret not in log
