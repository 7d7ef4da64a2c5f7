"""A reference for each HTTP request, in the log and in the answer."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codecoach import reference

HEADER: Final = "x-request-id"


class Referenced:
    """ASGI middleware that begins a reference with each request and tells it in `HEADER`. What the client sends is not used."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        made = reference.begin()

        async def send_with_reference(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = made
            await send(message)

        await self._app(scope, receive, send_with_reference)
