"""What of a conversation is sent to a model: whole turns, as many as fit, the newest question always."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.history import TURN_TOKENS, Limits, continuation, limits, question, tokens, turns
from codecoach.errors import InputRefused, ModelInputTooLong
from codecoach.models.port import Turn

MODEL = "anthropic.claude-haiku-5-5"
WITH_PREFILL = "anthropic.claude-haiku-4-5-20251001-v1:0"
PLENTY = Limits(100_000, 100_000, 4096)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def user(text: str) -> Message:
    return Message("1", Role.USER, text, NOW)


def reply(text: str, state: MessageState = MessageState.COMPLETE) -> Message:
    return Message("2", Role.ASSISTANT, text, NOW, state)


def asked(text: str) -> Turn:
    return Turn(Role.USER, text)


def answered(text: str) -> Turn:
    return Turn(Role.ASSISTANT, text)


def test_turns_alternate_and_start_with_the_users():
    messages = [reply("Hi"), user("a"), user("b"), reply("c"), reply("d"), user("e")]
    assert turns(messages) == (asked("a\n\nb"), answered("c\n\nd"), asked("e"))


def test_failed_and_empty_replies_are_left_out_and_partial_ones_stay():
    messages = [
        user("a"),
        reply("half of it", MessageState.FAILED),
        user("b"),
        reply("", MessageState.STOPPED),
        user("c"),
        reply("cut", MessageState.INTERRUPTED),
        user("d"),
        reply("stopped", MessageState.STOPPED),
        user("e"),
    ]
    assert turns(messages) == (asked("a\n\nb\n\nc"), answered("cut"), asked("d"), answered("stopped"), asked("e"))


def test_a_conversation_that_fits_is_sent_whole():
    request = question(MODEL, "Be brief.", [user("a"), reply("b"), user("c")], PLENTY)
    assert request.turns == (asked("a"), answered("b"), asked("c"))
    assert (request.system, request.max_tokens, request.model_id) == ("Be brief.", 4096, MODEL)


def test_the_oldest_pairs_go_first_and_no_answer_loses_its_question():
    messages = [user("a" * 300), reply("b" * 300), user("c" * 300), reply("d" * 300), user("e" * 300)]
    turn = 100 + TURN_TOKENS
    assert question(MODEL, "", messages, Limits(3 * turn, 3 * turn, 1)).turns[0].text[0] == "c"
    assert question(MODEL, "", messages, Limits(5 * turn, 5 * turn, 1)).turns[0].text[0] == "a"
    assert question(MODEL, "", messages, Limits(5 * turn - 1, 5 * turn - 1, 1)).turns[0].text[0] == "c"


def test_the_system_prompt_counts():
    messages = [user("a" * 300), reply("b" * 300), user("c" * 300)]
    turn = 100 + TURN_TOKENS
    assert len(question(MODEL, "", messages, Limits(3 * turn, 3 * turn, 1)).turns) == 3
    assert len(question(MODEL, "s", messages, Limits(3 * turn, 3 * turn, 1)).turns) == 1


def test_a_newest_question_that_does_not_fit_is_refused_before_any_call():
    with pytest.raises(ModelInputTooLong):
        question(MODEL, "", [user("a" * 3000)], Limits(1000, 1000, 1))


def test_the_newest_question_may_be_longer_than_the_history():
    request = question(MODEL, "", [user("a"), reply("b"), user("c" * 3000)], Limits(2000, 500, 1))
    assert request.turns == (asked("c" * 3000),)


@pytest.mark.parametrize("messages", [[], [reply("a")], [user("a"), reply("b")], [user(" ")]])
def test_without_a_question_nothing_is_asked(messages):
    with pytest.raises(InputRefused):
        question(MODEL, "", messages, PLENTY)


MESSAGES = st.lists(
    st.tuples(st.sampled_from(Role), st.text(max_size=40), st.sampled_from(MessageState)), min_size=1, max_size=20
)


@given(MESSAGES, st.integers(60, 400))
def test_whatever_the_conversation_turns_alternate_fit_and_end_with_the_newest_question(rows, room):
    messages = [Message(str(i), role, text, NOW, state) for i, (role, text, state) in enumerate(rows)]
    messages.append(user("newest"))
    sent = question(MODEL, "", messages, Limits(10_000, room, 1)).turns
    assert [turn.role for turn in sent] == [Role.USER, Role.ASSISTANT] * (len(sent) // 2) + [Role.USER]
    assert sent[-1].text.endswith("newest")
    assert len(sent) == 1 or sum(tokens(turn.text) + TURN_TOKENS for turn in sent) <= room


def test_a_model_with_prefill_goes_on_by_itself():
    request = continuation(WITH_PREFILL, "", [user("a")], reply("print(1)\n\n"), PLENTY)
    assert request.turns == (asked("a"), answered("print(1)"))


def test_any_other_model_is_shown_its_last_words():
    request = continuation(MODEL, "", [user("a")], reply("x" * 500 + "the {end}"), PLENTY)
    assert request.turns[:2] == (asked("a"), answered("x" * 500 + "the {end}"))
    assert request.turns[2].role is Role.USER
    assert "xxx" in request.turns[2].text
    assert "the {end}>>>" in request.turns[2].text


def test_to_go_on_question_and_partial_answer_are_kept_and_older_turns_go():
    messages = [user("old " * 300), reply("old " * 300), user("question")]
    request = continuation(MODEL, "", messages, reply("part"), Limits(1000, 300, 1))
    assert [turn.text for turn in request.turns[:2]] == ["question", "part"]


def test_chinese_counts_more_than_english():
    assert tokens("a" * 30) == 10
    assert tokens("你好" * 10) == 24
    assert tokens("") == 0
    assert tokens("\ud800") > 0


def test_a_local_model_gets_a_short_history_and_its_context_is_a_setting():
    local = "local.qwen2.5-coder-1.5b-instruct"
    assert limits(local, 8192) == Limits(8192 - 2048, 3000, 2048)
    assert limits(local, 2048) == Limits(1536, 1536, 512)


def test_limits_come_from_the_catalogue():
    assert limits(f"us.{MODEL}", 8192) == Limits(1_000_000 - 8192, 1_000_000 - 8192, 8192)
    assert limits("meta.llama3-8b-instruct-v1:0", 8192).reply == 4096


def test_little_is_assumed_of_an_unknown_model():
    assert limits("new.model-1", 8192).input < 32_000
