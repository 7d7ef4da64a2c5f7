"""Every language does what every other does, on both runners: prints, reads, fails, is stopped and leaves files alike."""

import uuid

import pytest

from codecoach.languages import BY_ID
from codecoach.runner import installed, packages
from codecoach.runner.port import File, Limits, OutputChunk, RunRequest, RunResult, RunStatus
from codecoach.ui import pictures
from tests.contracts.language_programs import PROGRAMS, Programs
from tests.contracts.piston_fixture import piston_with_all
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

MB = 1024 * 1024


@pytest.fixture(scope="module", params=["sandbox", "piston"])
def runner(request):
    made = sandbox(*packages.AT_ONCE)
    if request.param == "sandbox":
        yield made
    else:
        with piston_with_all() as piston:
            yield piston
    made.close()


@pytest.fixture(params=PROGRAMS)
def language(request) -> str:
    if not installed.installed(CACHE_DIR, request.param):
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {request.param}")
    return request.param


@pytest.fixture
def programs(language) -> Programs:
    return PROGRAMS[language]


@pytest.fixture
def run(runner, language):
    def run(source: str, *more: File, **fields) -> RunResult:
        fields.setdefault("limits", Limits(timeout_s=120))
        files = (File(BY_ID[language].main, source.encode()), *more)
        return result(runner, RunRequest(uuid.uuid4().hex, language, files, **fields))

    return run


def test_every_language_with_a_package_has_its_programs():
    assert set(PROGRAMS) == set(installed.known())


def test_what_is_printed_is_seen_in_any_script(run, programs):
    ended = run(programs.hello)
    assert (ended.status, ended.run.stdout, ended.run.stderr) == (RunStatus.OK, "grüß dich, 世界 😀\n", "")
    assert ended.files == ()


def test_input_and_arguments_reach_the_program(run, programs):
    ended = run(programs.echo, stdin="eins 二\n".encode(), args=('it\'s "so"', "$HOME -x"))
    assert ended.run.stdout.replace("\n\n", "\n") == 'eins 二\nit\'s "so"\n$HOME -x\n'


def test_a_program_of_several_files_finds_them(run, programs):
    ended = run(programs.several, programs.more)
    assert (ended.run.stdout, ended.files) == ("ja\n", ())


def test_an_exit_code_is_told(run, programs):
    ended = run(programs.exits)
    assert (ended.status, ended.run.exit_code) == (RunStatus.FAILED, 7)


def test_a_failure_is_told_with_its_line(run, programs):
    ended = run(programs.fails)
    assert ended.status is RunStatus.FAILED
    assert all(part in ended.run.stderr for part in programs.failure), ended.run.stderr


@pytest.mark.parametrize("language", [name for name, programs in PROGRAMS.items() if programs.wrong], indirect=True)
def test_a_program_that_does_not_compile_is_told_with_its_line(run, programs):
    ended = run(programs.wrong)
    assert ended.status is RunStatus.COMPILE_FAILED
    assert ended.compile is not None
    assert all(part in ended.compile.stderr for part in programs.wrongness), ended.compile.stderr


def test_a_time_out_keeps_what_was_printed_before(run, programs):
    ended = run(programs.endless, limits=Limits(timeout_s=3))
    assert (ended.status, ended.run.stdout) == (RunStatus.TIMEOUT, "on\n")


def test_too_much_memory_is_named_as_the_cause(run, programs):
    assert run(programs.hoards, limits=Limits(timeout_s=120, memory_bytes=300 * MB)).status is RunStatus.MEMORY


def test_too_much_output_is_cut_and_named(run, programs):
    ended = run(programs.floods, limits=Limits(timeout_s=120, output_bytes=50_000))
    assert (ended.status, len(ended.run.stdout)) == (RunStatus.OUTPUT_LIMIT, 50_000)


def test_a_file_that_it_leaves_comes_back(run, programs):
    ended = run(programs.writes)
    assert (ended.status, ended.files) == (RunStatus.OK, (File("out.txt", "grüß".encode()),))


def test_a_plot_comes_back_as_a_picture_that_can_be_shown(run, programs):
    ended = run(programs.draws)
    assert ended.status is RunStatus.OK, ended
    (plot,) = ended.files
    assert pictures.is_picture(plot.name)
    assert pictures.showable(plot.content)


def test_a_file_that_went_in_is_read_and_bytes_of_any_kind_are_left_alone(run, programs):
    ended = run(programs.hello, File("data/raw.bin", bytes(range(256))), File("data/text.txt", "ü".encode()))
    assert (ended.status, ended.files) == (RunStatus.OK, ())


def test_stop_ends_it_and_keeps_what_was_printed(runner, language, programs):
    files = (File(BY_ID[language].main, programs.endless.encode()),)
    asked = RunRequest(uuid.uuid4().hex, language, files, limits=Limits(timeout_s=120))
    for event in runner.run(asked):
        if isinstance(event, OutputChunk):
            runner.cancel(asked.job_id)
    # The line's end may be a piece of its own.
    assert (event.status, event.run.stdout.strip()) == (RunStatus.CANCELLED, "on")
