"""The command line, run as people and scripts run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codecoach.local import program
from codecoach.local.scripted import ScriptedServer
from codecoach.runner import packages
from codecoach.runner.port import RunResult, RunStatus, StageResult
from codecoach.settings import Settings
from tests.contracts.piston_playback import over_http
from tests.contracts.sts_servers import ROLE, answering, lent

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _python_runtime():
    packages.install("python", Settings().cache_dir)


@pytest.fixture
def codecoach(tmp_path):
    """`codecoach(*words)` runs a command with a store of its own, from the folder `tmp_path`."""

    def run(*words: object, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "codecoach", *map(str, words)],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "CODECOACH_DATA_DIR": str(tmp_path / "data"),
                "LANG": "C.UTF-8",
                **environment,
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


def test_run_passes_output_arguments_stdin_and_exit_code_through(codecoach, tmp_path):
    (tmp_path / "main.py").write_text(
        "import sys; from part import word; print(word, sys.argv[1:], sys.stdin.read()); print('bad', file=sys.stderr); sys.exit(7)"
    )
    (tmp_path / "part.py").write_text("word = 'whole'")
    (tmp_path / "in.txt").write_text("typed")
    done = codecoach("run", "main.py", "part.py", "--arg", "a b", "--arg", "--x", "--stdin-file", "in.txt")
    assert done.stdout == "whole ['a b', '--x'] typed\n"
    assert done.stderr.startswith("bad\n")
    assert done.returncode == 7


def test_run_prints_one_result_object(codecoach, tmp_path):
    (tmp_path / "main.py").write_text("open('out.txt', 'w').write('12345'); print('done')")
    done = codecoach("run", "--json", "--language", "python", "main.py")
    result = json.loads(done.stdout)
    assert result.keys() == {
        *("status", "exit_code", "signal", "stdout", "stderr", "truncated", "wall_s", "cpu_s", "peak_memory_bytes"),
        *("reason", "files", "files_left_out", "compile"),
    }
    assert (result["status"], result["exit_code"], result["stdout"], result["reason"]) == ("ok", 0, "done\n", None)
    assert result["files"] == [{"name": "out.txt", "size_bytes": 5}]
    assert result["wall_s"] > 0
    assert result["peak_memory_bytes"] > 1_000_000
    assert result["compile"] is None
    assert done.returncode == 0


def test_run_reports_a_time_out_as_timeout_does(codecoach, tmp_path):
    (tmp_path / "main.py").write_text("import time; print('begun', flush=True); time.sleep(60)")
    done = codecoach("run", "--timeout", "1", "main.py")
    assert done.stdout == "begun\n"
    assert done.returncode == 124
    assert done.stderr.strip()


def test_run_reports_a_signal_as_a_shell_does(codecoach, tmp_path):
    (tmp_path / "main.py").write_text("import os; os.kill(os.getpid(), 11)")
    assert codecoach("run", "main.py").returncode == 128 + 11


def test_a_signal_that_has_no_name_is_reported_by_its_number():
    killed = StageResult(None, "SIG35", "", "", False, 0.1)
    assert program.exit_code(RunResult(RunStatus.SIGNAL, killed)) == 163


def test_run_with_a_simulated_aws(codecoach, tmp_path):
    (tmp_path / "main.py").write_text(
        "import boto3\nfor r in boto3.client('ec2').describe_instances()['Reservations']:\n  for i in r['Instances']: print(i['InstanceId'])"
    )
    done = codecoach("run", "--aws", "simulated", "main.py")
    assert done.stdout.count("i-") == 3, done.stderr
    assert done.returncode == 0


def test_a_program_that_fails_for_want_of_an_aws_is_told_of_the_simulated_one(codecoach, tmp_path):
    (tmp_path / "buckets.py").write_text("import boto3\nboto3.client('s3').list_buckets()")
    (tmp_path / "other.py").write_text("print(1 / 0)")
    assert "--aws simulated" in codecoach("run", "buckets.py").stderr
    assert "--aws" not in codecoach("run", "other.py").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "missing.py"), "missing.py cannot be read"),
        (("run", "notes.xyz"), "notes.xyz"),
        (("run", "--language", "cobol", "notes.xyz"), "cobol"),
        (("ask", "   "), "nothing"),
        (("ask", "--assistant", "oracle", "hello"), "oracle"),
    ],
)
def test_what_cannot_be_done_is_said_plainly(codecoach, tmp_path, words, said):
    (tmp_path / "notes.xyz").write_text("?")
    done = codecoach(*words)
    assert done.returncode == 3
    assert said in done.stderr.lower() if said.islower() else said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_at_the_start(codecoach):
    done = codecoach("runtimes", CODECOACH_PORTT="1")
    assert done.returncode == 3
    assert "CODECOACH_PORTT" in done.stderr
    assert "CODECOACH_PORT?" in done.stderr


def test_runtimes_lists_every_language_with_what_is_missing(codecoach):
    listed = {item["language"]: item for item in json.loads(codecoach("runtimes", "--json").stdout)}
    assert len(listed) == 9
    assert listed["python"]["installed"]
    assert "boto3" in listed["python"]["sdk"]
    assert all(item["problem"] for item in listed.values() if not item["installed"])


def test_installing_goes_on_after_a_language_that_cannot_be_had_and_fails_in_the_end(codecoach):
    done = codecoach("runtimes", "install", "cobol", "bash")
    assert done.returncode == 3
    assert "cobol" in done.stderr
    assert "bash" in done.stdout.splitlines()[-1]


def test_ask_streams_the_answer(codecoach):
    with ScriptedServer() as bedrock:
        bedrock.engine.say("Here you are:\n```python\nprint(1)\n```\n")
        done = codecoach("ask", "print one", CODECOACH_BEDROCK_ENDPOINT_URL=bedrock.url)
        assert done.stdout.startswith("Here you are:\n```python\nprint(1)\n```\n"), done.stderr
        assert bedrock.engine.requests[0].turns[0].text == "print one"


def test_ask_says_why_there_is_no_answer(codecoach):
    with ScriptedServer() as bedrock:
        bedrock.engine.say(fault="AccessDeniedException")
        done = codecoach("ask", "-", stdin="print one", CODECOACH_BEDROCK_ENDPOINT_URL=bedrock.url)
        assert done.returncode == 3
        assert "may not call" in done.stderr


def test_the_command_line_speaks_chinese_where_the_machine_does(codecoach):
    done = codecoach("ask", " ", LANG="zh_CN.UTF-8")
    assert "。" in done.stderr


def test_run_goes_to_the_runner_that_is_asked_for(codecoach, tmp_path):
    (tmp_path / "main.py").write_text('print("here")')
    with over_http("ok_python") as played:
        done = codecoach("run", "main.py", "--runner", "piston", CODECOACH_PISTON_URLS=played.url)
        assert (done.stdout, done.returncode) == ("Hello, world!\n", 0)
        by_setting = codecoach("run", "main.py", CODECOACH_RUNNER="piston", CODECOACH_PISTON_URLS=played.url)
        assert by_setting.stdout == "Hello, world!\n"
        other = codecoach("run", "main.py", "--runner", "sandbox", CODECOACH_RUNNER="piston")
        assert other.stdout == "here\n"
    assert [body["files"][0]["content"] for body in played.bodies] == ['print("here")'] * 2


def test_a_piston_that_does_not_answer_is_named_with_what_to_do(codecoach, tmp_path):
    (tmp_path / "main.py").write_text("print(1)")
    with over_http("ok_python") as gone:
        pass
    done = codecoach("run", "main.py", "--runner", "piston", CODECOACH_PISTON_URLS=gone.url)
    assert (done.stdout, done.returncode) == ("", 3)
    assert gone.url in done.stderr
    listed = codecoach("runtimes", CODECOACH_RUNNER="piston", CODECOACH_PISTON_URLS=gone.url)
    assert "CODECOACH_PISTON_URLS" in listed.stdout


def test_run_in_ones_own_aws_says_who_it_is_and_asks_before_it_does_harm(codecoach, tmp_path):
    (tmp_path / "look.py").write_text(
        "import os\nprint(os.environ['AWS_SESSION_TOKEN'], os.environ['AWS_REGION'], os.environ.get('AWS_ENDPOINT_URL'))"
    )
    (tmp_path / "harm.py").write_text("import boto3\nprint(1)\nprint(boto3.client('s3').delete_bucket)")
    with answering(200, lent("a", "2999-01-01T00:00:00Z")) as url:
        server = {"AWS_ENDPOINT_URL_STS": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
        server["CODECOACH_RUN_ROLE_ARN"] = ROLE
        done = codecoach("run", "look.py", "--aws", "mine", "--region", "eu-west-1", **server)
        assert (done.returncode, done.stdout) == (0, "token-a eu-west-1 None\n")
        assert "assumed-role/programs/me" in done.stderr
        refused = codecoach("run", "harm.py", "--aws", "mine", **server)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert "s3:DeleteBucket" in refused.stderr
        assert codecoach("run", "harm.py", "--aws", "mine", "--yes", **server).stdout.startswith("1\n")
    nobody = codecoach("run", "look.py", "--aws", "mine")
    assert nobody.returncode == 3
    assert "CODECOACH_RUN_ROLE_ARN" in nobody.stderr
