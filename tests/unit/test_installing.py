"""Runtimes are installed one after the other while the app runs, and what becomes of each is known."""

import threading
import time

import pytest

from codecoach.errors import RuntimeBroken
from codecoach.runner import packages
from codecoach.runner.installing import Installation, Installations


@pytest.fixture
def builds(monkeypatch):
    """Builds that wait to be let go on; (languages in the order they began, the gate)."""
    begun, gate = [], threading.Semaphore(0)

    def install(language, _cache_dir, report):
        begun.append(language)
        report(f"building {language}")
        assert gate.acquire(timeout=30)
        if language == "rust":
            raise RuntimeBroken(language=language, detail="no room")
        if language == "go":
            raise OSError("disk full")

    monkeypatch.setattr(packages, "install", install)
    return begun, gate


def wait_until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_is_built_after_the_other_and_none_twice(builds, tmp_path):
    begun, gate = builds
    installations = Installations(tmp_path)
    for language in ("sql", "lua", "sql"):
        installations.start(language)
    wait_until(lambda: installations.of("sql") == Installation("building sql"))
    assert installations.of("lua") == Installation()
    assert begun == ["sql"]
    gate.release()
    wait_until(lambda: begun == ["sql", "lua"])
    gate.release()
    wait_until(lambda: not installations.going_on())
    assert (installations.of("sql"), installations.of("lua"), begun) == (None, None, ["sql", "lua"])


@pytest.mark.parametrize(("language", "key"), [("rust", "no room"), ("go", "disk full")])
def test_a_failure_is_kept_until_it_is_tried_again(builds, tmp_path, language, key):
    begun, gate = builds
    installations = Installations(tmp_path)
    installations.start(language)
    gate.release()
    wait_until(lambda: not installations.going_on())
    assert installations.of(language).problem.values["detail"] == key
    installations.start(language)
    wait_until(lambda: len(begun) == 2)
    assert installations.of(language).goes_on
    gate.release()
    wait_until(lambda: not installations.going_on())
