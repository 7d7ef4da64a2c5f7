"""Payloads sent to the scripted endpoint, which refuses what the service refuses, and what is kept of the answers."""

import threading
from collections.abc import Iterator

import pytest

from codecoach.chat.messages import Usage
from codecoach.errors import ModelNotFound, ModelThrottled, StreamBroken
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.local.scripted import ScriptedServer
from codecoach.models import laboratory, payloads, repeating
from codecoach.models.clients import clients
from codecoach.models.laboratory import Laboratory
from codecoach.models.port import Finished, TextDelta, Waiting
from codecoach.settings import Settings
from tests.bedrock import CLAUDE_2, CLAUDE_3, MISTRAL

NOVA = "amazon.nova-2-lite-v1:0"
FULL = Parameters(300, 0.5, 0.9, stop_sequences=("END",))


@pytest.fixture(scope="module")
def bedrock() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def lab(bedrock) -> Laboratory:
    bedrock.engine.requests.clear()
    return Laboratory(clients(Settings(bedrock_endpoint_url=bedrock.url)).runtime, first_pause_s=0.01)


@pytest.mark.parametrize(
    ("model_id", "format_id"),
    [
        (CLAUDE_3, "claude_messages"),
        (CLAUDE_3, "converse"),
        (CLAUDE_2, "claude_text"),
        (MISTRAL, "mistral_text"),
        (NOVA, ""),
    ],
)
def test_every_format_arrives_as_it_was_meant_and_its_answer_is_read(lab, bedrock, model_id, format_id):
    bedrock.engine.say("Four, of course.", input_tokens=21)
    examples = (Example("1+1?", "2"),)
    sheet = Sheet("2+2?", examples=examples, format=format_id, model_id=model_id, parameters=FULL)
    reply = lab.submit(payloads.build(sheet))
    events = list(reply)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Four, of course."
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.usage == Usage(21, 3)
    asked = bedrock.engine.requests[-1]
    assert [(turn.role, turn.text) for turn in asked.turns] == [("user", "1+1?"), ("assistant", "2"), ("user", "2+2?")]
    assert (asked.max_tokens, asked.temperature, asked.stop_sequences) == (300, 0.5, ("END",))
    trace = reply.trace
    assert (trace.status, trace.stop_reason, trace.usage) == (200, finished.stop_reason, finished.usage)
    assert trace.request_id
    assert 0 < trace.first_token_ms <= trace.total_ms
    assert str(trace.json()["events"]).count("Four, of course.") == 1, "texts are made one"


def test_throttling_is_waited_out_and_told(lab, bedrock):
    bedrock.engine.fail("ThrottlingException")
    bedrock.engine.say("Here.")
    events = list(lab.submit(payloads.build(Sheet("Hi", model_id=CLAUDE_3))))
    assert any(isinstance(event, Waiting) for event in events)
    assert isinstance(events[-1], Finished)
    bedrock.engine.fail("ThrottlingException", times=repeating.TRIES)
    with pytest.raises(ModelThrottled):
        list(lab.submit(payloads.build(Sheet("Hi", model_id=CLAUDE_3))))


def test_a_cut_answer_is_told_apart_from_a_whole_one(lab, bedrock):
    bedrock.engine.say("one two three", end_after=2)
    reply = lab.submit(payloads.build(Sheet("Hi", model_id=CLAUDE_3)))
    assert next(reply) == TextDelta("one")
    with pytest.raises(StreamBroken):
        list(reply)
    assert "one two" in str(reply.trace.json()), "what came is kept"


def test_a_model_that_is_not_there_is_named(lab, bedrock):
    with pytest.raises(ModelNotFound):
        list(lab.submit(payloads.build(Sheet("Hi", model_id="acme.large-1"))))


def test_closing_ends_the_call_at_the_service(lab, bedrock):
    bedrock.engine.cancel_seen.clear()
    bedrock.engine.say("word " * 500, token_delay_s=0.02)
    reply = lab.submit(payloads.build(Sheet("Hi", model_id=CLAUDE_3)))
    assert isinstance(next(reply), TextDelta)
    reading = threading.Thread(target=lambda: list(reply))
    reading.start()
    reply.close()
    reading.join(30)
    assert not reading.is_alive()
    assert bedrock.engine.cancel_seen.wait(30)


def test_prices_are_the_catalogues():
    assert laboratory.dollars("anthropic.claude-haiku-4-5-20251001-v1:0", Usage(1_000_000, 0)) > 0
    assert laboratory.dollars("acme.large-1", Usage(1, 1)) is None
