"""In every language with an AWS SDK a program as people write it reaches the simulated AWS, on both runners, untold."""

import uuid

import pytest

from codecoach.aws.gateway import Gateway
from codecoach.aws.simulated import SimulatedAws
from codecoach.chat.fences import segments
from codecoach.coach import idioms
from codecoach.languages import BY_ID
from codecoach.runner import installed
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, RunRequest, RunStatus
from tests.contracts.aws_programs import PROGRAMS
from tests.contracts.piston_fixture import REAL, piston_with_all
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

FOUND = [{"demo-logs", "demo-reports", "demo-uploads"}, {"open", "grüß"}, {"batch-1", "web-1", "web-2"}]
EC2_IN_RUST = "    let mut pages"


@pytest.fixture(scope="module", params=["sandbox", "piston"])
def runner(request):
    if request.param == "sandbox":
        made = sandbox()
        yield made
        made.close()
        return
    if REAL:
        pytest.skip("the gateway listens on loopback alone")
    gateway = Gateway("127.0.0.1:0")
    with piston_with_all(gateway) as piston:
        yield piston
    gateway.close()


@pytest.fixture(scope="module")
def simulated():
    made = SimulatedAws()
    yield made
    made.close()


def ran(runner, simulated, language, program):
    """How a program ended that reaches the simulated AWS."""
    runtime = installed.installed(CACHE_DIR, language)
    if not runtime:
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {language}")
    if runtime.sdk_missing:
        pytest.skip(f"the runtime of {language} has no SDK: {runtime.sdk_missing}")
    address = simulated.endpoint(language)
    asked = RunRequest(
        uuid.uuid4().hex,
        language,
        (File(BY_ID[language].main, program.encode()),),
        limits=Limits(timeout_s=120, compile_timeout_s=300),
        aws=AwsAccess(AwsMode.SIMULATED, address.host, address.port),
    )
    return result(runner, asked)


def test_every_language_with_an_sdk_has_its_program():
    assert set(PROGRAMS) == {language.id for language in BY_ID.values() if language.sdk}


@pytest.mark.parametrize("language", PROGRAMS)
def test_buckets_an_item_and_instances_are_found(runner, simulated, language):
    program, found = PROGRAMS[language], FOUND
    if language == "rust" and installed.built(CACHE_DIR, language) != installed.known()[language]:
        # The smaller package has no client for EC2; see its Cargo.toml.
        head, _, tail = program.partition(EC2_IN_RUST)
        program, found = head + tail[tail.index("    Ok(())") :], FOUND[:2]
    ended = ran(runner, simulated, language, program)
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, ""), ended.compile
    assert [set(line.split()) for line in ended.run.stdout.splitlines()] == found


@pytest.mark.parametrize("language", [language for language in BY_ID if idioms.idiom(language)])
def test_the_program_that_a_model_is_shown_runs(runner, simulated, language):
    [program] = [segment for segment in segments(idioms.idiom(language)) if segment.kind == "code"]
    ended = ran(runner, simulated, language, program.text)
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "")
    assert set(ended.run.stdout.split()) == FOUND[0]
