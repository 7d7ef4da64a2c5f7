"""What docs/piston.md tells to type works, in the order in which it stands there."""

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer

from piston import index
from piston.cli import app
from tests.piston.github_server import TOKEN, github_server
from tests.piston.packages import write_package
from tests.piston.servers import file_server, serving
from tests.piston.test_engine import ANSWERS, Piston

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "piston.md").read_text("utf-8")
BLOCKS = re.findall(r"(<!-- not run by the tests: [^>]+ -->\n)?```sh\n(.*?)```", PAGE, re.DOTALL)
RUN = [block for reason, block in BLOCKS if not reason]


@pytest.fixture
def place(tmp_path):
    """A repository with a tiny Python package, and wheels in place of the network."""
    tmp_path.chmod(0o755)
    package = write_package(tmp_path / "piston" / "packages", "python", "3.11.0", build="touch $PREFIX/tabulate.py")
    (package / "metadata.json").write_text('{"language": "python", "version": "3.11.0"}')
    (package / "test.tiny").rename(package / "test.py")
    (package / "test.py").write_text("print('OK')\n")
    (package / "environment").write_text("export PYTHONPATH=$PWD\n")
    (package / "run").write_text('exec /usr/bin/python3 "$@"\n')
    with zipfile.ZipFile(tmp_path / "awscli-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("awscli/__main__.py", "print('aws-cli/1.0')")
        wheel.writestr("awscli-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: awscli\nVersion: 1.0\n")
        wheel.writestr("awscli-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("awscli-1.0.dist-info/RECORD", "")
    return tmp_path


def upstream(files):
    files.content["/p"] = b"content"
    checksum = hashlib.sha256(b"content").hexdigest()
    packages = (("bash", "5.2.0"), ("bash", "5.2.1"), ("python", "3.12.0"), ("lua", "5.4.4"))
    files.content["/index"] = "".join(f"{a},{b},{checksum},{files.address}/p\n" for a, b in packages).encode()


def environment(place, files, github, piston):
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(place),
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
        "CODECOACH_CACHE_DIR": str(place / "cache"),
        "CODECOACH_PISTON_URLS": piston,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(place),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PISTON_UPSTREAM": f"{files.address}/index",
        "GITHUB_API_URL": f"{github.address}/api",
        "GITHUB_TOKEN": TOKEN,
    }


@pytest.mark.timeout(300)
def test_what_the_page_tells_to_type_works(place):
    with file_server() as files, github_server() as github:
        upstream(files)
        kind = type("Bound", (Piston,), {"asked": [], "crashed": [], "index_url": f"{files.address}/index"})
        kind.answers = {**ANSWERS, ("POST", "bash", "5.2.1"): "packages_install"}
        with serving(kind) as piston:
            variables = environment(place, files, github, piston)
            for block in RUN:
                # Addresses of a reader's own machine, network and account.
                typed = block.replace("http://172.17.0.1:2001", files.address).replace("your-name/packages", "o/r")
                ran = subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", typed], cwd=place, env=variables, capture_output=True, text=True
                )
                assert ran.returncode == 0, f"{block}\n{ran.stdout}\n{ran.stderr}"
    named = {entry.package for entry in index.read(place / "dist" / "packages")}
    assert named == {"bash=5.2.0", "bash=5.2.1", "python=3.11.1", "python=3.12.0"}
    assert github.read().keys() == named
    built = place / "dist" / "packages" / "bash-5.2.1.pkg.tar.gz"
    assert github.read()["bash=5.2.1"] == index.sha256(built) != hashlib.sha256(b"content").hexdigest()
    assert kind.crashed == []


def test_most_of_the_page_is_run():
    assert len(RUN) > len(BLOCKS) / 2
    assert {reason.split(":")[1].split()[0] for reason, _ in BLOCKS if reason} == {"needs", "asks"}


def test_every_command_and_option_on_the_page_exists():
    commands = typer.main.get_command(app).commands
    for line in re.findall(r"python -m piston ([^\n`]+)", PAGE):
        words = line.split()
        if words[0] in ("...", "--help"):
            continue
        known = {name for option in commands[words[0]].params for name in option.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
    assert [name for name in commands if f"`{name}" not in PAGE] == []
