"""The whole app on free ports with a scripted model, for benchmarks: real processes, real HTTP, a data folder of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from codecoach.local import ports
from codecoach.services import DATABASE
from codecoach.settings import Settings
from codecoach.store.accounts import Accounts
from codecoach.store.cookie_seal import CookieSeal, kept_secrets
from codecoach.store.port import Table
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.ui.session import COOKIE

ROOT = Path(__file__).parents[1]
DAY_S = 24 * 3600


@dataclass(frozen=True)
class App:
    """A running app.

    url           of the web app
    endpoint_url  of the scripted Bedrock endpoint
    web           the web app's process
    started_s     from starting the process to its first answer on /healthz
    """

    url: str
    endpoint_url: str
    data_dir: Path
    web: psutil.Process
    started_s: float

    def cookie(self, username: str) -> str:
        """The Cookie header of a fresh sign-in of a user, who is created where there is none."""
        return cookie(SqliteTable(self.data_dir / DATABASE), username)


def cookie(table: Table, username: str) -> str:
    """The Cookie header of a fresh sign-in, as above, for whoever's table it is."""
    if Accounts(table).get(username) is None:
        # Nobody signs in with it: the sign-in is opened beneath the form.
        Accounts(table).create(username, "!", ("user",), must_change_password=False)
    sid = SignIns(table, idle_s=DAY_S, longest_s=DAY_S).open(username)
    return f"{COOKIE}={CookieSeal(kept_secrets(table)).seal(sid)}"


@contextmanager
def endpoint(rules: dict[str, object]) -> Iterator[str]:
    """A scripted Bedrock endpoint in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rules, file)
        file.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--scripted", file.name, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            process.wait()


@contextmanager
def app(rules: dict[str, object], more: dict[str, str] | None = None) -> Iterator[App]:
    """The app, answering as `rules` say; `more` are variables of its environment."""
    with endpoint(rules) as endpoint_url, tempfile.TemporaryDirectory() as folder:
        _already_started_once(Path(folder))
        port = ports.any_free()
        url = f"http://127.0.0.1:{port}"
        began = time.monotonic()
        web = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "Home.py",
                "--server.port",
                str(port),
                "--server.headless",
                "true",
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "CODECOACH_DATA_DIR": folder,
                "CODECOACH_BEDROCK_ENDPOINT_URL": endpoint_url,
                **(more or {}),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not _answers(f"{url}/healthz"):
                assert web.poll() is None, "the app ended"
                time.sleep(0.02)
            yield App(url, endpoint_url, Path(folder), psutil.Process(web.pid), time.monotonic() - began)
        finally:
            web.terminate()
            web.wait()


def _already_started_once(data_dir: Path) -> None:
    """The first start ever also makes the administrator; what is measured are the starts after it."""
    table = SqliteTable(data_dir / DATABASE)
    Accounts(table).create(Settings().admin_email, "!", ("admin",), must_change_password=False)
    table.close()


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds, user and system, that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False
