"""The toolkit's commands: what they print for people and for scripts, their exit codes, and what a dry run leaves alone."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from piston import index
from piston.cli import app
from tests.piston import servers
from tests.piston.packages import write_package

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _english_and_nothing_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("CODECOACH_CACHE_DIR", str(tmp_path / "cache"))


def run(*words, code=0):
    ended = CliRunner().invoke(app, [str(word) for word in words])
    assert ended.exit_code == code, (ended.output, ended.exception)
    return ended.stdout


def run_json(*words, code=0):
    return json.loads(run(*words, "--json", code=code))


def test_the_module_runs_and_lists_its_commands():
    ended = subprocess.run([sys.executable, "-m", "piston", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0
    for command in ("build", "index", "mirror", "publish", "serve", "list", "install", "uninstall"):
        assert command in ended.stdout


def test_build_and_index_give_what_piston_installs(tmp_path):
    write_package(tmp_path / "own")
    built = run_json("build", "tiny=1.0.0", "--packages", "own", "--to", "out", "--no-test")["built"][0]
    assert (built["package"], built["platform"], built["tested"]) == ("tiny=1.0.0", "docker-debian", False)
    assert run_json("index", "out", "--base-url", "https://host/x")["changed"] == ["tiny=1.0.0"]
    (entry,) = index.read(tmp_path / "out")
    assert entry == index.Entry("tiny", "1.0.0", built["sha256"], "https://host/x/tiny-1.0.0.pkg.tar.gz")


def test_a_person_reads_where_the_package_is_and_its_checksum(tmp_path):
    write_package(tmp_path / "own")
    said = run("build", "tiny", "--packages", "own", "--to", "out", "--no-test")
    assert "out/tiny-1.0.0.pkg.tar.gz" in said
    assert index.sha256(tmp_path / "out" / "tiny-1.0.0.pkg.tar.gz") in said


def test_a_dry_run_changes_nothing(tmp_path):
    write_package(tmp_path / "own")
    assert "out/tiny-1.0.0.pkg.tar.gz" in run("build", "tiny", "--packages", "own", "--to", "out", "--dry-run")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-1.0.0.pkg.tar.gz").write_bytes(b"x")
    assert "a=1.0.0" in run("index", "out", "--dry-run")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a-1.0.0.pkg.tar.gz"]


def test_a_fault_says_what_happened_and_what_to_do():
    ended = CliRunner().invoke(app, ["build", "nothing=1.0.0"])
    assert ended.exit_code == 3
    assert "There is no package nothing=1.0.0." in ended.stderr
    assert "bash=5.2.0" in ended.stderr


def test_a_script_gets_the_fault_as_json():
    assert run_json("build", "nothing", code=3)["error"] == "package_unknown"


def test_a_folder_that_cannot_be_written_is_a_fault_and_no_stack_trace(tmp_path):
    write_package(tmp_path / "own")
    (tmp_path / "out").write_text("a file")
    assert run_json("build", "tiny", "--packages", "own", "--to", "out", code=3)["error"] == "files_failed"


def test_wrong_usage_is_told_apart():
    run("build", code=2)


@pytest.fixture
def upstream():
    with servers.file_server() as files:
        content = b"content"
        files.content["/a-1.0.0.pkg.tar.gz"] = content
        line = f"a,1.0.0,{hashlib.sha256(content).hexdigest()},{files.address}/a-1.0.0.pkg.tar.gz\n"
        files.content["/index"] = line.encode()
        yield files


def test_mirror_says_what_came_and_what_was_there(upstream, tmp_path):
    words = ("mirror", "out", "--from", f"{upstream.address}/index")
    assert run_json(*words, "--dry-run")["missing"][0]["language"] == "a"
    assert not (tmp_path / "out").exists()
    assert run_json(*words) == {"fetched": ["a=1.0.0"], "kept": [], "own": [], "failed": []}
    assert run_json(*words)["kept"] == ["a=1.0.0"]


def test_a_mirroring_in_part_has_an_exit_code_of_its_own(upstream):
    del upstream.content["/a-1.0.0.pkg.tar.gz"]
    ended = CliRunner().invoke(app, ["mirror", "out", "--from", f"{upstream.address}/index"])
    assert ended.exit_code == 4
    assert "a=1.0.0" in ended.stderr
    assert run_json("mirror", "out", "--from", f"{upstream.address}/index", code=4)["failed"][0]["package"] == "a=1.0.0"


def test_the_upstream_index_may_come_from_the_environment(upstream, monkeypatch):
    monkeypatch.setenv("PISTON_UPSTREAM", f"{upstream.address}/index")
    assert run_json("mirror", "out", "a")["fetched"] == ["a=1.0.0"]
