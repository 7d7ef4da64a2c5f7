"""The ASGI application around the pages: our routes, what runs as long as the process does, the net under the pages."""

import asyncio
import gc
import importlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from starlette.middleware import Middleware
from streamlit.runtime.secrets import SecretsValue

from codecoach import logs, metrics
from codecoach.ui import notices, oidc, open_pages, parts, passwords, session
from codecoach.ui.first_admin import ensure_first_admin
from codecoach.ui.headers import SafeHeaders
from codecoach.ui.measured import Measured
from codecoach.ui.oidc_routes import ProviderRoutes
from codecoach.ui.origins import OwnOrigin
from codecoach.ui.references import Referenced
from codecoach.ui.routes import ROUTES
from codecoach.ui.uploads import UploadsOfSignedIn

__all__ = ["MIDDLEWARE", "ROUTES", "lifespan", "secrets", "show_script_error"]

log = logging.getLogger(__name__)

T = TypeVar("T")

MIDDLEWARE: Final = [
    Middleware(Referenced),
    Middleware(Measured),
    Middleware(SafeHeaders),
    Middleware(OwnOrigin),
    Middleware(UploadsOfSignedIn),
    Middleware(ProviderRoutes),
]
COLLECT_EVERY_S: Final = 20.0
# While replies are written, which a collection would hold up for all, it is put off for so long at most.
COLLECT_LATEST_S: Final = 120.0
DRAIN_LOOK_S: Final = 0.1
# Imports hold the interpreter; the page of whoever opened the address at once goes first.
WARM_AFTER_S: Final = 2.0


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:  # noqa: ANN401 (Streamlit's App, of which nothing is used)
    """Make ready what every page needs, then, already serving, what the first question needs; tidy up at the end."""
    await asyncio.to_thread(_prepare)
    warming = threading.Timer(WARM_AFTER_S, _warm)
    warming.daemon = True
    warming.start()
    tasks = [
        asyncio.create_task(_collect_garbage()),
        asyncio.create_task(open_pages.throw_out(lambda: session.services().revocations.version(), session.holds)),
    ]
    metrics_off = _attempt(_serve_metrics)
    try:
        yield
    finally:
        await _drain()
        warming.cancel()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(session.services().close)
        if metrics_off:
            await asyncio.to_thread(metrics_off)


def secrets() -> dict[str, SecretsValue]:
    """What Streamlit is to know beside its configuration: the sign-in provider, where there is one."""
    return oidc.secrets(session.services().settings)


def show_script_error(error: Exception) -> bool:
    """Show what no page caught the way every error is shown, in place of a stack trace."""
    notices.show(error)
    return True


def _prepare() -> None:
    _configure_logs()
    _attempt(_make_first_admin)


def _configure_logs() -> None:
    settings = session.services().settings
    logs.configure(settings.log_level, settings.log_format)


def _warm() -> None:
    """Import and start ahead; the first page does not wait for it."""
    _attempt(passwords.warm)
    _attempt(session.services().warm)
    _attempt(lambda: parts.of(session.services()).snapshot())  # so that the first to look sees how things are
    # Streamlit imports it in the first stream of a process, which takes a second.
    _attempt(lambda: importlib.import_module("pandas"))
    _configure_logs()  # of what has been imported meanwhile too
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection needs to walk it again


def _attempt(step: Callable[[], T]) -> T | None:
    """The app starts also where a part does not work: the pages say which."""
    try:
        return step()
    except Exception:
        log.exception("not everything works at start")
        return None


def _serve_metrics() -> Callable[[], None] | None:
    address = session.services().settings.metrics
    if not address:
        return None
    try:
        return metrics.serve(address)
    except OSError as error:
        log.warning("no figures for Prometheus at %s: %s", address, error)
        return None


async def _drain() -> None:
    """Let what is under way come to its end. By now nothing new comes in, and whoever looked on has lost the connection:
    the table has what they will look for next, wherever that is.
    """
    services = session.services()
    until = time.monotonic() + services.settings.drain_s
    while services.under_way() and time.monotonic() < until:
        await asyncio.sleep(DRAIN_LOOK_S)


def _make_first_admin() -> None:
    services = session.services()
    given = services.settings.admin_password.get_secret_value()
    password = ensure_first_admin(services.accounts, services.settings.admin_email, renew=False, given=given)
    if password:
        print(f"Sign in as {services.settings.admin_email} with the one-time password {password}", flush=True)  # noqa: T201


async def _collect_garbage() -> None:
    """Collect on a timer, because Streamlit is told not to after each script run (.streamlit/config.toml).

    The youngest generations go often and cheaply by themselves; this is the full one, with the imports frozen out of it.
    """
    collected_at = time.monotonic()
    while True:
        await asyncio.sleep(COLLECT_EVERY_S)
        waited_s = time.monotonic() - collected_at
        if waited_s > COLLECT_LATEST_S or not session.services().generations.running():
            gc.collect()
            collected_at = time.monotonic()
