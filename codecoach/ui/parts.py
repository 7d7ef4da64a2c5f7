"""The state of the parts that can fail on their own: model, store, runner.

Checks run in threads of their own. A page or the health route only ever reads what the last check found, so a part that
hangs slows nobody down; it is shown as not answering.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from codecoach import languages, metrics
from codecoach.errors import CodeCoachError, ModelLoading
from codecoach.i18n import Notice
from codecoach.services import Services

log = logging.getLogger(__name__)

FRESH_S: Final = 30.0
# What does not work, or not yet, may any moment; who looks at it wants to see that.
SOON_S: Final = 2.0
SLOW_S: Final = 10.0

PartName = Literal["model", "store", "runner", "identity"]


@dataclass(frozen=True)
class PartState:
    """What the last check of a part found.

    version  what answered, for people who know it: product and version, model, runtimes; empty while unknown
    more     how many other models there are to choose from
    problem  why it does not work, None where it does or is not known yet
    hint     what to do about that, where there is something
    loading  True: it only does not work yet
    checked  False until the first check has ended
    """

    name: PartName
    version: str = ""
    more: int = 0
    problem: Notice | None = None
    hint: Notice | None = None
    loading: bool = False
    checked: bool = False

    @property
    def word(self) -> Literal["ok", "down", "loading", "checking"]:
        if self.loading:
            return "loading"
        if self.problem:
            return "down"
        return "ok" if self.checked else "checking"


class Parts:
    """The parts of one set of services, each checked now and then, and only while somebody asks."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._checks: dict[PartName, _Check] = {
            "model": _Check("model", lambda: _model(services), clock),
            "store": _Check("store", lambda: PartState("store", services.table.ping()), clock),
            "runner": _Check("runner", lambda: _runner(services), clock),
        }
        self._identity = _Check("identity", lambda: _identity(services), clock)

    def snapshot(self) -> tuple[PartState, ...]:
        """What is known now; starts checks that are due and does not wait for them."""
        with self._lock:
            return tuple(check.state() for check in self._checks.values())

    def settled(self, timeout_s: float) -> bool:
        """Whether the checks that were due have ended; waits for them at most so long."""
        until = time.monotonic() + timeout_s
        with self._lock:
            running = [check.running for check in self._checks.values() if check.running]
        for thread in running:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in running)

    def identity(self) -> PartState:
        """Who AWS takes this app for, as the `version`; only meaningful with an AWS account behind it."""
        with self._lock:
            return self._identity.state()

    def refresh(self) -> None:
        """Check all parts again at the next `snapshot`."""
        with self._lock:
            for check in self._checks.values():
                check.due_at = float("-inf")


class _Check:
    """One part, its last state, and the thread that is looking at it now."""

    def __init__(self, name: PartName, look: Callable[[], PartState], clock: Callable[[], float]) -> None:
        self.due_at = float("-inf")
        self._clock = clock
        self._look = look
        self._last = PartState(name)
        self._started_at: float | None = None
        self.running: threading.Thread | None = None

    def state(self) -> PartState:
        now = self._clock()
        if self._started_at is None and now >= self.due_at:
            self._started_at = now
            self.running = threading.Thread(target=self._run, name=f"check {self._last.name}", daemon=True)
            self.running.start()
        if self._started_at is not None and now - self._started_at > SLOW_S:
            return PartState(self._last.name, problem=Notice("home.slow", {"seconds": int(SLOW_S)}), checked=True)
        return self._last

    def _run(self) -> None:
        name = self._last.name
        try:
            self._last = replace(self._look(), checked=True)
        except ModelLoading as error:
            self._last = PartState(name, problem=error.what, hint=error.hint, loading=True, checked=True)
        except CodeCoachError as error:
            log.warning("%s does not work: %s", name, error)
            self._last = PartState(name, problem=error.what, hint=error.hint, checked=True)
        except Exception:
            log.exception("%s could not be checked", name)
            self._last = PartState(name, problem=CodeCoachError().what, checked=True)
        finally:
            self.due_at = self._clock() + (FRESH_S if self._last.word == "ok" else SOON_S)
            metrics.part_up.labels(name).set(self._last.word == "ok")
            self._started_at = None


_parts: tuple[Services, Parts] | None = None
_making = threading.Lock()


def of(services: Services) -> Parts:
    """The parts of this process's services."""
    global _parts
    with _making:
        if _parts is None or _parts[0] is not services:
            _parts = (services, Parts(services))
        return _parts[1]


def _model(services: Services) -> PartState:
    services.directory.ping()
    cards = {card.id: card for card in services.directory.cards()}
    used = cards.pop(services.default_model_id, None)
    more = 0 if services.directory.why_unlisted() else len(cards)
    return PartState("model", used.label if used else services.default_model_id, more=more)


def _runner(services: Services) -> PartState:
    labels = {language.id: language.label for language in languages.LANGUAGES}
    known = services.runner.runtimes()
    installed = [runtime for runtime in known if runtime.installed]
    if not installed:  # what hinders all of them, for example the sandbox, is said of the first too
        return PartState("runner", problem=next((runtime.problem for runtime in known if runtime.problem), None))
    names = (f"{labels.get(runtime.language, runtime.language)} {runtime.version}" for runtime in installed)
    return PartState("runner", ", ".join(names))


def _identity(services: Services) -> PartState:
    import boto3  # only where there is an account to ask

    from codecoach.aws.identity import caller_identity

    return PartState("identity", caller_identity(boto3.client("sts", region_name=services.settings.region)).arn)
