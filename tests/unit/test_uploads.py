"""Uploads: whose, and under which names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from codecoach.runner.checking import is_usable_name
from codecoach.ui import uploads
from codecoach.ui.uploads import UploadsOfSignedIn, safe_name

NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a\0b.txt",
    "..\\..\\x",
    "photo\u202egnp.exe",
    "CON",
    "x" * 1_000_000,
    "表.csv",
    "\n",
)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_a_file_is_called_its_name_does_no_harm(name):
    made = safe_name(name)
    assert is_usable_name(made)
    assert "/" not in made
    assert len(made) <= uploads.NAME_CHARS + 4


@given(st.text(max_size=120))
def test_every_name_can_be_used_and_ordinary_ones_stay(name):
    assert is_usable_name(safe_name(name))
    assert safe_name("data-1.csv") == "data-1.csv"
    assert safe_name(".env") == ".env"


def test_who_is_not_signed_in_uploads_nothing(monkeypatch):
    async def take(_request) -> PlainTextResponse:
        return PlainTextResponse("taken")

    path = "/_stcore/upload_file/{session}/{file}"
    app = UploadsOfSignedIn(Starlette(routes=[Route(path, take, methods=["PUT", "DELETE", "OPTIONS"])]))
    client = TestClient(app)
    monkeypatch.setitem(uploads._signed_in, "known", None)
    for method in ("PUT", "DELETE"):
        assert client.request(method, "/_stcore/upload_file/known/1").status_code == 200
        assert client.request(method, "/_stcore/upload_file/other/1").status_code == 403
        assert client.request(method, "/below/_stcore/upload_file/other/1").status_code == 403
    assert client.options("/_stcore/upload_file/other/1").status_code == 200
