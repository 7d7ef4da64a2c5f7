"""The Chat page: conversations are begun, listed and kept apart, and a reply can be had again, edited, run and stopped."""

from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.errors import ModelAccessDenied
from codecoach.runner.credentials import AwsMode
from codecoach.runner.sandbox import Sandbox
from codecoach.services import Services
from codecoach.settings import Settings
from codecoach.store.programs import ResultFile, RunRecord
from codecoach.ui import run_panel, session
from tests.pages.conftest import ROOT, lose_store, texts

CODE = "Here it is:\n\n```python\nprint(6 * 7)\n```\n\nThat prints the answer."


@pytest.fixture
def sid(services: Services, user: str) -> str:
    return services.sign_ins.open(user)


def chat(sid: str, conversation_id: str = "", locale: str = "en-US") -> AppTest:
    """The Chat page, as signed in, with a conversation open or a new one."""
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    test.context = {"locale": locale}
    test.session_state["codecoach.sid"] = sid
    if conversation_id:
        test.query_params["c"] = conversation_id
    return test.switch_page("pages/1_Chat.py").run()


def ask(test: AppTest, text: str) -> AppTest:
    return test.chat_input[0].set_value(text).run()


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def conversation_with(services: Services, user: str, *messages: Message) -> str:
    made = services.conversations.create(user, "code_coach", title="Earlier")
    for message in messages:
        services.conversations.save(made.id, message)
    return made.id


def said(services: Services, text: str, **changes: object) -> Message:
    return Message(services.conversations.new_message_id(), Role.USER, text, datetime.now(UTC), **changes)


def replied(services: Services, text: str, **changes: object) -> Message:
    return Message(services.conversations.new_message_id(), Role.ASSISTANT, text, datetime.now(UTC), **changes)


def test_a_question_begins_a_conversation_and_its_reply_is_drawn_as_text_and_code(services, sid, user):
    services.model.replies.append(CODE)
    test = ask(chat(sid), "What is six times seven?")
    assert not test.exception
    assert test.code[0].value == "print(6 * 7)"
    assert "That prints the answer." in texts(test)
    assert {"Run", "Open in Editor"} <= set(labels(test))
    assert [listed.title for listed in services.conversations.list(user).conversations] == ["What is six times seven?"]


def test_a_click_on_an_example_asks_it(services, sid):
    test = chat(sid)
    example = next(label for label in labels(test) if "S3 buckets" in label)
    test = press(test, example)
    assert "Hello." in texts(test)
    assert test.chat_message[0].text[0].value == example


def test_examples_are_in_the_language_of_the_browser(services, sid):
    assert any("存储桶" in label for label in labels(chat(sid, locale="zh-CN")))


def test_the_assistant_chosen_for_a_new_conversation_answers_in_it(services, sid, user):
    test = chat(sid)
    test.segmented_control[0].set_value("aws_cli").run()
    ask(test, "Which instances do I have?")
    assert services.conversations.list(user).conversations[0].assistant_id == "aws_cli"


def test_another_session_finds_the_conversation_by_its_address(services, sid, user):
    ask(chat(sid), "Remember this")
    made = services.conversations.list(user).conversations[0]
    again = chat(sid, made.id)
    assert [message.name for message in again.chat_message] == ["user", "assistant"]


def test_another_users_conversation_is_not_shown(services, sid, admin):
    foreign = conversation_with(services, admin, said(services, "a secret"))
    test = chat(sid, foreign)
    assert "a secret" not in texts(test)
    assert "does not exist" in texts(test)


def test_a_failed_reply_says_why_and_is_tried_again_on_a_click(services, sid):
    services.model.replies += [ModelAccessDenied(model="acme.model"), "Now it works."]
    test = ask(chat(sid), "Hello?")
    assert "may not call the model" in test.error[0].value
    assert "Failed" in texts(test)
    test = press(test, "Try again")
    assert not test.error
    assert "Now it works." in texts(test)


def test_an_error_is_not_kept_as_the_assistants_words(services, sid, user):
    services.model.replies.append(ModelAccessDenied(model="acme.model"))
    ask(chat(sid), "Hello?")
    made = services.conversations.list(user).conversations[0]
    assert services.conversations.messages(made.id).messages[-1].text == ""


@pytest.mark.parametrize(
    ("state", "words"), [(MessageState.STOPPED, "Stopped"), (MessageState.INTERRUPTED, "Interrupted")]
)
def test_an_unfinished_reply_is_marked_and_goes_on_where_it_ended(services, sid, user, state, words):
    made = conversation_with(services, user, said(services, "Count"), replied(services, "One, two", state=state))
    services.model.replies.append(", three.")
    test = chat(sid, made)
    assert words in texts(test)
    test = press(test, "Continue")
    assert "One, two, three." in texts(test)
    assert words not in texts(test)


def test_a_reply_whose_writer_died_is_interrupted_not_awaited(services, sid, user):
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    made = conversation_with(services, user, said(services, "Count"))
    services.conversations._clock = lambda: long_ago
    services.conversations.save(made, replied(services, "One, two", state=MessageState.STREAMING))
    services.conversations._clock = lambda: datetime.now(UTC)
    test = chat(sid, made)
    assert "Interrupted" in texts(test)
    assert "One, two" in texts(test)


def test_a_reply_is_written_again_on_a_click(services, sid):
    services.model.replies += ["First.", "Second."]
    test = press(ask(chat(sid), "Hello?"), "Write it again")
    assert "Second." in texts(test)
    assert "First." not in texts(test)


def test_an_edited_message_replaces_all_that_came_after_it(services, sid):
    services.model.replies += ["To one.", "To two.", "To three."]
    test = ask(ask(chat(sid), "One"), "Two")
    test = test.button(key=next(b.key for b in test.button if b.key and b.key.startswith("again."))).click().run()
    test.text_area[0].set_value("Three")
    test = press(test, "Send again")
    said = [message.text[0].value for message in test.chat_message if message.name == "user"]
    assert said == ["Three"]
    assert "To three." in texts(test)


def test_what_cannot_be_sent_comes_back_into_the_input(services, sid, user):
    test = ask(chat(sid), "x" * 2_000_000)
    assert "too long" in test.error[0].value
    assert test.chat_input[0].proto.value == "x" * 2_000_000
    assert services.conversations.list(user).conversations == ()


def test_what_is_said_in_a_conversation_deleted_elsewhere_comes_back_and_that_is_told_once(services, sid, user):
    made = conversation_with(services, user, said(services, "Hi"), replied(services, "Hello"))
    test = chat(sid, made)
    services.conversations.delete(user, made)
    test = ask(test, "And now?")
    assert "no longer there" in test.error[0].value
    assert len(test.error) + len(test.info) == 1
    assert test.chat_input[0].proto.value == "And now?"
    ask(test, "And now?")
    assert not test.error
    assert "And now?" in texts(test)
    (begun,) = services.conversations.list(user).conversations
    assert begun.id != made


def test_earlier_messages_come_twenty_at_a_time(services, sid, user):
    messages = [said(services, f"number {n:03}") for n in range(50)]
    test = chat(sid, conversation_with(services, user, *messages))
    assert len(test.chat_message) == 20
    assert "number 030" in texts(test)
    test = press(test, "Show earlier messages")
    assert len(test.chat_message) == 40
    test = press(test, "Show earlier messages")
    assert len(test.chat_message) == 50
    assert "Show earlier messages" not in labels(test)


def test_conversations_are_listed_newest_first_found_by_a_word_and_begun_anew(services, sid):
    test = ask(chat(sid), "About buckets")
    test = ask(press(test, "New conversation"), "About queues")
    listed = [label for label in labels(test) if label.startswith("About")]
    assert listed == ["About queues", "About buckets"]
    test.text_input(key="chat:search").set_value("bucket").run()
    assert [label for label in labels(test) if label.startswith("About")] == ["About buckets"]


def test_prices_and_arns_read_as_they_were_written(services, sid):
    services.model.replies.append("It costs $5 or $6 for arn:aws:s3:::bucket ![x](http://example.com/x)")
    shown = ask(chat(sid), "How much?").chat_message[1].markdown[0].value
    assert "\\$5 or \\$6" in shown
    assert "\\![x]" in shown


@pytest.fixture
def _can_run(services: Services) -> None:
    """The runner of this machine, with the runtimes installed for its user."""
    services.__dict__["runner"] = Sandbox(Settings(data_dir=services.settings.data_dir))
    python = next(runtime for runtime in services.runner.runtimes() if runtime.language == "python")
    if not python.installed:
        pytest.skip(f"no Python runtime here: {python.problem}")


@pytest.mark.usefixtures("_can_run")
def test_a_block_runs_where_it_stands_and_its_output_is_there_in_another_session(services, sid, user):
    services.model.replies.append(CODE)
    test = ask(chat(sid), "Six times seven?")
    test.session_state["runs:aws"] = AwsMode.NONE
    test = press(test, "Run")
    assert "Finished" in texts(test)
    assert test.code[1].value == "42"
    again = chat(sid, services.conversations.list(user).conversations[0].id)
    assert again.code[1].value == "42"


@pytest.mark.usefixtures("_can_run")
def test_a_block_that_fails_is_fixed_in_the_editor(services, sid, user):
    services.model.replies += ["```python\nprint(1 / 0)\n```", "Do not divide.\n\n```python\nprint(1)\n```"]
    test = ask(chat(sid), "Divide")
    test.session_state["runs:aws"] = AwsMode.NONE
    test = press(test, "Run")
    assert "ZeroDivisionError" in test.code[1].value
    press(test, "Fix")
    (program,) = services.programs.list(user)
    (failed,) = services.programs.runs(program.id)
    editor = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=30)
    editor.session_state["codecoach.sid"] = sid
    editor.query_params["p"] = program.id
    editor.switch_page("pages/2_Editor.py").run()
    assert "Do not divide." in texts(editor)
    assert "Apply" in labels(editor)
    assert "ZeroDivisionError" in editor.code[0].value
    assert "The code has changed since this run." not in texts(editor)
    assert failed.status == "failed"


@pytest.mark.parametrize("status", ["cancelled", "timeout", "memory", "output_limit", "process_limit"])
def test_a_signal_or_exit_code_that_we_caused_is_not_told_as_the_programs(services, sid, user, status):
    made = conversation_with(services, user, said(services, "Loop"), replied(services, CODE))
    message = services.conversations.messages(made).messages[-1]
    record = RunRecord("1", datetime.now(UTC), "python", status, 137, "SIGKILL", "one\n", "", False, 0.1)
    services.programs.add_run(f"{made}.{message.id}.0", record)
    shown = texts(chat(sid, made))
    assert "0.10\N{NO-BREAK SPACE}s" in shown
    assert not [word for word in ("SIGKILL", "137") if word in shown]


def test_a_dead_store_is_said_once_and_nothing_is_offered_that_needs_it(services, sid, user):
    made = conversation_with(services, user, said(services, "Hi"), replied(services, "Hello"))
    test = chat(sid, made)
    lose_store(services)
    test.run()
    assert not test.exception
    assert len(test.error) == 1
    assert "a program that is open in the Editor can be changed and run" in test.error[0].value
    assert test.chat_input[0].disabled
    assert "What shall we build?" not in texts(test)
    session.install(services)
    test = press(test, "Look again")
    assert not test.error
    assert "Hello" in texts(test)


def test_a_dead_store_is_told_on_the_page_and_not_in_a_sidebar_that_may_be_put_away(services, sid):
    test = chat(sid)
    lose_store(services)
    test.run()
    assert not test.exception
    assert len(test.error) == len(test.main.error) == 1
    assert not test.sidebar.error


def test_a_session_holds_no_more_of_ended_runs_than_its_bound():
    def record(chars: int) -> RunRecord:
        return RunRecord("1", datetime.now(UTC), "python", "ok", 0, None, "x" * chars, "", False, 0.1)

    seen = {"a": record(run_panel.SEEN_CHARS // 2), "b": record(0), "c": record(run_panel.SEEN_CHARS // 2)}
    run_panel.forget_oldest(seen)
    assert list(seen) == ["b", "c"]
    seen["d"] = record(2 * run_panel.SEEN_CHARS)
    run_panel.forget_oldest(seen)
    assert list(seen) == ["d"]


def test_a_file_that_a_run_left_can_be_had_and_a_bad_picture_is_not_shown(services, sid, user):
    made = conversation_with(services, user, said(services, "Plot"), replied(services, CODE))
    message = services.conversations.messages(made).messages[-1]
    files = (ResultFile("plot.png", 9, b"not a png"), ResultFile("table.csv", 3, b"a,b"), ResultFile("big.bin", 10**7))
    printed = "\x1b[32mdone\x1b[0m\n"
    record = RunRecord(
        "1", datetime.now(UTC), "python", "ok", 0, None, printed, "", False, 0.1, files=files, files_left_out=7
    )
    services.programs.add_run(f"{made}.{message.id}.0", record)
    test = chat(sid, made)
    assert test.code[1].value == "done"
    assert "too large or damaged" in texts(test)
    assert "big.bin" in texts(test)
    assert "7 or more" in texts(test)
    assert [button.label for button in test.get("download_button")] == ["plot.png (9 B)", "table.csv (3 B)"]


def test_a_block_of_a_language_that_runs_nowhere_has_no_buttons(services, sid):
    services.model.replies.append("```yaml\na: 1\n```\n\n```text\nplain\n```")
    assert "Run" not in labels(ask(chat(sid), "YAML please"))


def test_a_reply_without_any_text_is_said_to_be_empty(services, sid, user):
    made = conversation_with(services, user, said(services, "Hi"), replied(services, ""))
    assert "The model answered nothing." in texts(chat(sid, made))


def test_a_program_is_named_after_its_conversation_where_no_comment_names_it(services, sid, user):
    made = conversation_with(services, user, said(services, "Hi"), replied(services, CODE))
    press(chat(sid, made), "Open in Editor")
    assert [program.name for program in services.programs.list(user)] == ["Earlier"]
