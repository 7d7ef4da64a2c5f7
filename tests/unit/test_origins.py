"""Only the app's own pages, under the app's own names, may open a websocket, upload or post."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from codecoach.settings import Settings
from codecoach.ui.origins import OwnOrigin

LOCAL, OPEN = Settings(), Settings(host="0.0.0.0")
NAMED = Settings(host="0.0.0.0", host_names="code.example.com, other.example.com")


async def greet(_request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def client(settings: Settings) -> TestClient:
    app = Starlette(routes=[Route("/", greet, methods=["GET", "POST"]), WebSocketRoute("/stream", talk)])
    return TestClient(OwnOrigin(app, lambda: settings))


@pytest.mark.parametrize(
    ("settings", "host", "passes"),
    [
        (LOCAL, "localhost:8501", True),
        (LOCAL, "LOCALHOST:8501", True),
        (LOCAL, "127.0.0.1:8501", True),
        (LOCAL, "[::1]:8501", True),
        (LOCAL, "evil.example", False),
        (LOCAL, "localhost.evil.example:8501", False),
        (LOCAL, "", False),
        (LOCAL, "[", False),
        (OPEN, "anything.example", True),
        (NAMED, "code.example.com", True),
        (NAMED, "Code.Example.com.:443", True),
        (NAMED, "10.0.0.7:8501", True),
        (NAMED, "evil.example", False),
    ],
)
def test_only_under_a_name_of_its_own(settings, host, passes):
    assert (client(settings).get("/", headers={"host": host}).status_code == 200) == passes


@pytest.mark.parametrize(
    ("settings", "host", "origin", "passes"),
    [
        (LOCAL, "localhost:8501", "http://localhost:8501", True),
        (LOCAL, "localhost:8501", None, True),
        (LOCAL, "localhost:8501", "http://localhost:3000", False),
        (LOCAL, "localhost:8501", "http://127.0.0.1:8501", False),
        (LOCAL, "localhost:8501", "https://evil.example", False),
        (LOCAL, "localhost:8501", "null", False),
        (LOCAL, "localhost:8501", "", False),
        (LOCAL, "localhost:8501", "http://[", False),
        (LOCAL, "localhost:8501", "http://localhost:8501.evil.example", False),
        (OPEN, "code.example.com", "https://code.example.com", True),
        (OPEN, "code.example.com:443", "https://code.example.com", True),
        (OPEN, "code.example.com", "https://code.example.com:8443", False),
        (OPEN, "code.example.com", "http://localhost", False),
        (NAMED, "10.0.0.7:8501", "https://code.example.com", True),
        (NAMED, "10.0.0.7:8501", "https://evil.example", False),
    ],
)
def test_only_from_a_page_of_its_own(settings, host, origin, passes):
    headers = {"host": host} | ({"origin": origin} if origin is not None else {})
    asking = client(settings)
    assert (asking.post("/", headers=headers).status_code == 200) == passes
    assert asking.get("/", headers=headers).status_code == 200
    if passes:
        with asking.websocket_connect("/stream", headers=headers) as websocket:
            assert websocket.receive_text() == "hello"
    else:
        with pytest.raises(WebSocketDisconnect), asking.websocket_connect("/stream", headers=headers):
            pass
