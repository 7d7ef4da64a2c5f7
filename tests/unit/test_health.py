"""`python -m codecoach.health`: what containers and instances take for usable."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from codecoach.health import problem
from codecoach.i18n import Notice
from codecoach.ui.parts import PartState
from codecoach.ui.routes import part


@contextmanager
def answering(body: str, status: int = 200):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def states(**words: str) -> str:
    return json.dumps({"status": "ok", "parts": {name: {"state": word} for name, word in words.items()}})


def test_it_is_usable_when_every_part_works():
    with answering(states(model="ok", store="ok", runner="ok")) as url:
        assert problem(url) == ""


@pytest.mark.parametrize("word", ["down", "loading", "checking"])
def test_a_part_that_does_not_work_or_not_yet_is_named(word):
    with answering(states(model=word, store="ok", runner="ok")) as url:
        assert problem(url) == f"model: {word}"


def test_why_it_does_not_work_is_told_too():
    body = {"parts": {"model": {"state": "down", "why": "The key is wrong."}, "store": {"state": "ok"}}}
    with answering(json.dumps(body)) as url:
        assert problem(url) == "model: down (The key is wrong.)"


@pytest.mark.parametrize("body", ["", "[]", '{"parts": 3}', '{"parts": {"model": {}}}', '{"parts": {"model": 1}}'])
def test_another_server_is_no_codecoach(body):
    with answering(body) as url:
        assert "no CodeCoach" in problem(url)


def test_an_error_and_silence_are_told():
    with answering("", 503) as url:
        assert "503" in problem(url)
    assert "does not answer" in problem(url)  # it has ended by now


def test_the_exit_code_says_it_too():
    with answering(states(model="ok")) as good, answering(states(model="down")) as bad:
        for url, code, line in ((good, 0, "ok\n"), (bad, 1, "model: down\n")):
            command = [sys.executable, "-m", "codecoach.health", url]
            ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
            assert (ran.returncode, ran.stdout) == (code, line)


def test_names_and_addresses_behind_the_app_are_told_inside_only():
    away = Notice("runtimes.piston_away", {"detail": "http://10.0.0.9:2000 does not answer"})
    state = PartState("runner", problem=away, checked=True)
    assert "10.0.0.9" in part(state, inside=True)["why"]
    assert part(state, inside=False)["why"] == part(state, inside=True)["why"].replace(str(away.values["detail"]), "…")
    assert "why" not in part(PartState("runner", "Python 3.13", checked=True), inside=True)
