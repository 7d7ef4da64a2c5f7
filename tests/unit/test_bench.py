"""The bench: one answer in each place, kept like any reply, with what is known of its call."""

from collections.abc import Iterator

import pytest

from codecoach.chat.messages import MessageState
from codecoach.errors import InputRefused
from codecoach.lab.sheet import Sheet
from codecoach.local.scripted import ScriptedServer
from codecoach.models import payloads
from codecoach.services import Services
from codecoach.settings import Settings
from tests.bedrock import CLAUDE_3

ANN, BOB = "ann@example.com", "bob@example.com"
HI = payloads.build(Sheet("Hi", model_id=CLAUDE_3))


@pytest.fixture
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def services(bedrock, tmp_path) -> Iterator[Services]:
    made = Services(Settings(data_dir=tmp_path, cache_dir=tmp_path, bedrock_endpoint_url=bedrock.url))
    made.accounts.create(ANN, "hash")
    yield made
    made.close()


def test_an_answer_is_kept_with_its_call_until_the_next_takes_its_place(services, bedrock):
    for text in ("First.", "Second."):
        bedrock.engine.say(text)
        assert services.bench.submit(ANN, "one", HI).join(30)
    answer = services.bench.answer(ANN, "one")
    assert (answer.text, answer.state, answer.model_id) == ("Second.", MessageState.COMPLETE, CLAUDE_3)
    sent = services.bench.sent(answer)
    assert sent.payload == HI
    assert sent.trace.stop_reason == "end_turn"


def test_places_and_users_have_answers_of_their_own(services, bedrock):
    bedrock.engine.say("Mine.")
    assert services.bench.submit(ANN, "one", HI).join(30)
    assert services.bench.answer(ANN, "two") is None
    assert services.bench.answer(BOB, "one") is None


def test_while_one_is_written_there_is_no_second_and_stopping_keeps_what_came(services, bedrock):
    bedrock.engine.say("word " * 500, token_delay_s=0.02)
    writing = services.bench.submit(ANN, "one", HI)
    writing.wait(0, 30)
    with pytest.raises(InputRefused):
        services.bench.submit(ANN, "one", HI)
    services.bench.stop(ANN, "one")
    assert writing.join(30)
    answer = services.bench.answer(ANN, "one")
    assert answer.state is MessageState.STOPPED
    assert answer.text.startswith("word")


def test_what_goes_wrong_is_in_the_answer_and_never_its_text(services, bedrock):
    bedrock.engine.fail("AccessDeniedException")
    assert services.bench.submit(ANN, "one", HI).join(30)
    answer = services.bench.answer(ANN, "one")
    assert (answer.state, answer.text, answer.error.key) == (MessageState.FAILED, "", "model_access_denied")
    services.bench.clear(ANN, "one")
    assert services.bench.answer(ANN, "one") is None
