"""The routes beside Streamlit's own: setting and dropping the session cookie, and the state of the app."""

import json
import logging
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codecoach import __version__
from codecoach.errors import StoreError
from codecoach.i18n import Language, tell
from codecoach.ui import parts, session_cookie
from codecoach.ui.origins import is_loopback
from codecoach.ui.session import services

log = logging.getLogger(__name__)

# A ticket is 43 characters.
LONGEST_BODY_BYTES: Final = 1024


async def start(request: Request) -> Response:
    """Exchange a one-time ticket for the session cookie."""
    if not _from_our_page(request):
        return JSONResponse({"ok": False}, status_code=403)
    try:
        ticket = json.loads(await _body(request))["ticket"]
        value = await run_in_threadpool(_cookie_for, str(ticket))
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"ok": False}, status_code=400)
    except StoreError as error:
        log.warning("cookie not set: %s", error)
        return JSONResponse({"ok": False}, status_code=503)
    if not value:
        return JSONResponse({"ok": False}, status_code=403)
    response = JSONResponse({"ok": True})
    session_cookie.give(response, value, is_https(request), services().settings.session_hours * 3600)
    return response


async def end(request: Request) -> Response:
    """End the sign-in that the cookie names, and drop the cookie."""
    if not _from_our_page(request):
        return JSONResponse({"ok": False}, status_code=403)
    try:
        await run_in_threadpool(_close, session_cookie.value_in(request.cookies, is_https(request)))
    except StoreError as error:
        log.warning("sign-in not closed: %s", error)
    response = JSONResponse({"ok": True})
    session_cookie.take(response, is_https(request))
    return response


def _cookie_for(ticket: str) -> str:
    seal = services().cookie_seal  # before the ticket is used up: it may not be had while the store is away
    sid = services().sign_ins.redeem(ticket)
    return seal.seal(sid) if sid else ""


def _close(value: str) -> None:
    sid = services().cookie_seal.unseal(value) if value else None
    if sid:
        services().sign_ins.close(sid)


def is_https(request: Request) -> bool:
    """Whether the browser is to send cookies over HTTPS only: it came so, or all do."""
    return services().settings.cookie_secure or session_cookie.over_https(request.headers, request.url.scheme)


async def health(request: Request) -> Response:
    """Whether the process serves, and the last known state of its parts; never waits for any of them."""
    states = parts.of(services()).snapshot()
    degraded = any(state.word == "down" for state in states)
    return JSONResponse(
        {
            "status": "degraded" if degraded else "ok",
            "version": __version__,
            "parts": {state.name: part(state, _is_inside(request)) for state in states},
        },
        headers={"cache-control": "no-store"},
    )


def part(state: parts.PartState, inside: bool) -> dict[str, str]:
    """What is told of a part; names and addresses of what stands behind the app only to whoever is inside."""
    known = {"state": state.word, "version": state.version}
    if state.problem is None:
        return known
    values = (
        state.problem.values
        if inside
        else {name: _told_outside(name, value) for name, value in state.problem.values.items()}
    )
    return known | {"why": tell(Language.EN, replace(state.problem, values=values))}


def _told_outside(name: str, value: object) -> object:
    return "…" if name == "detail" else value


def _is_inside(request: Request) -> bool:
    """Whether the request comes from this machine, not through a proxy on it."""
    return bool(request.client and is_loopback(request.client.host)) and "x-forwarded-for" not in request.headers


async def _body(request: Request) -> bytes:
    """The body; raises ValueError for one that is no ticket by its length alone."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY_BYTES:
            raise ValueError
    return body


def _from_our_page(request: Request) -> bool:
    """A header of our own makes a foreign page's request need a CORS preflight, which nobody answers."""
    return request.headers.get("x-codecoach") == "1"


ROUTES = [
    Route("/auth/start", start, methods=["POST"]),
    Route("/auth/end", end, methods=["POST"]),
    Route("/healthz", health, methods=["GET"]),
]
