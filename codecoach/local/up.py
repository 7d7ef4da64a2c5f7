"""Start all of CodeCoach on this machine, and stop all of it.

codecoach up
  ├── local Bedrock endpoint   (embedded only; the page says "loading" until the weights are in memory)
  └── web app                  streamlit run Home.py
        └── sandbox, simulated AWS: started by the app when they are first needed
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path

import requests

from codecoach.errors import SettingsWrong
from codecoach.local import ports, running
from codecoach.local.processes import Child, Kept
from codecoach.settings import PREFIX, Backend, Settings

ROOT = Path(__file__).parents[2]
CHECK_EVERY_S = 0.5
START_WITHIN_S = 60.0
# What the web app needs to save replies and record runs at its end.
SAVED_WITHIN_S = 20.0

Say = Callable[..., None]
"""Called as `say(key, **values)` with a key of the `[cli]` texts."""


def up(settings: Settings, say: Say, one_time_password: Callable[[], str | None]) -> int:
    """Run until Ctrl-C or SIGTERM; returns the exit code.

    one_time_password  makes sure that there is an administrator; its password, a new one, where nobody has chosen it yet.
                       Called by one CodeCoach of a data folder alone: what another one has printed must stay true
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as parts:
        endpoint_url, endpoint = _start_endpoint(settings, parts)
        url, web = _start_web(settings, endpoint_url, say, parts)
        first = running.claim(settings.data_dir)
        if first:
            parts.callback(first.close)
        password = one_time_password() if first else None
        if not _answers(f"{url}/healthz", web, stopping):
            say("cli.up.web_failed", log=_log_file(settings, "web"))
            return 1
        if not stopping.is_set():
            running.announce(settings.data_dir, running.Running(os.getpid(), url, endpoint_url))
            parts.callback(running.withdraw, settings.data_dir)
            _greet(url, settings, password, say)
            if not first:
                _tell_of_the_other(settings, say)
        while not stopping.wait(CHECK_EVERY_S):
            if web.exit_code is not None:
                say("cli.up.web_ended", log=_log_file(settings, "web"))
                return 1
            if endpoint:
                endpoint.check()
        say("cli.up.stopping")
    return 0


def _greet(url: str, settings: Settings, password: str | None, say: Say) -> None:
    say("cli.up.ready", url=url)
    if password:
        say("cli.up.first_sign_in", user=settings.admin_email, password=password)
    else:
        say("cli.up.sign_in", user=settings.admin_email)
    say("cli.up.how_to_stop")


def _tell_of_the_other(settings: Settings, say: Say) -> None:
    other = running.find(settings.data_dir)
    if other and other.pid != os.getpid():
        say("cli.up.another", url=other.url)
    else:  # it is not up yet, or has just ended
        say("cli.up.another_starting")


def _start_endpoint(settings: Settings, parts: ExitStack) -> tuple[str, Kept | None]:
    """The local Bedrock endpoint and its address; ("", None) where the backend is AWS."""
    if settings.bedrock_endpoint_url or settings.backend is not Backend.EMBEDDED:
        return settings.bedrock_endpoint_url, None
    port = settings.local_port or ports.any_free()
    if not ports.is_free("127.0.0.1", port):
        raise SettingsWrong(problems=f"{PREFIX}LOCAL_PORT: port {port} is taken")
    argv = [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--port", str(port)]
    endpoint = Kept(lambda: Child(argv, {}, _log_file(settings, "model")))
    parts.callback(endpoint.stop)
    return f"http://127.0.0.1:{port}", endpoint


def _start_web(settings: Settings, endpoint_url: str, say: Say, parts: ExitStack) -> tuple[str, Child]:
    port = ports.first_free(settings.host, settings.port)
    if port != settings.port:
        say("cli.up.port_taken", wanted=settings.port, used=port)
    argv = [sys.executable, "-m", "streamlit", "run", "Home.py"]
    argv += ["--server.port", str(port), "--server.address", settings.host, "--server.headless", "true"]
    environment = settings.model_copy(update={"bedrock_endpoint_url": endpoint_url}).as_environment()
    web = Child(argv, environment, _log_file(settings, "web"), ROOT, settings.drain_s + SAVED_WITHIN_S)
    parts.callback(web.stop)
    return f"http://{_reachable(settings.host)}:{port}", web


def _reachable(host: str) -> str:
    """A name under which a browser on this machine finds the app."""
    with suppress(ValueError):
        address = ip_address(host)
        if address.is_loopback or address.is_unspecified:
            return "localhost"
        return f"[{host}]" if address.version == 6 else host
    return host


def _answers(url: str, web: Child, stopping: threading.Event) -> bool:
    """Wait until the app answers or is to stop; False when it ended or took too long."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and web.exit_code is None and not stopping.is_set():
        with suppress(requests.RequestException):
            if requests.get(url, timeout=2).ok:
                return True
        time.sleep(0.05)
    return stopping.is_set()


def _log_file(settings: Settings, part: str) -> Path:
    return settings.data_dir / "logs" / f"{part}.log"
