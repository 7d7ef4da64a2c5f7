"""Tiny packages for tests: built in a moment, run by the shell that every machine has."""

import json
from pathlib import Path

BUILD = """\
mkdir -p "$PREFIX/bin" "$PREFIX/lib"
printf '#!/bin/sh\\nexec bash "$@"\\n' >"$PREFIX/bin/tiny"
chmod 700 "$PREFIX/bin/tiny"
echo word >"$PREFIX/lib/data"
chmod 600 "$PREFIX/lib/data"
ln "$PREFIX/lib/data" "$PREFIX/lib/again"
ln -s "$PREFIX/lib/data" "$PREFIX/lib/absolute"
ln -s tiny "$PREFIX/bin/other"
"""


def write_package(
    packages: Path, language: str = "tiny", version: str = "1.0.0", build: str = BUILD, test: str = "echo OK"
) -> Path:
    """A package in the form that Piston's builder takes, below the folder `packages`."""
    folder = packages / language / version
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps({"language": language, "version": version, "aliases": ["t"]}))
    (folder / "build.sh").write_text(build)
    (folder / "environment").write_text("export PATH=$PWD/bin:$PATH\nexport TINY=$PWD\n")
    (folder / "run").write_text('#!/bin/sh\nexec tiny "$@"\n')
    (folder / "run").chmod(0o755)
    (folder / "test.tiny").write_text(test)
    return folder
