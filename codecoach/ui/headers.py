"""Headers on every HTTP response that keep other sites from framing the app, guessing at its content, or being told any."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The app frames its own components (the editor), nobody else frames the app. Pictures come from the app alone: one from
# elsewhere is fetched as it is shown, and an address that a model wrote can carry what it was told (see also `ui.markup`).
HEADERS: Final = {
    "x-frame-options": "SAMEORIGIN",
    "content-security-policy": "frame-ancestors 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


class SafeHeaders:
    """ASGI middleware that adds `HEADERS` where the response has none of that name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
