"""The routes beside Streamlit's own: setting and dropping the session cookie, and the state of the app."""

import json
import logging
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from codecoach import __version__
from codecoach.errors import StoreError
from codecoach.ui import parts
from codecoach.ui.session import COOKIE, services

log = logging.getLogger(__name__)

# A ticket is 43 characters.
LONGEST_BODY_BYTES: Final = 1024


async def start(request: Request) -> Response:
    """Exchange a one-time ticket for the session cookie."""
    if not _from_our_page(request):
        return JSONResponse({"ok": False}, status_code=403)
    try:
        ticket = json.loads(await _body(request))["ticket"]
        sid = await run_in_threadpool(services().sign_ins.redeem, str(ticket))
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"ok": False}, status_code=400)
    except StoreError as error:
        log.warning("cookie not set: %s", error)
        return JSONResponse({"ok": False}, status_code=503)
    if sid is None:
        return JSONResponse({"ok": False}, status_code=403)
    settings = services().settings
    response = JSONResponse({"ok": True})
    response.set_cookie(
        COOKIE,
        sid,
        max_age=settings.session_hours * 3600,
        httponly=True,
        samesite="lax",
        secure=settings.cookie_secure,
    )
    return response


async def end(request: Request) -> Response:
    """End the sign-in that the cookie names, and drop the cookie."""
    if not _from_our_page(request):
        return JSONResponse({"ok": False}, status_code=403)
    sid = request.cookies.get(COOKIE)
    if sid:
        try:
            await run_in_threadpool(services().sign_ins.close, sid)
        except StoreError as error:
            log.warning("sign-in not closed: %s", error)
    response = JSONResponse({"ok": True})
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=services().settings.cookie_secure)
    return response


async def health(_request: Request) -> Response:
    """Whether the process serves, and the last known state of its parts; never waits for any of them."""
    states = parts.of(services()).snapshot()
    degraded = any(state.word == "down" for state in states)
    return JSONResponse(
        {
            "status": "degraded" if degraded else "ok",
            "version": __version__,
            "parts": {state.name: {"state": state.word, "version": state.version} for state in states},
        },
        headers={"cache-control": "no-store"},
    )


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
