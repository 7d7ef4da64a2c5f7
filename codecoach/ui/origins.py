"""Which pages may talk to the app, and under which names: its own.

    from another page     a browser names the page that a websocket, an upload or a POST comes from (`Origin`), which must be
                          of the host and port that is asked. Streamlit's own check lets any page of localhost in, whatever
                          its port, and looks up this machine's public address on the internet for every other one
    under another name    a page whose name suddenly leads to this machine (DNS rebinding) is of its own host: the name asked
                          for (`Host`) must be one of the app's

Programs send no `Origin`; they get no further than their cookie does.
"""

import ipaddress
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from codecoach import logs
from codecoach.settings import Settings
from codecoach.ui.session import services

_READING: Final = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_POLICY_VIOLATION: Final = 1008  # RFC 6455, 7.4.1; before the handshake is done it becomes 403


class OwnOrigin:
    """ASGI middleware that refuses requests under other names and, where they could change anything, from other pages."""

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings] = lambda: services().settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and (why := self._refused(scope)):
            logs.security("request refused", warning=True, path=scope["path"], because=why)
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await PlainTextResponse("This address does not belong to this app.\n", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> str | None:
        headers, settings = Headers(scope=scope), self._settings()
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_own_name(host, settings):
            return f"for the host {host}"
        changing = scope["type"] == "websocket" or scope["method"] not in _READING
        if changing and origin is not None and not is_own_page(origin, host, settings):
            return f"from the page {origin}"
        return None


def is_own_name(host: str, settings: Settings) -> bool:
    """Whether the app goes by this name: any number, localhost, and the names that are set; where it listens to others, any."""
    name = _name(host)
    if not name:
        return False
    if _is_number(name) or name == "localhost" or name in settings.names:
        return True
    return not settings.names and not is_loopback(settings.host)


def is_own_page(origin: str, host: str, settings: Settings) -> bool:
    """Whether a page of this origin is the app's."""
    try:
        parts = urlsplit(origin)
        asked = urlsplit(f"{parts.scheme}://{host}")
        default = _DEFAULT_PORTS.get(parts.scheme)
        same = (parts.hostname, parts.port or default) == (asked.hostname, asked.port or default)
    except ValueError:
        return False
    # A proxy may ask under a name of its own.
    return bool(parts.hostname) and (same or parts.hostname in settings.names)


def _name(host: str) -> str:
    """The name or number in a `Host`, without its port; empty for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(address: str) -> bool:
    return address == "localhost" or (_is_number(address) and ipaddress.ip_address(address).is_loopback)
