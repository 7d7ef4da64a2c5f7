"""Two windows change the same thing: the second is told, nothing is replaced unseen, and neither text is lost."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.lab.cases import Cases, Check
from codecoach.lab.sheet import Sheet
from codecoach.services import Services
from codecoach.store.case_sets import CaseSet
from codecoach.store.programs import SourceFile
from codecoach.store.templates import Draft, Template
from tests.bedrock import CLAUDE_3
from tests.pages.conftest import ROOT, texts

ASK = Sheet("Say {word}.", "Be brief.", model_id=CLAUDE_3, values={"word": "cloud"})


@pytest.fixture
def sid(services: Services, user: str) -> str:
    return services.sign_ins.open(user)


def window(sid: str, page: str, locale: str = "en-US", **address: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.context = {"locale": locale}
    test.session_state["codecoach.sid"] = sid
    for name, value in address.items():
        test.query_params[name] = value
    return test.switch_page(f"pages/{page}.py").run()


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def warnings(test: AppTest) -> str:
    return "\n".join(warning.value for warning in test.warning)


# --- conversations ---


@pytest.fixture
def conversation(services, user) -> str:
    made = services.conversations.create(user, "plain", title="Buckets")
    last = ""
    for role, text in ((Role.USER, "first question"), (Role.ASSISTANT, "an answer"), (Role.USER, "second question")):
        last = services.conversations.new_message_id(last)
        services.conversations.save(made.id, Message(last, role, text, datetime.now(UTC)))
    return made.id


def messages(services, conversation: str) -> list[Message]:
    return list(services.conversations.messages(conversation).messages)


def edit(test: AppTest, message: Message, text: str) -> AppTest:
    test.button(key=f"again.{message.id}").click().run()
    return test.text_area(key=f"text.{message.id}").set_value(text).run()


@pytest.mark.parametrize(
    ("locale", "told", "send"),
    [
        ("en-US", "changed or deleted in another window", "Send again"),
        ("zh-CN", "已在另一个窗口中被修改或删除", "重新发送"),
    ],
)
def test_a_message_edited_in_two_windows(services, sid, conversation, locale, told, send):
    first = messages(services, conversation)[0]
    test = edit(window(sid, "1_Chat", locale, c=conversation), first, "mine")
    services.conversations.save(conversation, replace(first, text="theirs"))
    press(test, send)
    assert told in test.error[0].value
    assert messages(services, conversation)[0].text == "theirs"
    assert test.text_area(key=f"text.{first.id}").value == "mine", "one's own text stays"
    assert "theirs" in texts(test), "and theirs is on the screen"
    press(test, send)
    assert not test.error
    assert messages(services, conversation)[0].text == "mine"


def test_a_message_edited_here_and_deleted_there(services, sid, conversation):
    first = messages(services, conversation)[0]
    test = edit(window(sid, "1_Chat", c=conversation), first, "mine")
    services.conversations.delete_message(conversation, first.id)
    press(test, "Send again")
    assert "changed or deleted in another window" in test.error[0].value
    assert "mine" not in [message.text for message in messages(services, conversation)], "it does not come back"


def test_what_was_said_in_another_window_is_not_deleted_unseen(services, sid, conversation):
    first, *_, last = messages(services, conversation)
    test = edit(window(sid, "1_Chat", c=conversation), first, "mine")
    later = Message(services.conversations.new_message_id(last.id), Role.USER, "said there", datetime.now(UTC))
    services.conversations.save(conversation, later)
    press(test, "Send again")
    assert "went on in another window" in test.error[0].value
    assert len(messages(services, conversation)) == 4
    assert "said there" in texts(test)
    press(test, "Send again")  # now it has been seen
    assert messages(services, conversation)[0].text == "mine"
    assert "said there" not in [message.text for message in messages(services, conversation)]


def test_an_answer_is_not_had_again_over_what_came_after_it_elsewhere(services, sid, user):
    made = services.conversations.create(user, "plain", title="Buckets").id
    for role, text in ((Role.USER, "question"), (Role.ASSISTANT, "an answer")):
        services.conversations.save(
            made, Message(services.conversations.new_message_id(), role, text, datetime.now(UTC))
        )
    test = window(sid, "1_Chat", c=made)
    later = Message(services.conversations.new_message_id(), Role.USER, "said there", datetime.now(UTC))
    services.conversations.save(made, later)
    test.button(key=f"retry.{messages(services, made)[1].id}").click().run()
    assert "went on in another window" in test.error[0].value
    assert [message.text for message in messages(services, made)] == ["question", "an answer", "said there"]


def test_a_reply_that_another_window_went_on_with_is_not_set_back(services, sid, user):
    made = services.conversations.create(user, "plain", title="Buckets").id
    services.conversations.save(made, Message("0" * 19 + "1", Role.USER, "question", datetime.now(UTC)))
    cut = Message("0" * 19 + "2", Role.ASSISTANT, "half", datetime.now(UTC), MessageState.INTERRUPTED, "m")
    services.conversations.save(made, cut)
    test = window(sid, "1_Chat", c=made)
    services.conversations.save(made, replace(cut, text="half and whole", state=MessageState.COMPLETE))
    test.button(key=f"continue.{cut.id}").click().run()
    assert "changed or deleted in another window" in test.error[0].value
    assert messages(services, made)[1].text == "half and whole"


def renaming(test: AppTest, item_id: str, name: str) -> AppTest:
    if "list:dialog" not in test.session_state:
        test.session_state["list:dialog"] = (item_id, "rename")
        test.run()
    next(field for field in test.text_input if field.label == "Name").set_value(name)
    return press(test, "Save")


def test_a_conversation_renamed_in_two_windows(services, sid, user, conversation):
    test = window(sid, "1_Chat", c=conversation)
    test.session_state["list:dialog"] = (conversation, "rename")
    test.run()
    services.conversations.rename(user, conversation, "Theirs")
    next(field for field in test.text_input if field.label == "Name").set_value("Mine")
    press(test, "Save")
    assert "renamed “Theirs” in another window" in test.error[0].value
    assert services.conversations.get(user, conversation).title == "Theirs"
    renaming(test, conversation, "Mine")
    assert services.conversations.get(user, conversation).title == "Mine"
    assert not test.error


# --- programs ---


def test_a_program_renamed_here_and_changed_there(services, sid, user):
    program = services.programs.create(user, "python", (SourceFile("main.py", "print(1)"),), name="Hello")
    test = window(sid, "2_Editor", p=program.id)
    test.session_state["list:dialog"] = (program.id, "rename")
    test.run()
    services.programs.save(replace(program, files=(SourceFile("main.py", "theirs"),)))
    next(field for field in test.text_input if field.label == "Name").set_value("Mine")
    press(test, "Save")
    stored = services.programs.get(user, program.id)
    assert stored.files[0].text == "theirs", "a new name does not set back the text"
    assert stored.name == "Mine" or "changed this meanwhile" in test.error[0].value


# --- the Prompt Lab ---


@pytest.fixture
def template(services, user) -> Template:
    made = services.templates.save(Template("", user, "Words", ASK))
    services.templates.keep_draft(user, Draft(ASK, made.id))
    return made


def write(test: AppTest, text: str) -> AppTest:
    return next(area for area in test.text_area if area.label == "System text").set_value(text).run()


def system_text(test: AppTest) -> str:
    return next(area for area in test.text_area if area.label == "System text").value


def both_save(services, sid, template) -> AppTest:
    test = window(sid, "3_Prompt_Lab")
    write(test, "mine")
    services.templates.save(replace(template, sheet=replace(ASK, system="theirs")))
    press(test, "Save")
    assert "Another window saved version 2" in warnings(test)
    assert services.templates.get(template.owner, template.id).sheet.system == "theirs"
    assert system_text(test) == "mine"
    return test


def test_a_template_saved_in_two_windows_mine_is_kept(services, sid, user, template):
    test = press(both_save(services, sid, template), "Keep mine")
    assert services.templates.get(user, template.id).sheet.system == "mine"
    assert [one.sheet.system for one in services.templates.versions(user, template.id)] == [
        "mine",
        "theirs",
        "Be brief.",
    ]
    assert not test.warning


def test_a_template_saved_in_two_windows_theirs_is_taken(services, sid, user, template):
    test = press(both_save(services, sid, template), "Take the other version")
    assert services.templates.get(user, template.id).sheet.system == system_text(test) == "theirs"
    assert not test.warning
    press(test, "Undo")  # and mine can be had back even then
    assert system_text(test) == "mine"


def test_a_template_renamed_or_made_a_copilot_here_does_not_hide_what_was_saved_there(services, sid, user, template):
    test = window(sid, "3_Prompt_Lab")
    write(test, "mine")
    services.templates.save(replace(template, sheet=replace(ASK, system="theirs")))
    next(toggle for toggle in test.toggle if "copilot" in toggle.label).set_value(True).run()
    assert "Another window saved version 2" in warnings(test)
    assert services.templates.get(user, template.id).version == 2


def test_a_template_deleted_in_another_window_is_not_brought_back_but_the_sheet_stays(services, sid, user, template):
    test = window(sid, "3_Prompt_Lab")
    write(test, "mine")
    services.templates.delete(user, template.id)
    press(test, "Save")
    assert test.error
    assert services.templates.list(user) == ()
    assert system_text(test) == "mine"
    assert "Save" not in labels(test), "it has no name any more, and can be saved as another"


def both_write(services, sid, user) -> AppTest:
    test = window(sid, "3_Prompt_Lab")
    write(test, "first")
    stored = services.templates.draft(user)
    theirs = replace(stored, sheet=replace(ASK, system="theirs"), window="another")
    services.templates.keep_draft(user, theirs)
    write(test, "mine")
    assert "bench was changed in another window" in warnings(test)
    assert services.templates.draft(user).sheet.system == "theirs"
    assert system_text(test) == "mine"
    write(test, "mine, longer")
    assert services.templates.draft(user).sheet.system == "theirs"
    return test


def test_a_bench_changed_in_two_windows_mine_is_kept(services, sid, user, template):
    test = press(both_write(services, sid, user), "Keep mine")
    assert services.templates.draft(user).sheet.system == system_text(test) == "mine, longer"
    assert not test.warning
    write(test, "and on")
    assert services.templates.draft(user).sheet.system == "and on"


def test_a_bench_changed_in_two_windows_theirs_is_taken(services, sid, user, template):
    test = press(both_write(services, sid, user), "Take the other version")
    assert services.templates.draft(user).sheet.system == system_text(test) == "theirs"
    assert not test.warning
    press(test, "Undo")
    assert system_text(test) == "mine, longer"


def test_a_test_set_changed_in_two_windows_is_saved_as_a_copy(services, sid, user, template):
    cases = Cases(("word", "expected"), (("a", "b"),), (Check("contains"),))
    made = services.case_sets.save(CaseSet("", user, "Words", cases))
    test = window(sid, "3_Prompt_Lab")
    test.session_state["lab:mode"] = "test"
    test.run()
    theirs = replace(cases, rows=(("theirs", ""),))
    services.case_sets.save(replace(made, cases=theirs))
    next(area for area in test.text_area if area.label == "It contains").set_value("mine").run()
    assert "changed in another window" in warnings(test)
    by_name = {one.name: one.cases for one in services.case_sets.list(user)}
    assert by_name["Words"] == theirs
    (copy,) = (cases for name, cases in by_name.items() if name != "Words")
    assert copy.checks[0].expected == "mine"


# --- choices ---


def test_choices_made_in_two_windows_are_both_kept(services, sid, user):
    services.preferences.change(user, language="en")
    test = window(sid, "4_Settings")
    services.preferences.change(user, model_id="second.model-v1")
    test.run()
    services.preferences.change(user, language="zh")
    chosen = services.preferences.get(user)
    assert (chosen.language, chosen.model_id) == ("zh", "second.model-v1")
