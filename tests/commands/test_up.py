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

from codecoach.local import running, weights
from codecoach.local.ports import any_free
from codecoach.local.scripted import ScriptedServer
from codecoach.runner import packages
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.ui.passwords import check_password, hash_password

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
        started.append(Up(tmp_path, **{"CODECOACH_BEDROCK_ENDPOINT_URL": bedrock.url, **environment}))
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
    app = up(CODECOACH_PORT=str(any_free()))
    url = app.until(r"http://localhost:\d+")[0]
    password = app.until(r"admin@demo\.com .* password\s+(\S+)")[1]
    assert len(password) >= 8
    assert requests.get(f"{url}/healthz", timeout=10).ok
    family = app.family()
    assert len(family) >= 2
    app.process.send_signal(signal.SIGINT)
    assert app.process.wait(20) == 0
    assert gone(family)


def test_a_taken_port_is_said_and_the_next_one_used(up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = up(CODECOACH_PORT=str(port))
        assert str(port) in app.until(r"is taken")[0] + app.said
        url = app.until(r"http://localhost:\d+")[0]
        assert not url.endswith(str(port))


def test_a_second_one_on_the_same_data_leaves_the_first_its_password_and_its_place(up, tmp_path):
    port = any_free()
    first = up(CODECOACH_PORT=str(port))
    url = first.until(r"http://localhost:\d+")[0]
    password = first.until(r"admin@demo\.com .* password\s+(\S+)")[1]
    first.until(r"Ctrl-C")
    second = up(CODECOACH_PORT=str(port))
    second.until(rf"also served at {url}")
    assert "password" not in second.said
    store = Services(Settings(data_dir=tmp_path / "data"))
    assert check_password(password, store.accounts.get("admin@demo.com").password_hash)
    store.close()
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(20) == 0
    assert running.find(tmp_path / "data").url == url


def test_a_second_start_downloads_nothing_and_tells_of_no_password(up, tmp_path):
    cache = Settings().cache_dir
    if not (weights.find("0.5b", cache) and all(packages.installed(cache, name) for name in packages.AT_ONCE)):
        pytest.skip("the small model or a runtime is not here: the first start could not be a whole one")
    with socket.create_server(("127.0.0.1", 0)) as out:
        out.setblocking(False)
        proxy = f"http://127.0.0.1:{out.getsockname()[1]}"
        environment = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy)
        environment |= {"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1"}
        environment |= {"CODECOACH_BEDROCK_ENDPOINT_URL": "", "CODECOACH_LOCAL_MODEL": "0.5b"}
        first = up(CODECOACH_PORT=str(any_free()), **environment)
        first.until(r"one-time password")
        first.until(r"Ctrl-C")
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(20) == 0
        store = Services(Settings(data_dir=tmp_path / "data"))
        store.accounts.set_password("admin@demo.com", hash_password("one of my own"))
        store.close()
        second = up(CODECOACH_PORT=str(any_free()), **environment)
        second.until(r"Ctrl-C")
        assert "Sign in as admin@demo.com" in second.said
        assert "password" not in second.said
        with pytest.raises(BlockingIOError):
            out.accept()


def test_of_two_that_start_at_once_on_new_data_each_printed_password_is_right(up, tmp_path):
    both = [up(CODECOACH_PORT=str(any_free())) for _ in range(2)]
    printed = []
    for one in both:
        one.until(r"http://localhost:\d+")
        printed += re.findall(r"one-time password\s+(\S+)", one.until(r"Sign in")[0] + one.said)
        one.until(r"Ctrl-C")
    assert printed
    store = Services(Settings(data_dir=tmp_path / "data"))
    assert all(check_password(password, store.accounts.get("admin@demo.com").password_hash) for password in printed)
    store.close()


def test_one_that_is_stopped_while_it_starts_says_no_address_and_leaves_nothing_behind(up):
    starting = up(CODECOACH_PORT=str(any_free()))
    while len(family := starting.family()) < 2:
        time.sleep(0.02)
    starting.process.send_signal(signal.SIGINT)
    assert starting.process.wait(20) == 0
    assert "http://localhost" not in starting.process.stdout.read()
    assert gone(family)


def test_nothing_stays_behind_when_it_is_killed(up):
    app = up(CODECOACH_PORT=str(any_free()))
    app.until(r"http://localhost:\d+")
    family = app.family()
    app.process.kill()
    assert gone(family)


def test_other_commands_find_it_while_it_is_up(up, tmp_path, bedrock):
    app = up(CODECOACH_PORT=str(any_free()))
    url = app.until(r"http://localhost:\d+")[0]
    app.until(r"Ctrl-C")
    told = json.loads((tmp_path / "data" / "up.json").read_text())
    assert (told["url"], told["bedrock_endpoint_url"]) == (url, bedrock.url)
    app.process.send_signal(signal.SIGTERM)
    assert app.process.wait(20) == 0
    assert not (tmp_path / "data" / "up.json").exists()
