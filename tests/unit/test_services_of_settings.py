"""The parts are built from the settings, each when it is first asked for."""

import pytest

from codecoach.runner.piston import Piston
from codecoach.runner.sandbox import Sandbox
from codecoach.services import build
from codecoach.settings import Backend, RunnerKind, Settings


@pytest.fixture
def aws(tmp_path):
    return Settings(backend=Backend.AWS, data_dir=tmp_path, region="eu-west-1")


def test_in_aws_the_default_model_is_a_current_pick_of_that_part_of_the_world_and_nobody_is_asked(aws):
    # Asking would fail: tests reach nothing but this machine.
    assert build(aws).default_model_id == "eu.anthropic.claude-haiku-5-5"


def test_the_model_of_the_settings_is_the_default(aws):
    assert (
        build(aws.model_copy(update={"model": "amazon.nova-2-lite-v1:0"})).default_model_id == "amazon.nova-2-lite-v1:0"
    )


def test_the_limits_of_a_run_are_those_of_the_settings(tmp_path):
    limits = build(Settings(data_dir=tmp_path, run_timeout_s=7, run_memory_mb=256, run_output_kb=10)).limits
    assert (limits.timeout_s, limits.memory_bytes, limits.output_bytes) == (7, 256 * 1024 * 1024, 10 * 1024)


def test_nothing_is_started_or_stored_before_it_is_asked_for(tmp_path):
    build(Settings(data_dir=tmp_path / "data")).close()
    assert not (tmp_path / "data").exists()


def test_programs_run_where_the_settings_say(tmp_path):
    chosen = Settings(data_dir=tmp_path, runner=RunnerKind.PISTON, gateway="127.0.0.1:0")
    for settings, runner in ((chosen, Piston), (Settings(data_dir=tmp_path), Sandbox)):
        services = build(settings)
        assert isinstance(services.runner.measured, runner)
        services.close()
