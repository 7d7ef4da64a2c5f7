"""Around Streamlit's own routes of the sign-in through a provider: where they end, and how long their cookies last.

    path             Streamlit's answer                              what the browser gets
    ---------------  ----------------------------------------------  --------------------------------------------------
    /auth/login      to the provider                                 that, and a note of the page it was asked on
                     to the app: the button was drawn long ago       that page, which says that it came to nothing
                     an error                                        that page, which says that the provider is away
    /oauth2callback  to the app, with who it is in a cookie          that page, and the cookie for some minutes
                     to the app, without                             that page, which says that it came to nothing
                     (never asked: the provider reports an error)    that page, which says so
    /auth/logout     (never asked)                                   not found

`st.logout` is not used: signing out ends our own sign-in, and what its route would do to the provider's anybody's link could.
Without a provider none of the three exists.
"""

import logging
import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codecoach.ui.cookie import base_path
from codecoach.ui.oidc import CALLBACK, OUTCOME
from codecoach.ui.routes import is_https
from codecoach.ui.session import services
from codecoach.ui.switches import PATHS

log = logging.getLogger(__name__)

LOGIN: Final = "/auth/login"
LOGOUT: Final = "/auth/logout"
# Long enough for the slowest browser to open the page with it.
ARRIVAL_S: Final = 300
# Streamlit's: who it is, and beside it, which nobody here needs, the provider's tokens. Long ones come in numbered pieces.
_USER: Final = re.compile(r"_streamlit_user(_\d+)?")
_TOKENS: Final = re.compile(r"_streamlit_user_tokens(_\d+)?")
_PAGE: Final = "codecoach_page"
_PAGE_S: Final = 600
_LONGEST_PAGE: Final = 500


class ProviderRoutes:
    """ASGI middleware that makes of Streamlit's answers what the table says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(base_path())
        if scope["type"] != "http" or path not in (LOGIN, LOGOUT, CALLBACK):
            return await self._app(scope, receive, send)
        request = Request(scope)
        if path == LOGOUT or not services().settings.oidc_metadata_url:
            answer: Response = PlainTextResponse("Not Found", 404)
        elif path == LOGIN:
            answer = await self._login(request, receive)
        else:
            answer = await self._callback(request, receive)
        await answer(scope, receive, send)

    async def _login(self, request: Request, receive: Receive) -> Response:
        page = _page(request.headers.get("referer", ""))
        cookies, place = await self._asked(request.scope, receive)
        if not place.startswith(("https://", "http://")):
            return _to_page(page, "incomplete" if place else "unavailable")
        answer = RedirectResponse(place, 302)
        _add_cookies(answer, cookies, is_https(request))
        path = base_path() or "/"
        answer.set_cookie(_PAGE, quote(page), _PAGE_S, path=path, httponly=True, secure=is_https(request))
        return answer

    async def _callback(self, request: Request, receive: Receive) -> Response:
        page = _page(unquote(request.cookies.get(_PAGE, "")))
        error = request.query_params.get("error")
        if error is not None:
            # What it is comes from the address, so from anybody.
            log.warning(
                "the sign-in provider reports %s", error if re.fullmatch(r"[a-z_]{1,40}", error) else "an error"
            )
            return _to_page(page, "cancelled" if error == "access_denied" else "incomplete")
        cookies, _ = await self._asked(request.scope, receive)
        arrived = any(_USER.fullmatch(_name(cookie)) and not _is_deletion(cookie) for cookie in cookies)
        answer = _to_page(page, "" if arrived else "incomplete")
        _add_cookies(answer, cookies, is_https(request))
        return answer

    async def _asked(self, scope: Scope, receive: Receive) -> tuple[list[str], str]:
        """Streamlit's answer: the cookies it sets and the place it leads to; nothing where it fails."""
        started: list[Message] = []

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)

        try:
            await self._app(scope, receive, keep)
        except Exception:
            log.exception("sign-in through the provider failed")
            return [], ""
        headers = MutableHeaders(raw=started[0]["headers"])
        return headers.getlist("set-cookie"), headers.get("location", "")


def _to_page(page: str, outcome: str) -> Response:
    """To a page of ours, and there to the form if it is to say something."""
    sign = "&" if "?" in page else "?"
    return RedirectResponse(f"{base_path()}/{page}" + (f"{sign}{OUTCOME}={outcome}" if outcome else ""), 302)


def _page(address: str) -> str:
    """Of an address, the page of ours it names, with its query; Home's, which is "", for any other, whoever's it is."""
    try:
        parts = urlsplit(address[:_LONGEST_PAGE])
    except ValueError:
        return ""
    name = parts.path.removeprefix(base_path()).strip("/")
    if name not in PATHS:
        return ""
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != OUTCOME]
    return name + (f"?{urlencode(query)}" if query else "")


def _add_cookies(answer: Response, cookies: list[str], https: bool) -> None:
    for cookie in cookies:
        if not _TOKENS.fullmatch(_name(cookie)) or _is_deletion(cookie):
            answer.headers.append("set-cookie", _shortened(cookie, https))


def _shortened(cookie: str, https: bool) -> str:
    if _USER.fullmatch(_name(cookie)) and not _is_deletion(cookie):
        cookie = re.sub(r"(?i)\bmax-age=\d+", f"Max-Age={ARRIVAL_S}", cookie)
    # Streamlit leaves it out where HTTPS ends in front of it.
    secured = re.search(r"(?i);\s*secure\b", cookie)
    return cookie if secured or not https else f"{cookie}; Secure"


def _name(cookie: str) -> str:
    return cookie.partition("=")[0].strip()


def _is_deletion(cookie: str) -> bool:
    return re.search(r"(?i)\bmax-age=0\b", cookie) is not None
