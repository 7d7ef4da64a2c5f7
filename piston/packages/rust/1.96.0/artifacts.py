"""Tells from cargo's messages on stdin what programs need of a build: artifacts.py FOLDER

files    libraries and macros, a path on each line
externs  arguments for the compiler by which programs name the crates of Cargo.toml, once these files are in FOLDER
"""

import json
import sys
import tomllib
from pathlib import Path

folder = sys.argv[1]
dependencies = tomllib.loads(Path("Cargo.toml").read_text("utf-8"))["dependencies"]
wanted = {name.replace("-", "_") for name in dependencies}
files: list[str] = []
externs: list[str] = []

for line in sys.stdin:
    message = json.loads(line)
    if message["reason"] != "compiler-artifact":
        continue
    built = [file for file in message["filenames"] if file.endswith((".rlib", ".so"))]
    files += built
    name = message["target"]["name"].replace("-", "_")
    if built and name in wanted and "lib" in message["target"]["kind"]:
        externs.append(f"--extern={name}={folder}/{Path(built[0]).name}")

Path("files").write_text("\n".join(files), "utf-8")
Path("externs").write_text("\n".join(externs) + "\n", "utf-8")
