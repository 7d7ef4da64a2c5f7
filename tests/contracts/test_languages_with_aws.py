"""In every language with an AWS SDK a program as people write it reaches the simulated AWS, and nothing needs to be told."""

import uuid

import pytest

from codecoach.aws.simulated import SimulatedAws
from codecoach.chat.fences import segments
from codecoach.coach import idioms
from codecoach.languages import BY_ID
from codecoach.runner import installed
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, RunRequest, RunStatus
from tests.contracts.aws_programs import PROGRAMS
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

WITHOUT_EC2 = ("rust",)
"""Languages whose runtime has no client for EC2; see the package's Cargo.toml."""

FOUND = [{"demo-logs", "demo-reports", "demo-uploads"}, {"open", "grüß"}, {"batch-1", "web-1", "web-2"}]


@pytest.fixture(scope="module")
def runner():
    made = sandbox()
    yield made
    made.close()


@pytest.fixture(scope="module")
def simulated():
    made = SimulatedAws()
    yield made
    made.close()


def ran(runner, simulated, language, program):
    """How a program ended that reaches the simulated AWS."""
    if not installed.installed(CACHE_DIR, language):
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {language}")
    address = simulated.endpoint(language)
    asked = RunRequest(
        uuid.uuid4().hex,
        language,
        (File(BY_ID[language].main, program.encode()),),
        limits=Limits(timeout_s=120, compile_timeout_s=300),
        aws=AwsAccess(AwsMode.SIMULATED, address.host, address.port),
    )
    return result(runner, asked)


@pytest.mark.parametrize("language", PROGRAMS)
def test_buckets_an_item_and_instances_are_found(runner, simulated, language):
    ended = ran(runner, simulated, language, PROGRAMS[language])
    found = [set(line.split()) for line in ended.run.stdout.splitlines()]
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "")
    assert found == (FOUND[:2] if language in WITHOUT_EC2 else FOUND)


@pytest.mark.parametrize("language", [language for language in BY_ID if idioms.idiom(language)])
def test_the_program_that_a_model_is_shown_runs(runner, simulated, language):
    [program] = [segment for segment in segments(idioms.idiom(language)) if segment.kind == "code"]
    ended = ran(runner, simulated, language, program.text)
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "")
    assert set(ended.run.stdout.split()) == FOUND[0]
