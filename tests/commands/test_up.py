"""`codecoach up`: one command starts everything, Ctrl-C stops everything."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import requests

from codecoach.local.ports import any_free
from codecoach.local.scripted import ScriptedServer

ROOT = Path(__file__).parents[2]


class Up:
    """A running `codecoach up`, read line by line."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codecoach", "up"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "CODECOACH_DATA_DIR": str(folder / "data"),
                "LANG": "C",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def until(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"ended without saying {pattern!r}:\n{self.said}")

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


@pytest.fixture
def bedrock():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def up(tmp_path, bedrock):
    started = []

    def start(**environment: str) -> Up:
        started.append(Up(tmp_path, CODECOACH_BEDROCK_ENDPOINT_URL=bedrock.url, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def gone(processes: list[psutil.Process]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        time.sleep(0.05)
    return False


def test_it_says_where_it_is_and_how_to_sign_in_and_ends_with_all_its_parts(up):
    running = up(CODECOACH_PORT=str(any_free()))
    url = running.until(r"http://localhost:\d+")[0]
    password = running.until(r"admin@demo\.com .* password\s+(\S+)")[1]
    assert len(password) >= 8
    assert requests.get(f"{url}/healthz", timeout=10).ok
    family = running.family()
    assert len(family) >= 2
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(20) == 0
    assert gone(family)


def test_a_taken_port_is_said_and_the_next_one_used(up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = up(CODECOACH_PORT=str(port))
        assert str(port) in running.until(r"is taken")[0] + running.said
        url = running.until(r"http://localhost:\d+")[0]
        assert not url.endswith(str(port))


def test_nothing_stays_behind_when_it_is_killed(up):
    running = up(CODECOACH_PORT=str(any_free()))
    running.until(r"http://localhost:\d+")
    family = running.family()
    running.process.kill()
    assert gone(family)


def test_other_commands_find_it_while_it_is_up(up, tmp_path, bedrock):
    running = up(CODECOACH_PORT=str(any_free()))
    url = running.until(r"http://localhost:\d+")[0]
    running.until(r"Ctrl-C")
    told = json.loads((tmp_path / "data" / "up.json").read_text())
    assert (told["url"], told["bedrock_endpoint_url"]) == (url, bedrock.url)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == 0
    assert not (tmp_path / "data" / "up.json").exists()
