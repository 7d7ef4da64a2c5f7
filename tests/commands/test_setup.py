"""`setup.sh` as a normal user: what only root can install is named in one command, before anything is changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("sh", "dirname", "ls", "cat", "cksum", "cut")  # of the system, before anything is installed


@pytest.fixture
def bare(tmp_path):
    """A copy of what setup.sh needs to begin with, and `bare(*words, **commands)` to run it where only `commands` exist beside."""
    shutil.copy(ROOT / "setup.sh", tmp_path)
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in NEEDED:
        (commands / name).symlink_to(shutil.which(name))

    def run(*words: str, **scripts: str) -> subprocess.CompletedProcess[str]:
        for name, script in {"id": "echo 1000", "apt-get": "echo asked >>asked", **scripts}.items():
            (commands / name).write_text(f"#!/bin/sh\n{script}\n")
            (commands / name).chmod(0o755)
        return subprocess.run(
            ["sh", tmp_path / "setup.sh", *words],
            env={"PATH": str(commands)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_missing_packages_are_named_in_one_command_and_nothing_is_changed(bare, tmp_path):
    before = sorted(os.listdir(tmp_path))
    ended = bare()
    assert ended.returncode != 0
    (command,) = (line for line in ended.stdout.splitlines() if "apt-get" in line)
    assert command.startswith("    su -c 'apt-get update && apt-get install -y ")
    assert {"bubblewrap", "jq"} <= set(command.rstrip("'").split())
    assert sorted(os.listdir(tmp_path)) == before


def test_a_sudo_that_would_ask_for_a_password_is_not_called_but_named(bare, tmp_path):
    ended = bare(sudo="exit 1")
    assert ended.returncode != 0
    assert "sudo sh -c 'apt-get update" in ended.stdout
    assert not (tmp_path / "asked").exists()


@pytest.fixture
def environment(tmp_path):
    """A virtual environment that setup.sh finds made; `codecoach` in it notes how it was called."""
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, script in {"python": "", "codecoach": "echo called: $*"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)


@pytest.mark.usefixtures("environment")
def test_a_sudo_that_asks_nothing_installs(bare, tmp_path):
    ended = bare(sudo='[ "$1" = -n ] && exit; exec "$@"')
    assert (tmp_path / "asked").read_text() == "asked\nasked\n"
    assert "called: setup\n" in ended.stdout


@pytest.mark.usefixtures("environment")
def test_what_only_tests_need_stops_nobody(bare):
    ended = bare("test", python3=f'exec {shutil.which("python3")} "$@"', bwrap="", jq="")
    assert "passed over" in ended.stdout
    assert "called: setup --for-tests\n" in ended.stdout
