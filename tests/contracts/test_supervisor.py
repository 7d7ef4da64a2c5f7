"""The supervisor that goes into every package does what CodeCoach's instructions say, and reports it."""

import base64
import json
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from codecoach.runner import packages
from codecoach.runner.installed import Package

pytestmark = pytest.mark.skipif(not shutil.which("perl"), reason="the supervisor is written in Perl")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A package for Bash, built."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    scripts = {"build.sh": "", "environment": "", "run": 'exec bash "$@"', "compile": 'bash -n "$1" && echo compiled'}
    for name, content in scripts.items():
        (source / name).write_text(content)
    (source / "metadata.json").write_text('{"language": "bash", "version": "5.0.0", "aliases": ["sh"]}')
    packages.build(Package("bash", "5.0.0", source), place)
    return place


class Box:
    """The folder of a program, and what the supervisor reported of it."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder = folder
        self.built = built
        self.token = uuid.uuid4().hex

    def instruct(self, environment: dict[str, str] | None = None, stdin: bytes | None = None, **job: object) -> None:
        (self.folder / ".codecoach").mkdir()
        lines = {"token": self.token, "output_bytes": 1000, "files": 5, "file_bytes": 1000, **job}
        (self.folder / ".codecoach/job").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        pairs = (f"{name}={value}\0" for name, value in (environment or {}).items())
        (self.folder / ".codecoach/environment").write_text("".join(pairs))
        if stdin is not None:
            (self.folder / ".codecoach/stdin").write_bytes(stdin)

    def run(self, program: str, *arguments: str, script: str = "run") -> "subprocess.CompletedProcess[str]":
        (self.folder / "main.sh").write_text(program)
        self.ended = subprocess.run(
            ["bash", self.built / script, "main.sh", *arguments],
            cwd=self.folder,
            input="what Piston sends\n",
            capture_output=True,
            text=True,
            check=False,
        )
        return self.ended

    def reported(self, kind: str) -> list[list[str]]:
        lines = [line.split(" ") for line in self.ended.stdout.splitlines()]
        return [words[2:] for words in lines if words[:2] == [self.token, kind]]

    def output(self, kind: str = "o") -> bytes:
        return b"".join(base64.b64decode(words[0]) for words in self.reported(kind))

    @property
    def end(self) -> list[str]:
        (words,) = self.reported("x")
        return words


@pytest.fixture
def box(tmp_path, built) -> Box:
    return Box(tmp_path, built)


def test_a_built_package_says_by_an_alias_that_it_has_the_supervisor(built):
    assert json.loads((built / "metadata.json").read_text())["aliases"] == ["sh", "codecoach-bash"]


def test_without_instructions_the_packages_own_script_runs_as_it_is(box):
    ended = box.run('cat; echo "$1" $#; exit 3', "a b")
    assert (ended.stdout, ended.returncode) == ("what Piston sends\na b 1\n", 3)


def test_stdin_environment_and_arguments_are_the_instructed_ones_to_the_byte(box):
    box.instruct({"NAME": "a=b\n'c'"}, stdin=b"no newline", timeout_ms=20_000)
    ended = box.run('cat; echo "|$NAME|$1|$2"', "a b", "-x")
    assert box.output() == b"no newline|a=b\n'c'|a b|-x\n"
    assert ended.returncode == 0


def test_instructions_are_gone_when_the_program_starts(box):
    box.instruct({"SECRET": "s"}, stdin=b"", timeout_ms=20_000)
    box.run("ls -A")
    assert box.output() == b"main.sh\n"


@pytest.mark.parametrize(
    ("program", "code", "signal"), [("exit 137", "137", "-"), ("kill -9 $$", "-", "9"), ("true", "0", "-")]
)
def test_exit_codes_and_signals_are_told_apart(box, program, code, signal):
    box.instruct(timeout_ms=20_000)
    box.run(program)
    assert box.end[:2] == [code, signal]


def test_both_streams_are_reported_whatever_bytes_they_hold(box):
    box.instruct(timeout_ms=20_000)
    box.run(r"printf '\000\377a\n'; printf '\303\n' >&2")
    assert (box.output("o"), box.output("e")) == (b"\0\xffa\n", b"\xc3\n")


@pytest.mark.parametrize("length", range(7))
def test_base64_is_right_for_every_rest(box, length):
    box.instruct(timeout_ms=20_000)
    box.run(f"printf %s {'abcdefg'[:length]}")
    assert box.output() == b"abcdefg"[:length]


def test_output_stops_at_the_limit_to_the_byte(box):
    box.instruct(timeout_ms=20_000, output_bytes=300)
    box.run("printf start; while :; do printf 1234567; done")
    assert (box.output()[:12], len(box.output()), box.end[5]) == (b"start1234567", 300, "output")


def test_a_time_out_ends_the_program_and_is_named(box):
    box.instruct(timeout_ms=300)
    ended = box.run("echo here; sleep 1000")
    assert (box.output(), box.end[5]) == (b"here\n", "timeout")
    assert ended.returncode != 0


def test_new_and_changed_files_are_reported_within_the_bounds_and_links_are_not(box):
    box.folder.joinpath("same.txt").write_text("same")
    box.folder.joinpath("changed.txt").write_text("a")
    box.instruct(timeout_ms=20_000, files=2, file_bytes=50)
    box.run(
        "echo b >> changed.txt; mkdir out; printf '\\0' > out/x; head -c 60 /dev/zero > big; ln -s /etc/passwd link; echo 3 > third"
    )
    names = [(base64.b64decode(words[0]).decode(), int(words[1])) for words in box.reported("f")]
    assert names == [("changed.txt", 3), ("out/x", 1)]
    assert [base64.b64decode(words[0]) for words in box.reported("d")] == [b"ab\n", b"\0"]
    assert box.end[6] == "3"


def test_compiling_is_supervised_too_and_leaves_the_instructions_for_the_run(box):
    box.instruct(stdin=b"for the program", compile_timeout_ms=20_000, timeout_ms=20_000)
    assert box.run("cat", script="compile").returncode == 0
    assert box.output() == b"compiled\n"
    box.run("cat")
    assert box.output() == b"for the program"


def test_a_compiler_that_refuses_makes_the_stage_fail(box):
    box.instruct(compile_timeout_ms=20_000)
    assert box.run("if", script="compile").returncode != 0
    assert b"syntax error" in box.output("e")


def test_a_second_job_stops_the_first(box, tmp_path_factory, built):
    flag = f"codecoach-test-{uuid.uuid4().hex}"
    box.instruct(timeout_ms=60_000, stop=flag)
    (box.folder / "main.sh").write_text("echo here; sleep 1000")
    running = subprocess.Popen(["bash", built / "run", "main.sh"], cwd=box.folder, stdout=subprocess.PIPE, text=True)
    assert running.stdout.readline().startswith(box.token)
    second = Box(tmp_path_factory.mktemp("second"), built)
    second.instruct(**{"raise": flag})
    stopping = second.run("echo never")
    assert (stopping.stdout, stopping.returncode) == ("", 0)
    rest, _ = running.communicate(timeout=30)
    assert rest.split(" ")[7] == "stopped"
    assert not Path("/dev/shm", flag).exists()
