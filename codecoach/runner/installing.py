"""Installing runtimes while the app runs: one at a time, in a thread that no page owns."""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from codecoach.errors import CodeCoachError
from codecoach.i18n import Notice
from codecoach.runner import packages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Installation:
    """One that was asked for and has not succeeded.

    line     what its build said last
    problem  why it failed; None while it waits or goes on
    """

    line: str = ""
    problem: Notice | None = None

    @property
    def goes_on(self) -> bool:
        return self.problem is None


class Installations:
    """Builds runtimes one after the other; safe to use from any thread."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._waiting: deque[str] = deque()
        self._known: dict[str, Installation] = {}
        self._worker: threading.Thread | None = None
        self.succeeded = 0
        """How many have been installed: what somebody knew of the runtimes before holds no more when it changes."""

    def start(self, language: str) -> None:
        """Install a language's runtime; nothing happens where that is going on already."""
        with self._lock:
            there = self._known.get(language)
            if there and there.goes_on:
                return
            self._known[language] = Installation()
            self._waiting.append(language)
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="installing", daemon=True)
                self._worker.start()

    def of(self, language: str) -> Installation | None:
        with self._lock:
            return self._known.get(language)

    def going_on(self) -> bool:
        with self._lock:
            return any(installation.goes_on for installation in self._known.values())

    def _work(self) -> None:
        while language := self._next():
            try:
                packages.install(language, self._cache_dir, partial(self._say, language))
                self._note(language, None)
            except CodeCoachError as error:
                log.warning("not installed: %s", error)
                self._note(language, Installation(problem=error.what))
            except Exception as error:  # a full disk, for example: said where it was asked for
                log.exception("not installed: %s", language)
                self._note(language, Installation(problem=Notice("runtimes.install_broke", {"detail": str(error)})))

    def _next(self) -> str | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._worker = None
            return None

    def _say(self, language: str, line: str) -> None:
        self._note(language, Installation(line))

    def _note(self, language: str, state: Installation | None) -> None:
        with self._lock:
            if state is None:
                self._known.pop(language, None)
                self.succeeded += 1
            else:
                self._known[language] = state
