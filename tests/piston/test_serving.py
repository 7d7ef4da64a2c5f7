"""A folder that is served is an index and packages that Piston can use, at the address by which it was asked."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from piston import index

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    (folder / "c++-10.2.0.pkg.tar.gz").write_bytes(b"content")
    (folder / ".new-1.0.0.pkg.tar.gz.part").write_bytes(b"half")
    (folder / "notes.txt").write_text("not a package")
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """Of the folder, served by the command as a person would."""
    words = [sys.executable, "-m", "piston", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline()
        yield line.split("PISTON_REPO_URL=")[1].split("/index")[0]
        server.send_signal(signal.SIGINT)
        assert server.wait() in (0, 130, -signal.SIGINT)


def named(address, **headers):
    reply = requests.get(f"{address}/index", headers=headers)
    assert reply.status_code == 200
    return index.parse(reply.text, "served")


def test_what_the_index_names_is_there_with_its_checksum(address, folder):
    (entry,) = named(address)
    assert (entry.language, entry.version) == ("c++", "10.2.0")
    assert requests.get(entry.url).content == b"content"
    assert entry.sha256 == index.sha256(folder / "c++-10.2.0.pkg.tar.gz")


def test_packages_are_named_by_the_address_that_the_reader_knows(address):
    """Piston in a container knows this machine by another name."""
    (entry,) = named(address, Host="host.docker.internal:2001")
    assert entry.url == "http://host.docker.internal:2001/c%2B%2B-10.2.0.pkg.tar.gz"


def test_a_download_may_go_on_in_the_middle(address):
    reply = requests.get(f"{address}/c%2B%2B-10.2.0.pkg.tar.gz", headers={"Range": "bytes=3-"})
    assert (reply.status_code, reply.content) == (206, b"tent")


@pytest.mark.parametrize(
    "path", [".new-1.0.0.pkg.tar.gz.part", "notes.txt", "..%2Fserved%2Fnotes.txt", "missing-1.0.0.pkg.tar.gz"]
)
def test_nothing_but_whole_packages_is_given_out(address, path):
    assert requests.get(f"{address}/{path}").status_code == 404


def test_a_package_that_comes_or_changes_is_named_at_once(address, folder):
    path = folder / "late-1.0.0.pkg.tar.gz"
    for content in (b"first", b"second content"):
        path.write_bytes(content)
        (late,) = [entry for entry in named(address) if entry.language == "late"]
        assert requests.get(late.url).content == content
        assert late.sha256 == index.sha256(path)
    path.unlink()
    assert [entry.language for entry in named(address)] == ["c++"]


def test_a_port_that_is_taken_is_a_fault_and_no_stack_trace(address, folder):
    port = address.rpartition(":")[2]
    words = [sys.executable, "-m", "piston", "serve", str(folder), "--port", port]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 3
    assert "Traceback" not in ended.stderr
