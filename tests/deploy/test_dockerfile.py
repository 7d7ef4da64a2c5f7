"""The image: no root, no compiler, no installer, nothing in it that was not named."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.tools import needs, tool

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def stages() -> dict[str, list[tuple[str, str]]]:
    """{stage: [(instruction, its words), ...]}, each with what it inherits from the stage it is made from."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, joined.splitlines()):
        instruction, _, words = line.partition(" ")
        if instruction == "FROM":
            base, _, name = words.partition(" AS ")
            current = found[name] = [*found.get(base, []), (instruction, base)]
        else:
            current.append((instruction, words))
    return found


STAGES = stages()
SERVED = ("app", "packages")


def of(stage: str, instruction: str) -> list[str]:
    return [words for found, words in STAGES[stage] if found == instruction]


@needs("hadolint")
def test_hadolint_finds_nothing():
    files = [ROOT / "Dockerfile", *sorted((ROOT / "piston").glob("*/Dockerfile"))]
    ran = subprocess.run([tool("hadolint"), *files], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_base_is_pinned_and_the_one_that_packages_are_built_for():
    bases = {words for stage in STAGES for words in of(stage, "FROM")} - STAGES.keys()
    assert bases == {"debian:12-slim"}


@pytest.mark.parametrize("stage", SERVED)
def test_what_runs_is_not_root_and_says_how_it_is(stage):
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of(stage, "USER")[-1])
    assert of(stage, "HEALTHCHECK")


@pytest.mark.parametrize("stage", SERVED)
def test_what_runs_has_no_compiler_and_no_installer(stage):
    installed = set(" ".join(re.findall(r"--no-install-recommends ([^&]*)", " ".join(of(stage, "RUN")))).split())
    assert installed == {"ca-certificates", "libgomp1", "python3"}
    assert not [words for words in of(stage, "COPY") if "/opt/pip" in words]
    assert "venv --without-pip /opt/venv" in " ".join(of("build", "RUN"))


def test_every_package_is_installed_by_its_hash():
    installs = [words for words in of("build", "RUN") if "pip " in words and "install" in words and "lock" in words]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]


def test_it_starts_what_people_start_and_stops_as_that_does():
    assert of("app", "ENTRYPOINT") == ['["python", "-m", "codecoach"]']
    assert of("app", "CMD") == ['["up"]']
    assert of("app", "STOPSIGNAL") == ["SIGTERM"]


def test_the_image_gets_only_what_is_named():
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for name in allowed:
        assert (ROOT / name).exists(), name
    assert not {".env", ".git", ".venv", "tests", "deploy"} & set(allowed)
    assert ".streamlit/secrets.toml" in rules[rules.index("!.streamlit") :]
