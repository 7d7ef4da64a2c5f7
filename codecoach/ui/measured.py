"""Counts and times the HTTP requests, and the websockets that are open."""

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codecoach import metrics

_KINDS: Final = (
    ("/healthz", "health"),
    ("/auth/", "session"),
    ("/_stcore/upload_file", "file"),
    ("/media/", "file"),
    ("/static/", "file"),
    ("/component/", "file"),
    ("/_stcore/", "stream"),
)


class Measured:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            with metrics.streams.track_inprogress():
                await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, status, begun = _kind(scope["path"]), 500, time.monotonic()

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_look)
        finally:
            metrics.requests.labels(kind, status).inc()
            metrics.request_seconds.labels(kind).observe(time.monotonic() - begun)


def _kind(path: str) -> str:
    return next((kind for start, kind in _KINDS if path.startswith(start)), "page")
