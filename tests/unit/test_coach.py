"""Turns of a conversation: what is stored, what the model is asked, and what goes when something is said anew."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from codecoach.chat.messages import Conversation, Message, MessageState, Role
from codecoach.coach import assistants, copilots, generation
from codecoach.coach.coach import Coach
from codecoach.coach.copilots import Copilots
from codecoach.coach.generation import Generation, Generations
from codecoach.errors import InputRefused, ModelInputTooLong, ModelThrottled
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.models.catalogue import LOCAL_MODEL
from codecoach.models.port import Turn
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Template, Templates
from tests.replies import ToldModel

ANN = "ann@example.com"
MODEL = "anthropic.claude-haiku-5-5"
WITH_PREFILL = "anthropic.claude-haiku-4-5-20251001-v1:0"
LOCAL = "local.qwen2.5-coder-1.5b-instruct"


@pytest.fixture
def conversations(tmp_path) -> Iterator[Conversations]:
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield Conversations(table)
    generation.interrupt_all()
    table.close()


@pytest.fixture
def conversation(conversations) -> Conversation:
    return conversations.create(ANN, "code_coach")


@pytest.fixture
def model() -> ToldModel:
    return ToldModel()


@pytest.fixture
def templates(tmp_path, conversations) -> Iterator[Templates]:
    table = SqliteTable(tmp_path / "codecoach.sqlite")
    yield Templates(table)
    table.close()


@pytest.fixture
def coach(model, conversations, templates) -> Coach:
    return Coach(conversations, Generations(model, conversations), Settings(), Copilots(templates))


def finish(model: ToldModel, running: Generation, text: str) -> Message:
    model.reply.say(text)
    model.reply.end()
    assert running.join(60)
    return running.snapshot()


def fail(model: ToldModel, running: Generation, text: str = "") -> Message:
    model.reply.say(text)
    model.reply.tell(ModelThrottled())
    assert running.join(60)
    return running.snapshot()


def texts(conversations: Conversations, conversation: Conversation) -> list[tuple[str, str]]:
    return [(message.role.value, message.text) for message in conversations.messages(conversation.id).messages]


def test_a_question_is_stored_and_answered_by_the_assistant(coach, model, conversations, conversation):
    reply = finish(model, coach.ask(conversation, "List my buckets", MODEL), "Here.")
    assert texts(conversations, conversation) == [("user", "List my buckets"), ("assistant", "Here.")]
    assert (reply.state, reply.model_id) == (MessageState.COMPLETE, MODEL)
    (request,) = model.requests
    assert request.system == assistants.get("code_coach").system
    assert request.turns == (Turn(Role.USER, "List my buckets"),)


def test_a_copilot_speaks_by_its_owners_template_as_it_is_now(coach, model, conversations, templates):
    sheet = Sheet("Hi", "You know {topic}.", values={"topic": "S3"})
    template = templates.save(Template("", ANN, "Storage", sheet, copilot=True))
    talk = conversations.create(ANN, copilots.assistant_id(template))
    finish(model, coach.ask(talk, "What is a bucket?", MODEL), "It holds objects.")
    assert model.requests[-1].system == "You know S3."
    stolen = conversations.create("bob@example.com", copilots.assistant_id(template))
    finish(model, coach.ask(stolen, "What is a bucket?", MODEL), "It holds objects.")
    assert "S3" not in model.requests[-1].system
    templates.delete(ANN, template.id)
    finish(model, coach.ask(talk, "And now?", MODEL), "Still.")
    assert model.requests[-1].system == assistants.DEFAULT.system


def test_a_copilot_shows_the_model_its_examples_and_draws_replies_as_its_template_says(
    coach, model, conversations, templates
):
    examples = (Example("S3?", "Storage."), Example("unfinished", ""))
    sheet = Sheet("Hi", "Be brief.", examples=examples, parameters=Parameters(10, 0.5, None, stop_sequences=("END",)))
    template = templates.save(Template("", ANN, "Terms", sheet, copilot=True))
    talk = conversations.create(ANN, copilots.assistant_id(template))
    finish(model, coach.ask(talk, "EC2?", MODEL), "Computers.")
    finish(model, coach.ask(talk, "SQS?", MODEL), "Queues.")
    request = model.requests[-1]
    shown = [
        ("user", "S3?"),
        ("assistant", "Storage."),
        ("user", "EC2?"),
        ("assistant", "Computers."),
        ("user", "SQS?"),
    ]
    assert [(turn.role.value, turn.text) for turn in request.turns] == shown
    assert (request.temperature, request.stop_sequences) == (0.5, ("END",))
    assert request.max_tokens > 10, "a conversation's replies are as long as they get"


def test_the_examples_of_a_copilot_leave_room_for_the_question(coach, model, conversations, templates):
    sheet = Sheet("Hi", "Be brief.", examples=(Example("word " * 20_000, "ok"),))
    template = templates.save(Template("", ANN, "Long", sheet, copilot=True))
    with pytest.raises(ModelInputTooLong):
        coach.ask(conversations.create(ANN, copilots.assistant_id(template)), "EC2?", LOCAL_MODEL)
    assert model.requests == []


def test_the_next_question_is_asked_with_what_came_before(coach, model, conversation):
    finish(model, coach.ask(conversation, "One?", MODEL), "1")
    finish(model, coach.ask(conversation, "Two?", MODEL), "2")
    assert [turn.text for turn in model.requests[-1].turns] == ["One?", "1", "Two?"]


def test_the_first_question_gives_the_title_and_a_given_title_stays(coach, model, conversations, conversation):
    finish(model, coach.ask(conversation, "List my `buckets`", MODEL), "Here.")
    assert conversations.get(ANN, conversation.id).title == "List my buckets"
    conversations.rename(ANN, conversation.id, "Buckets")
    finish(model, coach.ask(conversations.get(ANN, conversation.id), "And now?", MODEL), "Here.")
    assert conversations.get(ANN, conversation.id).title == "Buckets"


def test_a_conversation_moves_to_the_top_when_something_is_said(coach, model, conversations, conversation):
    other = conversations.create(ANN, "plain")
    assert conversations.list(ANN).conversations[0].id == other.id
    finish(model, coach.ask(conversation, "Hello", MODEL), "Hello.")
    assert conversations.list(ANN).conversations[0].id == conversation.id


def test_saying_nothing_is_refused(coach, conversations, conversation):
    with pytest.raises(InputRefused) as caught:
        coach.ask(conversation, " \n", MODEL)
    assert caught.value.key == "nothing_said"
    assert texts(conversations, conversation) == []


def test_what_cannot_fit_is_refused_before_anything_is_stored(coach, model, conversations, conversation):
    with pytest.raises(ModelInputTooLong):
        coach.ask(conversation, "x" * 100_000, LOCAL)
    assert texts(conversations, conversation) == []
    assert model.requests == []


def test_a_question_during_a_reply_is_refused_and_not_stored(coach, model, conversations, conversation):
    running = coach.ask(conversation, "One?", MODEL)
    with pytest.raises(InputRefused) as caught:
        coach.ask(conversation, "Two?", MODEL)
    assert caught.value.key == "reply_running"
    finish(model, running, "1")
    assert texts(conversations, conversation) == [("user", "One?"), ("assistant", "1")]


def test_a_question_in_a_deleted_conversation_is_refused_and_leaves_nothing(coach, conversations, conversation):
    conversations.delete(ANN, conversation.id)
    with pytest.raises(InputRefused) as caught:
        coach.ask(conversation, "Hello?", MODEL)
    assert caught.value.key == "no_such_conversation"
    assert texts(conversations, conversation) == []


def test_a_failed_reply_is_tried_again_in_its_place(coach, model, conversations, conversation):
    failed = fail(model, coach.ask(conversation, "One?", MODEL), "half")
    finish(model, coach.retry(conversation, failed, LOCAL), "1")
    assert texts(conversations, conversation) == [("user", "One?"), ("assistant", "1")]
    assert model.requests[-1].turns == (Turn(Role.USER, "One?"),)
    assert model.requests[-1].model_id == LOCAL


def test_another_answer_in_the_middle_takes_away_all_that_followed(coach, model, conversations, conversation):
    first = finish(model, coach.ask(conversation, "One?", MODEL), "1")
    finish(model, coach.ask(conversation, "Two?", MODEL), "2")
    finish(model, coach.retry(conversation, first, MODEL), "one")
    assert texts(conversations, conversation) == [("user", "One?"), ("assistant", "one")]


def test_a_reply_whose_question_was_deleted_is_not_written_again(coach, model, conversations, conversation):
    reply = finish(model, coach.ask(conversation, "One?", MODEL), "1")
    conversations.delete_message(conversation.id, conversations.messages(conversation.id).messages[0].id)
    with pytest.raises(InputRefused) as caught:
        coach.retry(conversation, reply, MODEL)
    assert caught.value.key == "no_question"
    assert texts(conversations, conversation) == [("assistant", "1")]


def test_an_edited_question_replaces_its_text_and_all_that_followed(coach, model, conversations, conversation):
    finish(model, coach.ask(conversation, "One?", MODEL), "1")
    finish(model, coach.ask(conversation, "Two?", MODEL), "2")
    finish(model, coach.ask(conversation, "Three?", MODEL), "3")
    second = conversations.messages(conversation.id).messages[2]
    finish(model, coach.resend(conversation, second.id, "Zwei?", MODEL), "zwei")
    assert texts(conversations, conversation) == [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Zwei?"),
        ("assistant", "zwei"),
    ]
    assert [turn.text for turn in model.requests[-1].turns] == ["One?", "1", "Zwei?"]


@pytest.mark.parametrize("text", ["", "x" * 100_000])
def test_an_edit_that_cannot_be_sent_deletes_nothing(coach, model, conversations, conversation, text):
    finish(model, coach.ask(conversation, "One?", LOCAL), "1")
    before = texts(conversations, conversation)
    with pytest.raises((InputRefused, ModelInputTooLong)):
        coach.resend(conversation, conversations.messages(conversation.id).messages[0].id, text, LOCAL)
    assert texts(conversations, conversation) == before


def test_a_stopped_reply_goes_on_in_the_same_message(coach, model, conversations, conversation):
    running = coach.ask(conversation, "One?", MODEL)
    model.reply.say("The first half")
    running.wait(0, 10)
    running.stop()
    assert running.join(60)
    stopped = running.snapshot()
    assert stopped.unfinished
    finish(model, coach.resume(conversation, stopped, MODEL), " and the second.")
    assert texts(conversations, conversation)[1:] == [("assistant", "The first half and the second.")]
    assert [turn.role for turn in model.requests[-1].turns] == [Role.USER, Role.ASSISTANT, Role.USER]


def test_with_prefill_white_space_at_the_cut_is_left_to_the_model(coach, model, conversations, conversation):
    failed = fail(model, coach.ask(conversation, "One?", WITH_PREFILL), "def f():\n    ")
    finish(model, coach.resume(conversation, failed, WITH_PREFILL), "\n    return 1")
    assert model.requests[-1].turns[-1] == Turn(Role.ASSISTANT, "def f():")
    assert texts(conversations, conversation)[1:] == [("assistant", "def f():\n    return 1")]


def test_a_reply_that_is_being_written_elsewhere_is_not_gone_on_with(coach, conversations, conversation):
    now = datetime.now(UTC)
    conversations.save(conversation.id, Message(conversations.new_message_id(), Role.USER, "One?", now))
    elsewhere = Message(conversations.new_message_id(), Role.ASSISTANT, "ha", now, MessageState.STREAMING)
    conversations.save(conversation.id, elsewhere)
    for act in (
        lambda: coach.ask(conversation, "Two?", MODEL),
        lambda: coach.resume(conversation, elsewhere, MODEL),
        lambda: coach.retry(conversation, elsewhere, MODEL),
    ):
        with pytest.raises(InputRefused, match="reply_running"):
            act()


def test_of_a_long_conversation_only_the_end_is_read_and_sent(coach, model, conversations, conversation):
    now = datetime.now(UTC)
    for number in range(60):
        for role in Role:
            text = f"{role} {number} " + "word " * 200
            conversations.save(conversation.id, Message(conversations.new_message_id(), role, text, now))
    finish(model, coach.ask(conversation, "Now?", LOCAL), "Yes.")
    sent = model.requests[-1].turns
    assert 3 <= len(sent) < 20
    assert sent[0].role is Role.USER
    assert sent[-1].text == "Now?"
    assert sent[-2].text.startswith("assistant 59")


def test_a_question_at_the_start_of_a_long_conversation_can_be_edited(coach, model, conversations, conversation):
    now = datetime.now(UTC)
    for number in range(60):
        for role in Role:
            conversations.save(conversation.id, Message(conversations.new_message_id(), role, f"{number}", now))
    page = conversations.messages(conversation.id)
    while page.before:
        page = conversations.messages(conversation.id, before=page.before)
    finish(model, coach.resend(conversation, page.messages[2].id, "Anew?", MODEL), "Yes.")
    assert [text for _, text in texts(conversations, conversation)] == ["0", "0", "Anew?", "Yes."]
    assert [turn.text for turn in model.requests[-1].turns] == ["0", "0", "Anew?"]
