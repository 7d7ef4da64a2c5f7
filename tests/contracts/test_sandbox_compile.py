"""A language that is compiled goes through two stages, and each keeps to its own limits."""

import uuid

import pytest

from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.installed import Installed
from codecoach.runner.port import File, Limits, OutputChunk, RunRequest, RunStatus, StageChanged
from codecoach.runner.sandbox import Sandbox
from codecoach.runner.sandbox.endings import NEVER_RAN

# Its programs are shell scripts that are told which stage it is.
SCRIPTS = {
    "compile": 'names=$*\n. "./$1"; compile\n',
    "run": 'names=$*\n. "./$1"; shift; run "$@"\n',
}
LIMITS = Limits(timeout_s=20, compile_timeout_s=20)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtimes")
    folder.chmod(0o755)  # another user than the one that makes it enters it
    (folder / "scripted").mkdir()
    for name, script in SCRIPTS.items():
        (folder / "scripted" / name).write_text(script)
    made = Sandbox.of(folder, workers=2)
    yield made
    made.close()


def events(runner, source, *files, stop_at=None, **more):
    asked = RunRequest(
        uuid.uuid4().hex, "bash", (File("main.sh", source.encode()), *files), **{"limits": LIMITS, **more}
    )
    seen = []
    for event in runner.run_with(Installed("scripted", "/scripted", compiles=True), asked):
        seen.append(event)
        if isinstance(event, OutputChunk) and event.text == stop_at:
            runner.cancel(asked.job_id)
    return seen


def test_what_compiling_leaves_is_there_for_the_run_and_is_no_result(runner):
    source = """
compile() { mkdir -p out/deep; printf '#!/bin/sh\\necho built "$@"' >out/deep/main; chmod +x out/deep/main; echo changed >data; }
run() { out/deep/main "$@"; cat data; echo new >result; }
"""
    *_, ended = events(runner, source, File("data", b"first"), args=("a b",))
    assert (ended.run.stdout, ended.run.stderr) == ("built a b\nchanged\n", "")
    assert ended.files == (File("result", b"new\n"),)
    assert (ended.compile.exit_code, ended.status) == (0, RunStatus.OK)


def test_what_the_program_changes_of_it_is_a_result(runner):
    *_, ended = events(runner, "compile() { echo 1 >a; echo 1 >b; }\nrun() { echo 22 >b; }")
    assert ended.files == (File("b", b"22\n"),)


def test_both_stages_are_announced_and_their_output_comes_and_is_kept_apart(runner):
    seen = events(runner, "compile() { echo warned >&2; sleep 0.1; }\nrun() { echo ran; }")
    assert seen[:-1] == [
        StageChanged("compile"),
        OutputChunk("stderr", "warned\n"),
        StageChanged("run"),
        OutputChunk("stdout", "ran\n"),
    ]
    assert (seen[-1].compile.stderr, seen[-1].run.stdout, seen[-1].run.stderr) == ("warned\n", "ran\n", "")


def test_compiling_is_given_the_names_of_all_text_files_and_running_that_of_the_first(runner):
    source = 'compile() { echo "$names"; }\nrun() { echo "$names"; cat bytes | wc -c; }'
    files = (File("lib/two.txt", "zwei ü".encode()), File("bytes", b"\xff\x00"))
    *_, ended = events(runner, source, *files, args=("x",))
    assert (ended.compile.stdout, ended.run.stdout) == ("main.sh lib/two.txt\n", "main.sh x\n2\n")


def test_only_the_program_is_given_input_and_aws(runner):
    source = "compile() { cat; env | grep AWS; }\nrun() { cat; env | grep -c AWS; }"
    *_, ended = events(runner, source + "\ntrue", stdin=b"typed ", aws=AwsAccess(AwsMode.SIMULATED, port=9))
    assert ended.status is RunStatus.COMPILE_FAILED  # grep found nothing
    *_, ended = events(
        runner, source.replace("AWS; }\n", "AWS; true; }\n"), stdin=b"typed ", aws=AwsAccess(AwsMode.SIMULATED, port=9)
    )
    assert ended.compile.stdout == ""
    assert ended.run.stdout.startswith("typed ")
    assert int(ended.run.stdout.split()[1]) > 3


def test_what_the_compiler_refuses_is_not_run(runner):
    seen = events(runner, "compile() { echo 'line 3: no' >&2; echo 1 >half; return 2; }\nrun() { echo ran; }")
    ended = seen[-1]
    assert StageChanged("run") not in seen
    assert (ended.status, ended.run, ended.files) == (RunStatus.COMPILE_FAILED, NEVER_RAN, ())
    assert (ended.compile.exit_code, ended.compile.stderr) == (2, "line 3: no\n")
    assert ended.reason.values == {"code": 2}


def test_a_compiler_that_crashes_has_not_compiled(runner):
    *_, ended = events(runner, "compile() { kill -SEGV $$; }\nrun() { echo ran; }")
    assert (ended.status, ended.compile.signal) == (RunStatus.COMPILE_FAILED, "SIGSEGV")


@pytest.mark.parametrize(
    ("source", "limits", "status"),
    [
        ("sleep 1000", {"compile_timeout_s": 0.5}, RunStatus.TIMEOUT),
        ("tail </dev/zero", {"compile_memory_bytes": 60_000_000}, RunStatus.MEMORY),
        ("yes", {"output_bytes": 5000}, RunStatus.OUTPUT_LIMIT),
        ("for i in $(seq 40); do sleep 100 & done; wait", {"processes": 20}, RunStatus.PROCESS_LIMIT),
        ("for i in $(seq 300); do echo >$i; done", {}, RunStatus.FILE_LIMIT),
        ("head -c 300M /dev/zero >large", {}, RunStatus.FILE_LIMIT),
    ],
)
def test_the_limits_hold_while_compiling(runner, source, limits, status):
    *_, ended = events(runner, f"compile() {{ {source}; }}\nrun() {{ :; }}", limits=Limits(**limits))
    assert (ended.status, ended.run) == (status, NEVER_RAN)
    assert ended.reason
    assert ended.compile


def test_compiling_may_take_longer_and_need_more_than_the_program(runner):
    source = "compile() { sleep 0.8; head -c 90M /dev/zero >big; head -c 70M big | tail -c 60M | wc -c; }\nrun() { wc -c <big; sleep 1000; }"
    *_, ended = events(runner, source, limits=Limits(timeout_s=0.6, memory_bytes=40_000_000))
    assert ended.compile.exit_code == 0
    assert (ended.status, ended.run.stdout.strip()) == (RunStatus.TIMEOUT, str(90 * 1024 * 1024))


def test_stop_while_compiling_ends_the_run(runner):
    seen = events(runner, "compile() { echo here; sleep 1000; }\nrun() { echo ran; }", stop_at="here\n")
    ended = seen[-1]
    assert (ended.status, ended.compile.stdout, ended.run) == (RunStatus.CANCELLED, "here\n", NEVER_RAN)


def test_nothing_that_compiling_started_is_left_for_the_run(runner):
    source = "compile() { (setsid sleep 1000 &) ; echo x >/tmp/x; ln -s /etc/passwd link; }\nrun() { ls /tmp; ls; ls /proc | grep -c '^[0-9]'; }"
    *_, ended = events(runner, source)
    assert ended.run.stdout.split("\n")[0] == "main.sh"
    assert int(ended.run.stdout.split()[-1]) <= 5


def test_a_compiler_finds_nothing_of_this_machine_to_print(runner):
    # Compilers print what they are told to include, be it a password file.
    source = """
compile() {
    for file in /etc/shadow /etc/hostname /etc/ssh /root /home /srv /var/run/docker.sock; do
        [ -r $file ] && [ -n "$(ls $file)" ] && echo "BROKEN $file"
    done
    cat /proc/*/environ | tr '\\0' '\\n' | grep -E 'SECRET|AWS' && echo BROKEN
    cat /etc/passwd
}
run() { :; }
"""
    *_, ended = events(runner, source)
    assert "BROKEN" not in ended.compile.stdout
    assert [line.split(":")[0] for line in ended.compile.stdout.splitlines()] == ["root", "coder", "nobody"]
