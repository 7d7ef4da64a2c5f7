"""Each export is a program that asks the same as the lab itself: run where its SDK is installed, against the local Bedrock endpoint."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.languages import BY_ID
from codecoach.local.engine import ChatRequest
from codecoach.local.scripted import ScriptedServer
from codecoach.models import export, payloads
from codecoach.models.clients import clients
from codecoach.models.laboratory import Laboratory
from codecoach.models.payloads import Image, Payload
from codecoach.runner import installed
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, RunRequest, RunStatus
from codecoach.settings import Settings
from tests.bedrock import CLAUDE_2, CLAUDE_3, MISTRAL
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

NOVA = "amazon.nova-2-lite-v1:0"
# What breaks programs that are written by other programs.
NASTY = 'Say "hi"\n\'\'\' """ \\n ${x} $y #{z} `w` "# r##" %s {v} </script>\tJSON\n词 🙂\n?>'
FORMATS = {
    "claude_messages": (CLAUDE_3, Parameters(300, 0.5, None, 40, ("END", 'q"q'))),
    "claude_text": (CLAUDE_2, Parameters(300, 0.5, 0.9, 40, ("END",))),
    "mistral_text": (MISTRAL, Parameters(300, 0.5, 0.9, 40, ("END",))),
    "converse": (NOVA, Parameters(300, 0.5, 0.9, None, ("END",))),
}
LANGUAGES = {"JavaScript": "javascript", "Go": "go", "Rust": "rust", "AWS CLI": "bash", "boto3": "python"}
ANSWER = 'Here "it" is: 词.'


@pytest.fixture
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def runner():
    made = sandbox("python", "bash", "javascript")
    yield made
    made.close()


def payload(format_id: str, system: str = "Be brief.\n'So'") -> Payload:
    model_id, parameters = FORMATS[format_id]
    examples = (Example("1+1?", "2"), Example(NASTY, '"'))
    return payloads.build(
        Sheet(NASTY, system, examples=examples, format=format_id, model_id=model_id, parameters=parameters)
    )


def asked_by_the_lab(bedrock: ScriptedServer, sent: Payload) -> ChatRequest:
    bedrock.engine.say("x")
    list(Laboratory(clients(Settings(bedrock_endpoint_url=bedrock.url)).runtime).submit(sent))
    return bedrock.engine.requests[-1]


def ran(runner, bedrock: ScriptedServer, language: str, program: str):
    built = installed.built(CACHE_DIR, language)
    if built is None:
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {language}")
    if language == "rust" and "aws-sdk-bedrockruntime" not in (built.folder / "Cargo.toml").read_text("utf-8"):
        pytest.skip("this package of Rust has no client for Bedrock: codecoach runtimes install rust")
    host, port = bedrock.url.removeprefix("http://").split(":")
    asked = RunRequest(
        uuid.uuid4().hex,
        language,
        (File(BY_ID[language].main, program.encode()),),
        limits=Limits(timeout_s=120, compile_timeout_s=300),
        # Programs find Bedrock where they find every other service of a simulated AWS.
        aws=AwsAccess(AwsMode.SIMULATED, host, int(port)),
    )
    return result(runner, asked)


@pytest.mark.parametrize("format_id", FORMATS)
@pytest.mark.parametrize("sdk", LANGUAGES)
def test_an_export_asks_what_the_lab_asks_and_prints_the_answer(runner, bedrock, sdk, format_id):
    sent = payload(format_id)
    wanted = asked_by_the_lab(bedrock, sent)
    bedrock.engine.say(ANSWER)
    program = export.program(sent, sdk)
    if sdk == "JavaScript":
        # By itself the SDK talks HTTP/2 to Bedrock, which the local endpoint does not.
        head = 'import { NodeHttpHandler } from "@smithy/node-http-handler";\n'
        program = head + program.replace("Client();", "Client({ requestHandler: new NodeHttpHandler() });")
    ended = ran(runner, bedrock, LANGUAGES[sdk], program)
    assert ended.status is RunStatus.OK, ended.run.stderr or ended.compile
    assert ended.run.stdout.strip() == ANSWER
    assert compared(bedrock.engine.requests[-1]) == compared(wanted)


@pytest.mark.parametrize("format_id", FORMATS)
def test_the_export_for_langchain_asks_what_the_lab_asks(bedrock, format_id):
    sent = payload(format_id)
    wanted = asked_by_the_lab(bedrock, sent)
    bedrock.engine.say(ANSWER)
    environment = {"AWS_ENDPOINT_URL": bedrock.url, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    environment |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", export.program(sent, "langchain-aws")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ANSWER
    assert compared(bedrock.engine.requests[-1]) == compared(wanted)


@pytest.mark.parametrize("format_id", FORMATS)
def test_the_export_for_php_is_sound_php_and_holds_the_body_as_it_travels(runner, format_id):
    """Its SDK cannot be had from a package registry, so a client that shows what it is given stands in for it."""
    sent = payload(format_id)
    stub = """
namespace Aws\\BedrockRuntime;
class BedrockRuntimeClient {
    function invokeModel($with) { file_put_contents('sent.json', $with['body']); return ['body' => '{"content": [{"text": "x"}], "completion": "x", "outputs": [{"text": "x"}]}']; }
    function converse($with) { unset($with['modelId']); file_put_contents('sent.json', json_encode($with)); return ['output' => ['message' => ['content' => [['text' => 'x']]]]]; }
}
"""
    program = export.program(sent, "PHP")
    asked = RunRequest(
        uuid.uuid4().hex,
        "php",
        (File("main.php", program.encode()), File("vendor/autoload.php", f"<?php{stub}".encode())),
    )
    if not installed.installed(CACHE_DIR, "php"):
        pytest.skip("the runtime is not installed: codecoach runtimes install php")
    ended = result(runner, asked)
    assert (ended.run.stdout.strip(), ended.run.stderr) == ("x", "")
    (kept,) = (file for file in ended.files if file.name == "sent.json")
    assert json.loads(kept.content) == sent.json()["body"]


@pytest.mark.parametrize("sdk", export.SDKS)
def test_pictures_are_left_out_and_the_texts_stay(sdk):
    sheet = Sheet("What is this?", model_id="us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    with_picture = payloads.build(sheet, (Image("png", b"\x89PNG\r\n\x1a\n"),))
    assert export.has_pictures(with_picture)
    assert export.program(with_picture, sdk) == export.program(payloads.build(sheet), sdk)


def compared(request: ChatRequest) -> dict:
    """What is asked of the model, whichever operation asked it: some SDKs stream, some do not."""
    asked = asdict(request)
    # Rust's SDK has 32 bits for a number of the request.
    drawn = {name: round(asked[name] or 0, 6) for name in ("temperature", "top_p")}
    return drawn | {name: asked[name] for name in ("turns", "system", "max_tokens", "stop_sequences")}
