"""Every answer that was recorded of a real Piston is understood."""

import uuid

import pytest

from codecoach import languages
from codecoach.errors import CodeCoachError, InputRefused, RunnerUnavailable
from codecoach.i18n import Language, tell
from codecoach.runner.piston import Piston
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from codecoach.settings import Settings
from tests.contracts.piston_playback import capture, names, over_http, over_websocket

OK, FAILED, SIGNAL, TIMEOUT, MEMORY = (
    RunStatus.OK,
    RunStatus.FAILED,
    RunStatus.SIGNAL,
    RunStatus.TIMEOUT,
    RunStatus.MEMORY,
)
REFUSED, OUTPUT = RunStatus.COMPILE_FAILED, RunStatus.OUTPUT_LIMIT

# What each recorded answer is to us; those that are not here end well.
HTTP = {
    "compile_error_go": REFUSED,
    "compile_error_rust": REFUSED,
    "compile_error_rust_short": REFUSED,
    "compile_error_typescript": REFUSED,
    "files_multi_rust": REFUSED,
    "files_multi_typescript": REFUSED,
    "exit_code_3": FAILED,
    "file_size_limit": FAILED,
    "files_absolute": FAILED,
    "import_missing_python": FAILED,
    "runtime_error_bash": FAILED,
    "runtime_error_go": FAILED,
    "runtime_error_javascript": FAILED,
    "runtime_error_php": FAILED,
    "runtime_error_python": FAILED,
    "runtime_error_rust": FAILED,
    "stdin_absent": FAILED,
    "syntax_error_python": FAILED,
    "memory_limit_1MB": MEMORY,
    "memory_limit_50MB": MEMORY,
    "memory_limit_50MB_node": MEMORY,
    "signal_kill_parent": SIGNAL,
    "signal_segv_python": SIGNAL,
    "signal_segv_shell": SIGNAL,
    "ok_go_1_25_default_times_out": TIMEOUT,
    "timeout_compile": TIMEOUT,
    "timeout_cpu_500": TIMEOUT,
    "timeout_cpu_default": TIMEOUT,
    "timeout_wall_500": TIMEOUT,
    "timeout_wall_default": TIMEOUT,
    "timeout_wall_unflushed": TIMEOUT,
    "output_1025": OUTPUT,
    "output_limit_many_lines": OUTPUT,
    "output_limit_one_chunk": OUTPUT,
    "output_limit_stderr": OUTPUT,
    "output_limit_then_tail": OUTPUT,
    "output_runaway": OUTPUT,
    "bad_body_over_100kB": InputRefused,
}
WEBSOCKET = {
    "ws_compile_error_rust": REFUSED,
    "ws_runtime_error": FAILED,
    # Without the supervisor's word, and long before the time limit, SIGKILL is but a signal.
    "ws_timeout": SIGNAL,
    "ws_runaway_output": SIGNAL,
    "ws_stdin_field_ignored": SIGNAL,
    **dict.fromkeys(
        [
            "ws_bad_files_null",
            "ws_bad_json",
            "ws_bad_language",
            "ws_data_before_init",
            "ws_double_init",
            "ws_escape",
            "ws_no_init",
            "ws_signal_invalid",
            "ws_unknown_type",
            "ws_write_stdout",
            "x_ws_stdin_after_exit_kills_server",
            "x_ws_stdin_number",
            "x_ws_stdin_spam",
        ],
        RunnerUnavailable,
    ),
}


def expected(name: str, table: dict) -> object:
    wrong = table is not WEBSOCKET and capture(name)["status"] != 200
    return table.get(name, RunnerUnavailable if wrong else OK)


def ended(url: str, recorded: dict) -> RunResult | CodeCoachError:
    asked = recorded.get("request")
    asked = asked if isinstance(asked, dict) else {}
    language = asked.get("language") if asked.get("language") in languages.BY_ID else "python"
    limits = Limits(
        memory_bytes=asked.get("run_memory_limit", 10**9) if asked.get("run_memory_limit") != "1" else 10**9
    )
    runner = Piston(Settings(piston_urls=url))
    try:
        *_, last = runner.run(RunRequest(uuid.uuid4().hex, language, (File("main", b"x"),), limits=limits))
    except CodeCoachError as error:
        return error
    finally:
        runner.close()
    return last


def check(last: RunResult | CodeCoachError, want: object) -> None:
    if isinstance(want, RunStatus):
        assert isinstance(last, RunResult), last
        assert last.status is want
        assert (last.reason is None) == (want is OK)
    else:
        assert isinstance(last, want)
    for language in Language:
        if isinstance(last, CodeCoachError):
            assert tell(language, last.what)
            assert tell(language, last.hint)
        elif last.reason:
            assert tell(language, last.reason)


@pytest.mark.parametrize("name", names(websocket=False))
def test_every_answer_over_http_is_understood(name):
    with over_http(name) as played:
        check(ended(played.url, capture(name)), expected(name, HTTP))


@pytest.mark.parametrize("name", names(websocket=True))
def test_every_transcript_of_a_websocket_is_understood(name):
    with over_websocket(name) as played:
        check(ended(played.url, capture(name)), expected(name, WEBSOCKET))
    assert len(played.bodies) == 1, "a program must not run twice"


@pytest.mark.parametrize("name", ["root", "not_found"])
def test_a_server_that_lists_no_runtimes_is_no_piston(name):
    with over_http("ok_python", runtimes=name) as played:
        assert isinstance(ended(played.url, {}), RunnerUnavailable)
        runner = Piston(Settings(piston_urls=played.url))
        assert all(runtime.problem and not runtime.installed for runtime in runner.runtimes())
        runner.close()
    assert played.bodies == []


def test_runtimes_are_found_by_language_and_alias_the_newest_first():
    with over_http("ok_python") as played:
        runner = Piston(Settings(piston_urls=played.url))
        found = {runtime.language: runtime for runtime in runner.runtimes()}
        runner.close()
    assert list(found) == [language.id for language in languages.LANGUAGES]
    assert (found["python"].version, found["go"].version, found["javascript"].version) == (
        "3.12.1",
        "1.25.5",
        "20.11.1",
    )
    assert found["python"].sdk == "", "a package that is not ours has no AWS SDK"
    assert not found["lua"].installed
    assert "Lua" in tell(Language.EN, found["lua"].problem)


def test_what_was_printed_before_a_limit_is_kept_and_pistons_own_words_are_not():
    with over_http("output_limit_then_tail") as played:
        last = ended(played.url, {})
    assert last.run.stdout.startswith("aaaa")
    assert (last.run.stderr, last.run.truncated) == ("", True)


def test_a_refused_compilation_has_its_messages_once_and_no_run():
    with over_http("compile_error_rust") as played:
        last = ended(played.url, capture("compile_error_rust"))
    assert "mismatched types" in last.compile.stderr
    assert (last.run.stderr, last.run.exit_code) == ("", None)


def test_figures_are_seconds_and_bytes():
    with over_http("ok_python") as played:
        last = ended(played.url, {})
    assert (last.run.wall_s, last.run.cpu_s, last.run.peak_memory_bytes) == (0.215, 0.029, 14476000)


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [("bad_timeout_too_big", "run_timeout", 3000), ("bad_compile_timeout_too_big", "compile_timeout", 10000)],
)
def test_a_limit_that_the_server_names_is_kept_from_then_on(name, field, most):
    with over_http(name, "ok_python") as played:
        runner = Piston(Settings(piston_urls=played.url))
        for _ in range(2):
            *_, last = runner.run(RunRequest(uuid.uuid4().hex, "python", (File("main.py", b"x"),), limits=Limits(60)))
            assert last.status is OK
        runner.close()
    assert played.bodies[0][field] > most
    assert [body[field] for body in played.bodies[1:]] == [most, most]


@pytest.mark.parametrize("limits", [Limits(0.0001, 0.0001, 1), Limits(1e-9, 0, 0)])
def test_no_limit_is_ever_sent_that_means_none(limits):
    with over_http("ok_python") as played:
        runner = Piston(Settings(piston_urls=played.url))
        list(runner.run(RunRequest("j", "python", (File("main.py", b"x"),), limits=limits)))
        runner.close()
    (body,) = played.bodies
    assert min(body["run_timeout"], body["compile_timeout"]) >= 100
    assert body["run_memory_limit"] >= 1_000_000
    assert all(isinstance(body[name], int) for name in ("run_timeout", "compile_timeout", "run_memory_limit"))


def test_a_request_that_is_too_large_for_http_is_refused_before_it_is_sent():
    with over_http("ok_python") as played:
        runner = Piston(Settings(piston_urls=played.url))
        with pytest.raises(InputRefused, match="100"):
            list(runner.run(RunRequest("j", "python", (File("main.py", b"x" * 103_000),))))
        runner.close()
    assert played.bodies == []
