"""The endpoint as a process: one line when it answers, steered from outside, and gone when it should be."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import psutil
import pytest
import requests
from botocore.exceptions import ClientError

from tests.bedrock import CLAUDE_3, client, user

COMMAND = [sys.executable, "-m", "codecoach.local.bedrock_endpoint"]
RULES = {
    "rules": [{"match": "busy", "times": 1, "reply": {"fault": "ThrottlingException"}}],
    "default": {"chunks": ["one ", "two"], "token_delay_s": 0.01},
}


@contextmanager
def started(tmp_path, rules=RULES):
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rules))
    with process_of("--scripted", str(file)) as process_and_url:
        yield process_and_url


@contextmanager
def process_of(*arguments):
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.communicate()


def ask(url, words="hi"):
    with closing(client("bedrock-runtime", url)) as runtime:
        return runtime.converse(modelId=CLAUDE_3, messages=[user(words)])["output"]["message"]["content"][0]["text"]


def test_it_replies_by_the_rules_and_tells_what_was_asked(tmp_path):
    with started(tmp_path) as (_, url):
        with pytest.raises(ClientError, match="Throttling"):
            ask(url, "busy?")
        assert ask(url, "busy?") == "one two"
        asked = requests.get(f"{url}/script/requests", timeout=10).json()
        assert [one["text"] for one in asked] == ["busy?", "busy?"]
        requests.put(f"{url}/script", json={"default": {"text": "other"}}, timeout=10).raise_for_status()
        assert ask(url) == "other"
        assert requests.put(f"{url}/script", json={"defualt": {}}, timeout=10).status_code == 400
        assert requests.get(f"{url}/state", timeout=10).json()["state"] == "ready"


def test_requests_are_logged_without_what_they_say(tmp_path):
    with started(tmp_path) as (process, url):
        ask(url, "a secret of mine")
        process.terminate()
        _, log = process.communicate(timeout=20)
    assert f"POST /model/{CLAUDE_3}/converse 200" in log
    assert "secret" not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_even_while_it_streams(tmp_path, number):
    slow = {"default": {"text": "word " * 1000, "token_delay_s": 60}}
    with started(tmp_path, slow) as (process, url), closing(client("bedrock-runtime", url)) as runtime:
        events = runtime.converse_stream(modelId=CLAUDE_3, messages=[user("hi")])["stream"]
        assert "messageStart" in next(iter(events))
        process.send_signal(number)
        assert process.wait(20) in (0, -number)
        events.close()


def test_it_ends_with_the_process_that_started_it(tmp_path):
    file = tmp_path / "rules.json"
    file.write_text("{}")
    program = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen({[*COMMAND, '--scripted', str(file)]!r}, stdout=subprocess.PIPE, text=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
        "os._exit(0)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.communicate()
    deadline = time.monotonic() + 20
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


def test_it_says_why_it_cannot_start(tmp_path):
    missing = run("--model", str(tmp_path / "no.gguf"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "no.gguf" in missing.stderr
    assert "codecoach setup" in run("--model", "0.5b", CODECOACH_CACHE_DIR=str(tmp_path)).stderr
    broken = tmp_path / "rules.json"
    broken.write_text('{"default": {"txt": "x"}}')
    assert "txt" in run("--scripted", str(broken)).stderr


def test_a_file_that_is_no_model_leaves_an_endpoint_that_says_so(tmp_path):
    (tmp_path / "junk.gguf").write_text("nonsense")
    with (
        process_of("--model", str(tmp_path / "junk.gguf")) as (_, url),
        closing(client("bedrock-runtime", url)) as runtime,
    ):
        with pytest.raises(runtime.exceptions.ModelErrorException, match=r"cannot be loaded: junk\.gguf"):
            runtime.converse(modelId="local.junk", messages=[user("hi")])
        assert requests.get(f"{url}/state", timeout=10).json()["state"] == "failed"


def test_a_taken_port_is_named(tmp_path):
    with started(tmp_path) as (_, url):
        port = url.rsplit(":", 1)[1]
        assert port in run("--scripted", str(tmp_path / "rules.json"), "--port", port).stderr
