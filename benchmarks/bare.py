"""The toolchains of our runtimes without a sandbox, which is what a run is compared to."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codecoach.runner import credentials, packages
from codecoach.runner.credentials import AwsAccess

# The commands with which somebody at a terminal runs a program; all but the last make it.
COMMANDS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "python": (("python3", "main.py"),),
    "javascript": (("node", "main.mjs"),),
    "typescript": (("node", "main.mjs"),),  # what Node itself takes without a translation: the same in JavaScript
    "php": (("php", "main.php"),),
    "bash": (("bash", "main.sh"),),
    "go": (("go", "build", "-o", "program"), ("./program",)),
    "rust": (("bash", "compile", "main.rs"), ("./a.out",)),
}


@dataclass(frozen=True)
class Bare:
    """A toolchain, and the folder in which it makes and runs programs."""

    language: str
    place: Path
    environment: dict[str, str]

    def run(self, source: bytes) -> None:
        """Write the program, make it where that is needed, and run it."""
        commands = COMMANDS[self.language]
        name = "main.go" if self.language == "go" else commands[0][-1]
        (self.place / name).write_bytes(source)
        for command in commands:
            subprocess.run(command, cwd=self.place, env=self.environment, check=True, stdout=subprocess.DEVNULL)


def toolchain(language: str, cache_dir: Path, place: Path, aws: AwsAccess) -> Bare:
    """The toolchain of a runtime, with caches of its own, as warm as those in the sandbox."""
    built = packages.installed(cache_dir, language) or packages.install(language, cache_dir)
    folder = packages.runtimes_folder(cache_dir) / built.folder
    place.mkdir()
    environment = {name: value.replace(built.mount, str(folder)) for name, value in built.environment.items()}
    environment |= credentials.environment(aws, f"http://{aws.host}:{aws.port}") | {"HOME": str(place)}
    if language == "go":
        shutil.copytree(folder / "cache", place / "cache", copy_function=os.link)
        for name in ("go.mod", "go.sum"):
            shutil.copy(folder / name, place)
        environment["GOCACHE"] = str(place / "cache")
    elif language == "rust":
        shutil.copy(_scripts(folder) / "compile", place)
        home = _with_own_paths(folder, built.mount, place / "home", "externs")
        environment["CODECOACH_RUST"] = str(home)
    elif language == "php":
        home = _with_own_paths(folder, built.mount, place / "home", "php.ini")
        environment["PHPRC"] = str(home)
    return Bare(language, place, environment)


def _scripts(folder: Path) -> Path:
    """Where the package's own scripts are: behind Piston's supervisor where the package has that."""
    return folder / "program" if (folder / "program").is_dir() else folder


def _with_own_paths(folder: Path, mount: str, home: Path, name: str) -> Path:
    """A folder like the runtime's whose file `name` says where the runtime is outside of a sandbox."""
    home.mkdir()
    for part in folder.iterdir():
        if part.name != name:
            (home / part.name).symlink_to(part)
    (home / name).write_text((folder / name).read_text().replace(mount, str(folder)))
    return home
