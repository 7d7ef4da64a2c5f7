"""Building the runtimes of this repository's packages.

A package is built in a folder beside its final place, tested in the sandbox there, and renamed: an interrupted or failed
installation leaves nothing that counts as installed.
"""

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from codecoach import languages
from codecoach.errors import RuntimeBroken, RuntimeMissing
from codecoach.runner import prebuilt
from codecoach.runner.installed import (
    RECORD,
    SUPERVISED_ALIAS,
    SUPERVISOR,
    Installed,
    Package,
    installed,
    known,
    read,
    runtimes,
    runtimes_folder,
    versions,
)
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from codecoach.runner.sandbox import probing
from codecoach.runner.sandbox.adapter import Sandbox

__all__ = ["Report", "build", "install", "installed", "known", "runtimes", "runtimes_folder", "test"]

log = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Told each line that a build prints."""

_KEPT_OUTPUT_LINES = 15
# What this process may be trusted with, and what a build fetches from strangers may not: each crate and wheel brings code that
# runs in it. Names of registries and of proxies stay.
_NOT_FOR_BUILDS = re.compile(
    r"(GITHUB|GH)_TOKEN|CODECOACH_\w+"
    r"|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|BEARER_TOKEN_\w+|PROFILE|CONTAINER_\w+|WEB_IDENTITY_\w+)"
)
_TEST_LIMITS = Limits(timeout_s=120)
AT_ONCE = ("python", "javascript", "bash")
"""Languages that are installed before the first start."""
FOR_TESTS = (*AT_ONCE, "typescript", "php", "sql", "lua", "go", "rust=1.96.0")
"""Those that the tests want; where one cannot be had, its tests are skipped and say so. Of Rust the package that is built in
minutes."""


def install(wanted: str, cache_dir: Path, report: Report | None = None, prebuilt_in: Path | None = None) -> Installed:
    """Build the runtime of a language, or of its package `LANGUAGE=VERSION`, if it is not there yet, and test it.

    prebuilt_in  a folder or a .tar with archives of built packages; what is there, and works here, is not built again

    Raises `RuntimeMissing` for a language without a package, `SandboxUnavailable`, `RuntimeBroken` with the last lines where
    the build or the test fails. Two processes that install the same wait for one another.
    """
    language, _, version = wanted.partition("=")
    packages = versions().get(language, ())
    package = next((package for package in packages if version in ("", package.version)), None)
    if package is None:
        raise RuntimeMissing(language=wanted)
    folder = runtimes_folder(cache_dir)
    if built := read(folder, package):
        return built
    check_machine()  # before a long build whose test could not be run
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    with _locked(folder / f".{package.name}.lock"):
        return (
            read(folder, package)
            or _unpacked(package, folder, report, prebuilt_in)
            or _made(package, folder, lambda place: build(package, place, report))
        )


def check_machine() -> None:
    """Raise `SandboxUnavailable` where no program can run."""
    if problem := probing.problem():
        raise problem.error()


def _unpacked(package: Package, folder: Path, report: Report | None, source: Path | None) -> Installed | None:
    """The runtime out of an archive, None where there is none that works here."""
    if source is None:
        return None

    def unpack(place: Path) -> Installed:
        if not prebuilt.unpack(package, source, place):
            raise RuntimeMissing(language=package.language)
        return _what_is_in(package, place)

    try:
        return _made(package, folder, unpack)
    except RuntimeMissing:
        return None
    except RuntimeBroken as error:
        log.warning("the prebuilt runtime of %s is of no use here and will be built: %s", package.language, error)
        if report:
            report(str(error.values["detail"]))
        return None


def _made(package: Package, folder: Path, make: Callable[[Path], Installed]) -> Installed:
    """The runtime that `make` puts into an empty folder, tested and under its name."""
    place = Path(tempfile.mkdtemp(prefix=f".{package.name}.", dir=folder))
    place.chmod(0o755)
    try:
        built = make(place)
        test(package, folder, built)
        record = {key: value for key, value in asdict(built).items() if key not in ("folder", "mount")}
        (place / RECORD).write_text(json.dumps(record), "utf-8")
        place.rename(folder / package.name)
        _remove_older(package, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return replace(built, folder=package.name)


def build(
    package: Package, place: Path, report: Report | None = None, variables: Mapping[str, str] | None = None
) -> Installed:
    """Run a package's build.sh, its result going to the empty folder `place`; what a sandbox over its parent runs it as.

    variables  more of them for build.sh

    Raises `RuntimeBroken` with the last lines where it fails.
    """
    _run_build(package, place, report, variables or {})
    return _what_is_in(package, place)


def _what_is_in(package: Package, place: Path) -> Installed:
    """What is known of a package that lies built in `place`."""
    version, sdk, sdk_missing = (_noted(place / name) for name in ("VERSION", "SDK", "SDK_MISSING"))
    compiles = (place / "compile").exists()
    return Installed(place.name, package.mount, version, sdk, _environment(package, place), sdk_missing, compiles)


def _run_build(package: Package, place: Path, report: Report | None, more: Mapping[str, str]) -> None:
    """Run build.sh as Piston's builder does: in a copy of the package, PREFIX being where the result goes.

    Unlike there, programs find it elsewhere, at MOUNT. PYTHON has pip, for what comes as Python packages.
    """
    with tempfile.TemporaryDirectory() as copy:
        source = shutil.copytree(package.folder, Path(copy, "package"))
        inherited = {name: value for name, value in os.environ.items() if not _NOT_FOR_BUILDS.fullmatch(name)}
        variables = {"PREFIX": str(place), "MOUNT": package.mount, "PYTHON": sys.executable, **more}
        lines: list[str] = []
        with subprocess.Popen(
            ["bash", "build.sh"],
            cwd=source,
            env={**inherited, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        ) as build:
            for line in build.stdout or ():
                lines = [*lines[-_KEPT_OUTPUT_LINES:], line.rstrip()]
                if report:
                    report(line.rstrip())
        if build.returncode != 0:
            raise RuntimeBroken(language=package.language, detail="\n".join(lines))
        shutil.copy(source / "environment", place / "environment")
        _put_scripts(source, place)
        _put_metadata(source, place)


def _put_scripts(source: Path, place: Path) -> None:
    """Put the supervisor in front of the package's scripts: through Piston it hands in and out what Piston itself cannot."""
    (place / "program").mkdir()
    shutil.copy(SUPERVISOR / "supervise.pl", place)
    for name in ("run", "compile"):
        if (source / name).exists():
            shutil.copy(source / name, place / "program" / name)
            shutil.copy(SUPERVISOR / "start.sh", place / name)


def _put_metadata(source: Path, place: Path) -> None:
    """The package's metadata, with an alias by which a client of Piston sees that the supervisor is in it."""
    metadata = json.loads((source / "metadata.json").read_text("utf-8"))
    metadata["aliases"] = [*metadata.get("aliases", []), SUPERVISED_ALIAS + metadata["language"]]
    (place / "metadata.json").write_text(json.dumps(metadata, indent=4), "utf-8")


def _noted(file: Path) -> str:
    """What build.sh noted: the interpreter's version, the SDK's, or why there is no SDK."""
    return file.read_text("utf-8").strip() if file.exists() else ""


def _environment(package: Package, place: Path) -> dict[str, str]:
    """What the package's `environment` script exports, as if it ran where programs find the package.

    The script names its own folder by $PWD, as Piston's installer runs it there; the build folder's path is replaced.
    """
    script = 'cd "$1" && . ./environment && env -0'
    plain = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    ran = subprocess.run(
        ["bash", "-c", script, "bash", str(place)], env=plain, capture_output=True, text=True, check=True
    )
    pairs = dict(pair.split("=", 1) for pair in ran.stdout.split("\0") if "=" in pair)
    own = {name: value for name, value in pairs.items() if name not in ("PWD", "OLDPWD", "SHLVL", "_")}
    return {name: value.replace(str(place), package.mount) for name, value in own.items()}


def test(package: Package, folder: Path, built: Installed) -> None:
    """Run the package's own test in the sandbox; it passes with exit code 0 and `OK` as its last line.

    Raises `RuntimeBroken` with what it printed where it does not.
    """
    main = next(package.folder.glob("test.*"))
    known_as = languages.BY_ID.get(package.language)
    name = known_as.main if known_as else main.name
    request = RunRequest(
        f"test-{built.folder}", package.language, (File(name, main.read_bytes()),), limits=_TEST_LIMITS
    )
    sandbox = Sandbox.of(folder, workers=1)
    try:
        result = list(sandbox.run_with(built, request))[-1]
    finally:
        sandbox.close()
    if (
        not isinstance(result, RunResult)
        or result.status is not RunStatus.OK
        or not result.run.stdout.rstrip().endswith("OK")
    ):
        said = f"{result.run.stdout}\n{result.run.stderr}".strip() if isinstance(result, RunResult) else ""
        raise RuntimeBroken(language=package.language, detail=said)


def _remove_older(package: Package, folder: Path) -> None:
    """Remove builds of earlier states of the package, and of what it replaces; programs that still run on one keep it by their mount."""
    packages = versions()[package.language]
    kept = [one.name for one in packages[: packages.index(package) + 1]]
    for other in folder.glob(f"{package.language}-*"):
        if other.name not in kept and (other / RECORD).exists():
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
