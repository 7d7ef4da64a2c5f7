"""The Piston adapter keeps the runner's contract over a stand-in that really runs our packages, or over a real Piston.

PISTON_TEST_URL=http://host:2000 runs the contract against that Piston, which must have CodeCoach's package for Python.
"""

import os
import shutil

import pytest

from codecoach.runner import packages
from codecoach.runner.piston import Piston
from codecoach.settings import Settings
from tests.contracts.piston_standin import Package, standing_in
from tests.contracts.runner_contract import RunnerContract
from tests.contracts.sandbox_fixture import CACHE_DIR

REAL = os.environ.get("PISTON_TEST_URL", "")
pytestmark = pytest.mark.skipif(
    not REAL and not (shutil.which("bwrap") and shutil.which("perl")), reason="the stand-in needs bubblewrap and Perl"
)


def piston(*urls: str, jobs: int = 4) -> Piston:
    return Piston(Settings(piston_urls=",".join(urls), piston_jobs=jobs))


@pytest.fixture(scope="module")
def python() -> Package:
    packages.install("python", CACHE_DIR)
    return Package.of("python", CACHE_DIR)


@pytest.fixture(scope="module")
def standin(python):
    with standing_in(python) as running:
        yield running
        assert running.frames_after_init == 0


@pytest.fixture(scope="module")
def shared(request):
    made = piston(REAL or request.getfixturevalue("standin").url)
    yield made
    made.close()


class TestPiston(RunnerContract):
    @pytest.fixture
    def runner(self, shared):
        return shared
