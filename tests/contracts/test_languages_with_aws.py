"""In every language with an AWS SDK a program as people write it reaches the simulated AWS, and nothing needs to be told."""

import uuid

import pytest

from codecoach.aws.simulated import SimulatedAws
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


@pytest.mark.parametrize("language", PROGRAMS)
def test_buckets_an_item_and_instances_are_found(runner, simulated, language):
    if not installed.installed(CACHE_DIR, language):
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {language}")
    address = simulated.endpoint(language)
    asked = RunRequest(
        uuid.uuid4().hex,
        language,
        (File(BY_ID[language].main, PROGRAMS[language].encode()),),
        limits=Limits(timeout_s=120, compile_timeout_s=300),
        aws=AwsAccess(AwsMode.SIMULATED, address.host, address.port),
    )
    ended = result(runner, asked)
    found = [set(line.split()) for line in ended.run.stdout.splitlines()]
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "")
    assert found == (FOUND[:2] if language in WITHOUT_EC2 else FOUND)
