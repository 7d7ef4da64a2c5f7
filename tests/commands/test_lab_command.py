"""`codecoach lab`, run as people and scripts run it, against a scripted endpoint."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codecoach.local.scripted import Reply, Rule, Script, ScriptedServer

ROOT = Path(__file__).parents[2]
MODEL = "anthropic.claude-haiku-4-5-20251001-v1:0"
ANSWERS = Script(
    (Rule("of France", Reply("It is Paris.")), Rule("of Spain", Reply("It is Lyon."))), Reply("I do not know.")
)


@pytest.fixture
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer(ANSWERS) as running:
        yield running


@pytest.fixture
def start(tmp_path, bedrock):
    """`start(*words)` starts `codecoach lab` in the folder `tmp_path`."""
    (tmp_path / "prompt.txt").write_text('What is the capital of {land}? Answer as {"city": ...}.\n')
    (tmp_path / "rows.csv").write_text("land,expected\nFrance,Paris\nSpain,Madrid\n")

    def started(*words: object) -> subprocess.Popen:
        environment = {"PYTHONPATH": str(ROOT), "CODECOACH_DATA_DIR": str(tmp_path / "data"), "LANG": "C.UTF-8"}
        environment["CODECOACH_BEDROCK_ENDPOINT_URL"] = bedrock.url
        return subprocess.Popen(
            [sys.executable, "-m", "codecoach", "lab", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


@pytest.fixture
def lab(start):
    def run(*words: object) -> subprocess.CompletedProcess[str]:
        with start(*words) as process:
            stdout, stderr = process.communicate(timeout=100)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    return run


def test_a_payload_is_printed_as_it_travels_and_nothing_is_sent(lab, bedrock):
    done = lab(
        "payload",
        "--model",
        MODEL,
        "--system",
        "You know {what}.",
        "--var",
        "what=maps",
        "--var",
        "land=Chad",
        "prompt.txt",
    )
    assert done.returncode == 0
    sent = json.loads(done.stdout)
    assert (sent["operation"], sent["model"]) == ("InvokeModel", MODEL)
    assert sent["body"]["system"] == "You know maps."
    assert sent["body"]["messages"][0]["content"][0]["text"] == 'What is the capital of Chad? Answer as {"city": ...}.'
    assert bedrock.requests == []


def test_a_variable_without_a_value_is_named_with_exit_code_2(lab):
    done = lab("payload", "--model", MODEL, "prompt.txt")
    assert done.returncode == 2
    assert "land" in done.stderr


def test_an_answer_streams_to_standard_output(lab):
    done = lab("run", "--model", MODEL, "--var", "land=France", "prompt.txt")
    assert (done.returncode, done.stdout) == (0, "It is Paris.\n")


def test_a_test_set_is_tried_and_the_exit_code_says_whether_all_passed(lab):
    words = ("test", "rows.csv", "--template", "prompt.txt", "--model", MODEL)
    done = lab(*words, "--check", "contains")
    assert done.returncode == 1
    assert done.stdout.startswith(f"prompt.txt · {MODEL}: 1 of 2 passed, 0 calls failed, ")
    assert "2 of 2 tried, 1 passed." in done.stderr
    assert lab(*words, "--check", "regex=^It is", "--check", "contains=.").returncode == 0


def test_a_broken_off_test_goes_on_where_its_results_end(lab, tmp_path, bedrock):
    words = (
        "test",
        "rows.csv",
        "--template",
        "prompt.txt",
        "--model",
        MODEL,
        "--check",
        "contains",
        "--results",
        "out.jsonl",
    )
    assert lab(*words).returncode == 1
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in sorted(lines[1:])] == ["It is Paris.", "It is Lyon."]
    (tmp_path / "out.jsonl").write_text("\n".join(lines[:2]) + "\n" + lines[2][:20])
    bedrock.requests.clear()
    done = lab(*words)
    assert len(bedrock.requests) == 1, "only what was cut off"
    assert "1 of 2 passed" in done.stdout
    other = lab(*words, "--check", "regex=.")
    assert other.returncode == 2
    assert "out.jsonl does not hold results of this test" in other.stderr


def test_ctrl_c_keeps_what_has_come(start, tmp_path, bedrock):
    bedrock.engine.follow(Script((Rule("of France", Reply("It is Paris.")),), Reply("word " * 500, token_delay_s=0.1)))
    words = ("test", "rows.csv", "--template", "prompt.txt", "--model", MODEL, "--results", "out.jsonl")
    with start(*words) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "out.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in stderr
    states = {json.loads(line)["state"] for line in (tmp_path / "out.jsonl").read_text().splitlines()[1:]}
    assert states == {"complete", "stopped"}


def test_a_cap_ends_it_before_it_is_exceeded(lab, bedrock):
    done = lab("test", "rows.csv", "--template", "prompt.txt", "--model", MODEL, "--cap", "0.001")
    assert done.returncode == 1
    assert "--cap" in done.stderr
    assert bedrock.requests == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--check", "similar=x"), "similar=x is no check"),
        (("--template", "gone.txt"), "gone.txt"),
        (("--check", "json_schema=@gone.json"), "gone.json"),
        (("--cap", "1", "--model", "acme.large"), "The price of acme.large is not known"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(lab, bedrock, words, said):
    done = lab("test", "rows.csv", "--template", "prompt.txt", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert bedrock.requests == []
