"""Building one package into the archive that Piston installs."""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from codecoach.runner import packages
from codecoach.runner.installed import Package
from codecoach.runner.packages import Report
from piston import archive, index
from piston.errors import PackageUnfit, PackageUnknown

OFFICIAL = "docker-debian"
"""Platform of Piston's own image; Piston warns of a package that was built for another one."""
_SETS_PREFIX = re.compile(r"^\s*(export\s+)?PREFIX=", re.MULTILINE)


@dataclass(frozen=True)
class Built:
    """A package that is ready to be installed; `findings` are for a person to judge."""

    file: index.PackageFile
    platform: str
    tested: bool
    findings: archive.Findings


def find(folder: Path, wanted: str) -> Package:
    """The package that `NAME=VERSION` names, or the newest of NAME; raises `PackageUnknown` with those there are."""
    language, _, version = wanted.partition("=")
    known = list(_packages(folder))
    matches = [package for package in known if package.language == language and version in ("", package.version)]
    if not matches:
        names = ", ".join(f"{package.language}={package.version}" for package in known)
        raise PackageUnknown(package=wanted, known=names or "-")
    return max(matches, key=lambda package: _order(package.version))


def build(
    package: Package, to: Path, work: Path, platform: str = OFFICIAL, report: Report | None = None, test: bool = True
) -> Built:
    """Build a package, test it in the sandbox and pack it into the folder `to`.

    work  a folder for builds; the same one gives the same paths in what compilers write

    Nothing appears under the archive's name before it is whole. Raises `RuntimeBroken` where build.sh or the test fails.
    """
    _check(package)
    to.mkdir(parents=True, exist_ok=True)
    path = to / index.file_name(package.language, package.version)
    with _place(work, path.name.removesuffix(index.SUFFIX)) as place:
        variables = {"PLATFORM": platform, "SOURCE_DATE_EPOCH": str(archive.TIME_S)}
        built = packages.build(package, place, report, variables)
        archive.open_up(place)
        if test:
            packages.test(package, place.parent, built)
        _describe(package, place, platform)
        findings = archive.inspect(place)
        unfinished = to / f".{path.name}.part"
        archive.pack(place, unfinished, package.mount)
        unfinished.replace(path)
    checked = index.PackageFile(package.language, package.version, path, index.sha256(path), path.stat().st_size)
    return Built(checked, platform, test, findings)


def _check(package: Package) -> None:
    """Refuse what would be built in vain."""
    missing = [name for name in ("build.sh", "environment", "run") if not (package.folder / name).is_file()]
    if missing or not list(package.folder.glob("test.*")):
        raise PackageUnfit(package=package.folder.name, detail=f"without {', '.join([*missing] or ['test.*'])}")
    if _SETS_PREFIX.search((package.folder / "build.sh").read_text("utf-8")):
        raise PackageUnfit(package=package.folder.name, detail="build.sh sets PREFIX, which it is given")


def _describe(package: Package, place: Path, platform: str) -> None:
    """Write what Piston reads of a package at its start, and by what the sandbox knows which state of it this is."""
    metadata = json.loads((place / "metadata.json").read_text("utf-8"))
    info = {**metadata, "build_platform": platform, "built_of": package.name}
    (place / archive.INFO).write_text(json.dumps(info, indent=4) + "\n", "utf-8")


def _packages(folder: Path) -> Iterator[Package]:
    for metadata in sorted(folder.glob("*/*/metadata.json")):
        where = f"{metadata.parent.parent.name}/{metadata.parent.name}"
        try:
            content = json.loads(metadata.read_text("utf-8"))
            language, version = str(content["language"]), str(content["version"])
        except (ValueError, KeyError, TypeError) as error:
            raise PackageUnfit(package=where, detail=f"metadata.json: {error}") from error
        if not index.fit(language, version):
            raise PackageUnfit(package=where, detail=f"metadata.json: {language}={version}")
        yield Package(language, version, metadata.parent)


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """By number, a pre-release before its release."""
    numbers, _, rest = version.partition("-")
    return tuple(int(part) for part in numbers.split("+")[0].split(".")), not rest, rest


@contextmanager
def _place(work: Path, name: str) -> Iterator[Path]:
    """An empty folder of this name, held alone: another process that builds the same waits."""
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)  # the sandbox's user looks in
    with (work / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = work / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o755)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)
