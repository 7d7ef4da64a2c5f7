"""Runtimes that were built elsewhere: archives that `python -m piston build` made, in a folder or in a .tar of them.

An archive counts for just the state of a package that it was made of, which it names (`INFO`); of any other it is as if
it were not there.
"""

import json
import tarfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Final

from codecoach.errors import RuntimeBroken
from codecoach.runner.installed import Package, versions

INFO: Final = "pkg-info.json"
"""What an archive begins with: the package's metadata, and as `built_of` the name of the package in the state it was made of."""

SUFFIX: Final = ".pkg.tar.gz"


def unpack(package: Package, source: Path, place: Path) -> bool:
    """Unpack what `source` has of a package into the empty folder `place`; False where it has nothing of it.

    Raises `RuntimeBroken` for what cannot be read.
    """
    try:
        with closing(_archives(source)) as archives:
            for archive in archives:
                if _built_of(archive) == package.name:
                    # Its links may lead to where programs will find it; nothing is written outside of the folder.
                    archive.extractall(place, filter="tar")
                    return True
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise RuntimeBroken(language=package.language, detail=f"{source}: {error}") from error
    return False


def outdated(folder: Path) -> tuple[Path, ...]:
    """The archives in a folder that are of another state of one of this source's packages, or cannot be read."""
    return tuple(path for path in sorted(folder.glob(f"*{SUFFIX}")) if _is_outdated(path))


def _is_outdated(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:gz") as archive:
            info = _info(archive)
    except (OSError, EOFError, zlib.error, tarfile.TarError):
        return True
    ours = versions().get(str(info.get("language")), ())
    return bool(ours) and info.get("built_of") not in [package.name for package in ours]


def _built_of(archive: tarfile.TarFile) -> str:
    return str(_info(archive).get("built_of", ""))


def _info(archive: tarfile.TarFile) -> dict[str, object]:
    """What an archive says of itself; nothing where it does not begin with that."""
    first = archive.next()
    content = archive.extractfile(first) if first and first.name == INFO else None
    try:
        info = json.load(content) if content else {}
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def _archives(source: Path) -> Generator[tarfile.TarFile, None, None]:
    if source.is_dir():
        for path in sorted(source.glob(f"*{SUFFIX}")):
            with tarfile.open(path, "r:gz") as archive:
                yield archive
        return
    with tarfile.open(source) as bundle:
        for member in bundle:
            file = bundle.extractfile(member) if member.name.endswith(SUFFIX) else None
            if file:
                with tarfile.open(fileobj=file, mode="r:gz") as archive:
                    yield archive
