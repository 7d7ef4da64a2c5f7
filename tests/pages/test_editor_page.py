"""The Editor page: programs are kept with every change, run, corrected, and the correction taken back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.coach.fix import explanation_thread
from codecoach.i18n import Notice
from codecoach.runner.credentials import AwsMode
from codecoach.runner.sandbox import Sandbox
from codecoach.services import DATABASE, Services
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.store.programs import Program, ResultFile, RunRecord, SourceFile
from codecoach.ui.workshop import _KEY
from tests.pages.conftest import ROOT, texts

BROKEN = 'names = ["a", "b"]\nprint(names[2])\n'
MENDED = 'names = ["a", "b"]\nprint(names[1])\n'
REPLY = f"The list has two names; the last is number 1.\n\n```python\n{MENDED}```\n"


@pytest.fixture
def sid(services: Services, user: str) -> str:
    return services.sign_ins.open(user)


@pytest.fixture
def program(services: Services, user: str) -> Program:
    return services.programs.create(user, "python", (SourceFile("main.py", BROKEN),), name="Names")


@pytest.fixture(autouse=True)
def _installed_runtimes(services: Services) -> None:
    """Runtimes are where this machine's user has them, not in the test's own folder."""
    services.__dict__["runner"] = Sandbox(Settings(data_dir=services.settings.data_dir))


@pytest.fixture
def _can_run(services: Services, _installed_runtimes: None) -> None:
    python = next(runtime for runtime in services.runner.runtimes() if runtime.language == "python")
    if not python.installed:
        pytest.skip(f"no Python runtime here: {python.problem}")


def editor(sid: str, program: Program | None = None, locale: str = "en-US") -> AppTest:
    """The Editor page, as signed in, with a program open or none."""
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.context = {"locale": locale}
    test.session_state["codecoach.sid"] = sid
    test.session_state["runs:aws"] = AwsMode.NONE
    if program:
        test.query_params["p"] = program.id
    return test.switch_page("pages/2_Editor.py").run()


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def typed(test: AppTest, program: Program, text: str, revision: int = 0, name: str = "main.py") -> AppTest:
    """What the editor in the browser reports once somebody has typed."""
    test.session_state[f"ace.{program.id}.{revision}.{name}"] = text
    return test.run()


def stored(services: Services, program: Program) -> Program:
    found = services.programs.get(program.owner, program.id)
    assert found
    return found


def test_without_a_program_it_offers_to_begin_one(services, sid, user):
    test = press(editor(sid), "Python")
    assert not test.exception
    (made,) = services.programs.list(user)
    assert made.language == "python"
    assert "main.py" in texts(test)


def test_what_is_typed_is_kept_at_once_and_found_by_another_session(services, sid, program):
    typed(editor(sid, program), program, "print('typed')")
    assert stored(services, program).files[0].text == "print('typed')"
    again = editor(sid, program)
    assert not again.exception
    assert "Names" in texts(again)


def test_what_was_typed_up_to_a_click_is_what_runs(services, sid, program):
    test = editor(sid, program)
    test.session_state[f"ace.{program.id}.0.main.py"] = "print('newest')"
    press(test, "Run")
    job = services.runs.find(program.id)
    assert job.request.files[0].content == b"print('newest')"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"truncated": True}, "The output went over the limit"),
        ({"files_left_out": 3}, "Not all files the program left are here: 3 or more"),
        ({"files": (ResultFile("big.bin", 9_000_000, None),)}, "was too large to be kept"),
        ({"reason": Notice("run.timeout", {"seconds": "30"})}, "stopped after 30 s"),
        ({"stderr": ""}, "The program printed nothing."),
    ],
    ids=lambda one: "-".join(one) if isinstance(one, dict) else "",
)
def test_what_a_run_lost_or_why_it_ended_is_said(services, sid, program, given, said):
    record = RunRecord(
        keys.time_ordered_id(), datetime.now(UTC), "python", "timeout", None, "KILL", "", "boom", False, 30
    )
    services.programs.add_run(program.id, record)
    assert said not in texts(editor(sid, program))
    services.programs.add_run(program.id, replace(record, id=keys.time_ordered_id(), **given))
    assert said in texts(editor(sid, program))


def test_another_users_program_is_not_shown(services, sid, admin):
    foreign = services.programs.create(admin, "python", (SourceFile("main.py", "secret = 1"),), name="Secret")
    test = editor(sid, foreign)
    assert "Secret" not in texts(test)
    assert "does not exist" in texts(test)


def test_another_language_renames_the_entry_point(services, sid, program):
    test = editor(sid, program)
    test.selectbox[0].set_value("bash").run()
    changed = stored(services, program)
    assert (changed.language, changed.files[0].name) == ("bash", "main.sh")


def test_files_are_added_chosen_and_removed(services, sid, program):
    test = editor(sid, program)
    name = next(field for field in test.text_input if field.label == "File name")
    name.set_value("lib/data.txt")
    test = press(test, "Add a file")
    assert [file.name for file in stored(services, program).files] == ["main.py", "lib/data.txt"]
    typed(test, program, "1 2 3", name="lib/data.txt")
    assert stored(services, program).files == (SourceFile("main.py", BROKEN), SourceFile("lib/data.txt", "1 2 3"))
    press(test, "Remove this file")
    assert [file.name for file in stored(services, program).files] == ["main.py"]


@pytest.mark.usefixtures("_can_run")
def test_files_of_the_users_are_handed_to_the_run_text_as_text_and_the_rest_to_the_byte(services, sid, program):
    reads = "print(open('table.csv').read().strip(), list(open('a_b.bin', 'rb').read()))"
    services.programs.save(replace(program, files=(SourceFile("main.py", reads),)))
    test = editor(sid, program)
    (uploader,) = test.get("file_uploader")
    uploader.set_value([("table.csv", "grüß;1\n".encode(), "text/csv"), ("a b.bin", b"\0\xff", "")])
    test = press(test, "Add to the program")
    assert stored(services, program).files[1:] == (SourceFile("table.csv", "grüß;1\n"),)
    assert any("b.bin (2 B)" in caption.value for caption in test.caption)
    press(test, "Run")
    job = services.runs.find(program.id)
    assert job.join(60)
    assert job.result.run.stdout == "grüß;1 [0, 255]\n", job.result


@pytest.mark.parametrize("name", ["../x.py", "/etc/passwd", "main.py", "a b", "", "x/../../y"])
def test_file_names_that_climb_or_repeat_are_refused(services, sid, program, name):
    test = editor(sid, program)
    next(field for field in test.text_input if field.label == "File name").set_value(name)
    test = press(test, "Add a file")
    assert test.warning
    assert len(stored(services, program).files) == 1


def test_arguments_are_taken_apart_as_a_shell_does(services, sid, program):
    test = editor(sid, program)
    field = next(field for field in test.text_input if field.label == "Arguments")
    field.set_value("--name 'two words' x").run()
    assert stored(services, program).args == ("--name", "two words", "x")
    test.text_area[0].set_value("line\n").run()
    assert stored(services, program).stdin == "line\n"


def test_a_change_made_in_another_window_is_shown(services, sid, program):
    test = editor(sid, program)
    other = stored(services, program)
    services.programs.save(Program(**{**vars(other), "files": (SourceFile("main.py", "theirs = 1"),)}))
    test.run()
    assert stored(services, program).files[0].text == "theirs = 1"
    assert test.session_state["editor:workshop"].file.text == "theirs = 1"
    assert f"ace.{program.id}.1.main.py" in test.session_state  # the editor is a new one, and shows it


def test_a_change_on_both_sides_is_kept_until_one_of_them_is_chosen(services, sid, program):
    test = editor(sid, program)
    other = stored(services, program)
    services.programs.save(Program(**{**vars(other), "files": (SourceFile("main.py", "theirs = 1"),)}))
    typed(test, program, "mine = 1")
    assert "changed in another window" in test.warning[0].value
    assert stored(services, program).files[0].text == "theirs = 1"
    press(test, "Keep mine")
    assert stored(services, program).files[0].text == "mine = 1"
    assert not test.warning


@pytest.mark.usefixtures("_can_run")
def test_what_is_typed_while_the_store_is_away_stays_on_the_screen_and_is_saved_later(
    services, sid, program, monkeypatch
):
    test = editor(sid, program)
    file = services.settings.data_dir / DATABASE
    away = file.with_name("away")
    file.rename(away)
    typed(test, program, "print(1)\n")
    assert "does not answer" in texts(test)
    assert "Run" in labels(test)
    assert "Begin" not in texts(test)
    away.rename(file)
    test.run()
    assert stored(services, program).files[0].text == "print(1)\n"
    assert "does not answer" not in texts(test)


def test_a_program_that_grows_too_large_says_so_and_can_be_made_smaller(services, sid, user):
    files = (SourceFile("main.py", "x"), SourceFile("a.txt", "a" * 190_000), SourceFile("b.txt", "b" * 190_000))
    program = services.programs.create(user, "python", files)
    test = editor(sid, program)
    typed(test, program, "#" * 190_000)
    assert "too large" in texts(test)
    assert stored(services, program).files == files
    test.session_state[_KEY].chosen = "b.txt"
    test.run()
    press(test, "Remove this file")
    assert "too large" not in texts(test)
    assert [len(file.text) for file in stored(services, program).files] == [190_000, 190_000]


def test_a_failing_program_is_run_fixed_applied_run_again_and_undone(services, sid, program):
    services.model.replies.append(REPLY)
    test = press(editor(sid, program), "Run")
    assert "Failed" in texts(test)
    assert "IndexError" in test.code[-1].value
    test = press(test, "Fix")
    assert "The list has two names" in texts(test)
    assert [button.label for button in test.button if button.proto.type == "primary"] == ["Run", "Apply"]
    assert stored(services, program).files[0].text == BROKEN
    test = press(test, "Apply")
    assert stored(services, program).files[0].text == MENDED
    assert [button.label for button in test.button if button.proto.type == "primary"] == ["Run"]
    test = press(test, "Run")
    assert "Finished" in texts(test)
    assert test.code[0].value == "b"
    assert "Fix" not in labels(test)
    press(test, "Undo")
    assert stored(services, program).files[0].text == BROKEN


@pytest.mark.usefixtures("_can_run")
def test_earlier_runs_can_be_looked_at_and_survive_the_session(services, sid, program):
    test = press(editor(sid, program), "Run")
    typed(test, program, "print('fine')")
    press(test, "Run")
    again = editor(sid, program)
    history = next(box for box in again.selectbox if box.label == "Runs")
    assert ["Finished" in history.options[0], "Failed" in history.options[1]] == [True, True]
    history.set_value(1).run()
    assert "IndexError" in texts(again) + "".join(code.value for code in again.code)


@pytest.mark.usefixtures("_can_run")
def test_a_correction_can_be_thrown_away(services, sid, program):
    services.model.replies.append(REPLY)
    test = press(press(editor(sid, program), "Run"), "Fix")
    test = press(test, "Discard")
    assert "The list has two names" not in texts(test)
    assert stored(services, program).files[0].text == BROKEN
    assert services.conversations.messages(program.id).messages == ()


def test_a_block_in_an_explanation_is_no_correction(services, sid, program):
    services.model.replies.append(REPLY)
    test = press(editor(sid, program), "Explain")
    assert "The list has two names" in texts(test)
    assert "Apply" not in labels(test)
    assert services.conversations.messages(explanation_thread(program.id)).messages


def test_it_speaks_chinese(services, sid, program):
    assert "运行" in labels(editor(sid, program, locale="zh-CN"))


def test_a_file_too_large_to_edit_is_not_sent_to_the_browser(services, sid, user):
    large = services.programs.create(user, "python", (SourceFile("main.py", "#" * 300_000),))
    assert "too large for the editor" in texts(editor(sid, large))
