"""PHP runs with the SDK of a release that is the pinned one, and says plainly where it has none."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from codecoach.i18n import Language, tell
from codecoach.runner import installed

PACKAGE = installed.known()["php"].folder
INSTALL = 'set -euo pipefail; . ./fetch-sdk.sh; eval "$(sed -n "/^install_sdk/,/^}/p" build.sh)"; install_sdk'


@pytest.fixture
def package(tmp_path) -> Path:
    """The package beside a folder of releases that has one, 3.0.0."""
    release = tmp_path / "releases" / "3.0.0" / "aws.phar"
    release.parent.mkdir(parents=True)
    release.write_bytes(b"<?php // the SDK")
    (tmp_path / "built").mkdir()
    return Path(shutil.copytree(PACKAGE, tmp_path / "package"))


def script(package: Path, *command: str) -> str:
    variables = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PREFIX": str(package.parent / "built"),
        "AWS_SDK_PHP_RELEASES": (package.parent / "releases").as_uri(),
    }
    ran = subprocess.run(["bash", *command], cwd=package, env=variables, capture_output=True, text=True, check=True)
    return ran.stdout


def pinned(package: Path, version: str, checksum: str) -> None:
    (package / "sdk.txt").write_text(f"# comment\n{version} {checksum}\n")


def test_a_pinned_release_is_installed(package):
    script(package, "pin-sdk.sh", "3.0.0")
    assert script(package, "-c", INSTALL) == ""
    assert (package.parent / "built" / "aws.phar").read_bytes() == b"<?php // the SDK"
    assert (package.parent / "built" / "SDK").read_text() == "aws-sdk-php 3.0.0\n"


@pytest.mark.parametrize(
    ("version", "content", "reason"),
    [("3.0.0", b"another", "is not the one that is pinned"), ("3.0.1", b"<?php // the SDK", "could not be fetched")],
)
def test_a_release_that_is_another_or_away_is_not_installed_and_the_reason_is_told(package, version, content, reason):
    pinned(package, version, hashlib.sha256(content).hexdigest())
    assert reason in script(package, "-c", INSTALL)
    assert not (package.parent / "built" / "aws.phar").exists()


def test_without_a_pin_nothing_is_fetched(package):
    (package / "sdk.txt").write_text("# comment\n")
    assert "no release" in script(package, "-c", INSTALL)


WHY = {
    "not_pinned no release": ("pinned yet", "尚未固定"),
    "not_fetched the SDK could not": ("GitHub", "GitHub"),
    "not_as_pinned the SDK that": ("is not the release", "不符"),
    "whatever else": ("could not be had", "无法获得"),
}


@pytest.mark.parametrize("noted", WHY)
def test_a_runtime_without_its_sdk_says_why_in_both_languages(tmp_path, noted):
    made = installed.known()["php"]
    folder = installed.runtimes_folder(tmp_path) / made.name
    folder.mkdir(parents=True)
    (folder / installed.RECORD).write_text(f'{{"version": "8.2.36", "sdk_missing": "{noted}"}}')
    (runtime,) = (runtime for runtime in installed.runtimes(tmp_path) if runtime.language == "php")
    assert (runtime.installed, runtime.sdk) == (True, "")
    for language, words in zip(Language, WHY[noted], strict=True):
        assert "aws-sdk-php" in tell(language, runtime.problem)
        assert words in tell(language, runtime.problem)


def test_every_word_that_the_build_notes_is_known():
    build = (PACKAGE / "build.sh").read_text("utf-8")
    assert set(re.findall(r'echo "(not_\w+) ', build)) == set(installed._SDK_MISSING)
