"""Which runtimes there are: the packages of this repository and what has been built of them.

    piston/packages/<language>/<version>/      package: metadata.json build.sh environment run [compile] test.* and data
    <cache_dir>/runtimes/<language>-<hash>/    what its build.sh made, and runtime.json

`<hash>` is of all files of the package, so that a changed package is built again and a runtime never changes in place.
runtime.json  {"version": "3.11.2", "sdk": "boto3 1.44.4", "environment": {"PATH": "..."}, "compiles": false}
"""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from codecoach.i18n import Notice
from codecoach.languages import LANGUAGES
from codecoach.runner.port import Runtime

PACKAGES = Path(__file__).parents[2] / "piston" / "packages"
SUPERVISOR = PACKAGES.parent / "supervisor"
"""Put into every package that is built; not counted in its hash, since the sandbox makes no use of it."""

SUPERVISED_ALIAS = "codecoach-"
"""With the language behind it: the alias, in Piston's list of runtimes, of a package that has the supervisor."""

RECORD = "runtime.json"

_SDK_MISSING = {
    "not_pinned": "runtimes.sdk_not_pinned",
    "not_fetched": "runtimes.sdk_not_fetched",
    "not_as_pinned": "runtimes.sdk_not_as_pinned",
}
"""What a package's build.sh says of the SDK that it could not install -> what people are told."""


@dataclass(frozen=True)
class Package:
    """A package of this repository; `mount` is the path under which programs find it built, as in Piston.

    disk_mb  about how much it takes when built; 0 where nobody has weighed it
    """

    language: str
    version: str
    folder: Path
    disk_mb: int = 0

    @property
    def mount(self) -> str:
        return f"/piston/packages/{self.language}/{self.version}"

    @property
    def name(self) -> str:
        """Of the folder it is built into."""
        return f"{self.language}-{_hash(self.folder)}"


@dataclass(frozen=True)
class Installed:
    """A built runtime as a sandbox needs to know it.

    folder       its name below the runtimes' folder
    mount        where the program finds it
    environment  variables it needs, complete
    sdk_missing  why it was built without its AWS SDK, a word of `_SDK_MISSING` first; empty where it has one or there is none
    compiles     it has a `compile` script, which runs before `run` and leaves beside the program's files what that needs
    """

    folder: str
    mount: str
    version: str = ""
    sdk: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    sdk_missing: str = ""
    compiles: bool = False


@cache
def versions() -> dict[str, tuple[Package, ...]]:
    """Language id -> its packages, the newest first."""
    packages: dict[str, tuple[Package, ...]] = {}
    for metadata in sorted(PACKAGES.glob("*/*/metadata.json"), key=lambda path: _ordered(path.parent.name)):
        content = json.loads(metadata.read_text("utf-8"))
        language, weight = content["language"], content.get("disk_mb", 0)
        package = Package(language, content["version"], metadata.parent, weight)
        packages[language] = (package, *packages.get(language, ()))
    return packages


@cache
def known() -> dict[str, Package]:
    """Language id -> its newest package."""
    return {language: packages[0] for language, packages in versions().items()}


def runtimes_folder(cache_dir: Path) -> Path:
    return cache_dir / "runtimes"


def built(cache_dir: Path, language: str) -> Package | None:
    """The newest package of a language that is built as it is now, None where there is none."""
    folder = runtimes_folder(cache_dir)
    return next((package for package in versions().get(language, ()) if read(folder, package)), None)


def installed(cache_dir: Path, language: str) -> Installed | None:
    """The runtime made of that package."""
    package = built(cache_dir, language)
    return read(runtimes_folder(cache_dir), package) if package else None


def read(runtimes: Path, package: Package) -> Installed | None:
    try:
        record = json.loads((runtimes / package.name / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return Installed(package.name, package.mount, **record)


def size_bytes(cache_dir: Path, language: str) -> int:
    """What the built runtime of a language takes on the disk; 0 where there is none."""
    package = built(cache_dir, language)
    return _size(runtimes_folder(cache_dir) / package.name) if package else 0


@cache  # a runtime never changes in place
def _size(folder: Path) -> int:
    return 512 * sum(place.lstat().st_blocks for place in (folder, *folder.rglob("*")))


def runtimes(cache_dir: Path) -> tuple[Runtime, ...]:
    """Every language in the order of the table, built or not."""
    return tuple(_runtime(cache_dir, language.id, language.sdk) for language in LANGUAGES)


def _runtime(cache_dir: Path, language: str, sdk: str) -> Runtime:
    package = known().get(language)
    if package is None:
        return Runtime(language, "", False, sdk, Notice("runtimes.no_package"))
    there, runtime = built(cache_dir, language), installed(cache_dir, language)
    if runtime is None:
        return Runtime(language, package.version, False, sdk, Notice("runtimes.not_installed", {"language": language}))
    if runtime.sdk_missing:
        lacks = Notice(_SDK_MISSING.get(runtime.sdk_missing.split(" ")[0], "runtimes.no_sdk"), {"sdk": sdk})
        return Runtime(language, runtime.version, True, "", lacks)
    newer = Notice("runtimes.newer", {"language": language}) if there != package else None
    return Runtime(language, runtime.version, True, runtime.sdk or sdk, newer)


@cache
def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
