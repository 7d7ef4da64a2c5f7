"""ChatBedrockConverse against the scripted endpoint: text, figures, faults, parameters, and connections that are hung up.

The endpoint refuses what botocore's own model of the service refuses.
"""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from codecoach.chat.messages import Role, Usage
from codecoach.errors import (
    CodeCoachError,
    ModelAccessDenied,
    ModelInputTooLong,
    ModelNotFound,
    ModelRefused,
    ModelThrottled,
    ModelUnavailable,
    StreamBroken,
)
from codecoach.local.scripted import ScriptedServer
from codecoach.models import repeating
from codecoach.models.clients import clients
from codecoach.models.converse import ConverseModel
from codecoach.models.directory import BedrockDirectory
from codecoach.models.port import Finished, ModelEvent, ModelRequest, TextDelta, Turn, Waiting
from codecoach.models.trial import PROMPT, trial
from codecoach.settings import Settings
from tests.replies import eventually

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NEWEST = "global.anthropic.claude-opus-5-5"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def bedrock(server) -> ScriptedServer:
    server.engine.requests.clear()
    server.engine.cancelled.clear()
    server.engine.cancel_seen.clear()
    return server


@pytest.fixture(scope="module")
def settings(server) -> Settings:
    return Settings(bedrock_endpoint_url=server.url, request_timeout_s=60)


@pytest.fixture(scope="module")
def model(settings) -> ConverseModel:
    made = clients(settings)
    return ConverseModel(made.runtime, made.control, first_pause_s=0.01)


def request(model_id: str = MODEL, **more: object) -> ModelRequest:
    return ModelRequest(model_id, (Turn(Role.USER, "Hi"),), **more)


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def read(model: ConverseModel, asked: ModelRequest) -> tuple[str, CodeCoachError | None]:
    """The text that came, and the error that ended it."""
    text = ""
    try:
        for event in model.stream(asked):
            text += event.text if isinstance(event, TextDelta) else ""
    except CodeCoachError as error:
        return text, error
    return text, None


def test_a_reply_comes_in_pieces_and_ends_with_the_services_figures(bedrock, model):
    bedrock.engine.say("Hello, 世界!", chunks=["Hel", "lo, ", "世", "界!"], input_tokens=7)
    *pieces, end = list(model.stream(request()))
    assert text_of(pieces) == "Hello, 世界!"
    assert end == Finished("end_turn", Usage(7, 4), end.latency_ms)


def test_what_comes_faster_than_anybody_sees_is_put_together(bedrock, model):
    bedrock.engine.say("", chunks=["x"] * 200, token_delay_s=0.002)
    events = list(model.stream(request()))
    assert text_of(events) == "x" * 200
    assert len(events) < 100


def test_system_and_turns_arrive_as_they_were_given(bedrock, model):
    turns = (Turn(Role.USER, "One?"), Turn(Role.ASSISTANT, "1"), Turn(Role.USER, "Two?"))
    list(model.stream(ModelRequest(MODEL, turns, system="Be brief.", max_tokens=99, stop_sequences=("END",))))
    (asked,) = bedrock.engine.requests
    assert [(turn.role, turn.text) for turn in asked.turns] == [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
    ]
    assert asked.system == "Be brief."
    assert asked.max_tokens == 99
    assert tuple(asked.stop_sequences) == ("END",)


def test_a_model_without_system_prompts_gets_it_before_the_question(bedrock, model):
    list(model.stream(request("mistral.mixtral-8x7b-instruct-v0:1", system="Be brief.")))
    (asked,) = bedrock.engine.requests
    assert not asked.system
    assert [turn.text for turn in asked.turns] == ["Be brief.\n\nHi"]


@pytest.mark.parametrize(
    ("model_id", "sent"),
    [
        (NEWEST, (None, None)),
        (MODEL, (0.5, None)),
        ("us.amazon.nova-2-lite-v1:0", (0.5, 0.9)),
    ],
)
def test_only_parameters_that_the_model_accepts_are_sent(bedrock, model, model_id, sent):
    list(model.stream(request(model_id, temperature=0.5, top_p=0.9)))
    (asked,) = bedrock.engine.requests
    assert (asked.temperature, asked.top_p) == sent


def test_no_more_tokens_are_asked_for_than_the_model_gives(bedrock, model):
    list(model.stream(request("meta.llama3-8b-instruct-v1:0", max_tokens=100_000)))
    assert bedrock.engine.requests[0].max_tokens == 8192


@pytest.mark.parametrize("model_id", [MODEL, NEWEST, "qwen.qwen3-coder-next", "in.anthropic.claude-opus-5"])
def test_every_kind_of_model_streams(bedrock, model, model_id):
    bedrock.engine.say("", chunks=["x"] * 1000, token_delay_s=0.05)
    with closing(model.stream(request(model_id))) as reply:
        assert 0 < len(next(reply).text) < 1000


def test_a_model_can_be_named_by_its_arn(bedrock, model):
    bedrock.engine.say("Hello")
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{MODEL}"
    assert text_of(list(model.stream(request(arn)))) == "Hello"


@pytest.mark.parametrize(
    ("code", "message", "ours"),
    [
        ("AccessDeniedException", "You don't have access", ModelAccessDenied),
        ("ResourceNotFoundException", "no such model", ModelNotFound),
        ("ValidationException", "Input is too long for requested model.", ModelInputTooLong),
        ("ValidationException", "messages: something is wrong", ModelRefused),
        ("InternalServerException", "oops", ModelUnavailable),
        ("ServiceUnavailableException", "busy", ModelUnavailable),
        ("ModelTimeoutException", "too slow", ModelUnavailable),
    ],
)
def test_a_refusal_is_raised_as_our_error_and_not_tried_again(bedrock, model, code, message, ours):
    bedrock.engine.fail(code, message)
    text, error = read(model, request())
    assert (text, type(error)) == ("", ours)
    assert len(bedrock.engine.requests) == 1


def test_an_unknown_model_is_named(bedrock, model):
    _, error = read(model, request("anthropic.claude-nonesuch"))
    assert (error.key, error.values["model"]) == ("model_not_found", "anthropic.claude-nonesuch")


def test_a_service_that_is_not_there_is_unavailable(settings):
    made = clients(settings.model_copy(update={"bedrock_endpoint_url": "http://127.0.0.1:9"}))
    _, error = read(ConverseModel(made.runtime, made.control), request())
    assert isinstance(error, ModelUnavailable)


def test_a_throttled_call_is_tried_again_and_the_wait_is_told(bedrock, model):
    bedrock.engine.fail("ThrottlingException", times=2)
    bedrock.engine.say("Hello")
    events = list(model.stream(request()))
    assert text_of(events) == "Hello"
    assert {event.attempt for event in events if isinstance(event, Waiting)} == {2, 3}
    assert isinstance(events[0], Waiting)


def test_a_call_that_stays_throttled_is_given_up(bedrock, model):
    bedrock.engine.fail("ThrottlingException", times=repeating.TRIES)
    _, error = read(model, request())
    assert isinstance(error, ModelThrottled)
    assert len(bedrock.engine.requests) == repeating.TRIES


def test_a_reply_can_be_closed_while_it_waits_for_its_next_try(bedrock, settings):
    made = clients(settings)
    bedrock.engine.fail("ThrottlingException")
    reply = ConverseModel(made.runtime, made.control, first_pause_s=60.0).stream(request())
    assert isinstance(next(reply), Waiting)
    timer = threading.Timer(0.05, reply.close)
    timer.start()
    assert all(isinstance(event, Waiting) for event in reply)
    timer.join()
    assert len(bedrock.engine.requests) == 1


@pytest.mark.parametrize(
    ("how", "ours"),
    [
        ({"cut_after": 3}, StreamBroken),
        ({"end_after": 3}, StreamBroken),
        ({"fault": "InternalServerException", "fault_after": 3}, StreamBroken),
        ({"fault": "ModelStreamErrorException", "fault_after": 3}, StreamBroken),
        ({"fault": "ThrottlingException", "fault_after": 3}, ModelThrottled),
        ({"fault": "ValidationException", "fault_after": 3, "fault_message": "bad"}, ModelRefused),
    ],
    ids=str,
)
@pytest.mark.parametrize("delay_s", [0.0, 0.02])
def test_what_came_before_a_break_is_kept(bedrock, model, how, ours, delay_s):
    bedrock.engine.say("", chunks=["a", "b", "c", "d"], token_delay_s=delay_s, **how)
    text, error = read(model, request())
    assert (text, type(error)) == ("abc", ours)
    assert len(bedrock.engine.requests) == 1


def test_silence_in_mid_stream_is_a_break_after_the_timeout(bedrock, settings):
    made = clients(settings.model_copy(update={"request_timeout_s": 0.3}))
    bedrock.engine.say("", chunks=["a", "b"], token_delay_s=1.0)
    text, error = read(ConverseModel(made.runtime, made.control), request())
    assert (text, type(error)) in [("", ModelUnavailable), ("a", StreamBroken)]


def test_closing_stops_the_generation_at_the_service(bedrock, model):
    bedrock.engine.say("", chunks=["x"] * 1000, token_delay_s=0.05)
    with closing(model.stream(request())) as reply:
        assert next(reply).text.startswith("x")
    assert bedrock.engine.cancel_seen.wait(60)


def test_closing_from_another_thread_wakes_the_reader_and_stops_the_generation(bedrock, model):
    bedrock.engine.say("", chunks=["x", "y"], token_delay_s=0.01)
    bedrock.engine.say("", chunks=["x", "y"], token_delay_s=30)
    list(model.stream(request()))
    reply = model.stream(request())
    done = threading.Event()

    def read_on() -> None:
        assert list(reply) == []
        done.set()

    reader = threading.Thread(target=read_on)
    reader.start()
    eventually(lambda: len(bedrock.engine.requests) == 2)
    reply.close()
    assert done.wait(20)  # sooner than by the next word or the time-out
    assert bedrock.engine.cancel_seen.wait(60)
    reader.join()


class PublicStream:
    """What botocore documents of a stream of events, and nothing else."""

    def __init__(self, stream) -> None:
        self.__iter, self.close = stream.__iter__, stream.close

    def __iter__(self):
        return self.__iter()


class OtherBotocore:
    """A client whose streams keep their parts under names that we do not know."""

    def __init__(self, client) -> None:
        self.__client = client

    def __getattr__(self, name: str):
        return getattr(self.__client, name)

    def converse_stream(self, **parameters):
        response = self.__client.converse_stream(**parameters)
        return {**response, "stream": PublicStream(response["stream"])}


def test_replies_come_and_can_be_closed_where_botocores_own_names_are_others(bedrock, settings):
    made = clients(settings)
    model = ConverseModel(OtherBotocore(made.runtime), made.control)
    bedrock.engine.say("", chunks=["x", "y"])
    assert read(model, request()) == ("xy", None)
    bedrock.engine.say("", chunks=["x"] * 1000, token_delay_s=0.05)
    reply = model.stream(request())
    assert next(reply).text.startswith("x")
    reply.close()
    assert bedrock.engine.cancel_seen.wait(60)


def test_a_closed_reply_calls_nobody(bedrock, model):
    reply = model.stream(request())
    reply.close()
    reply.close()
    assert list(reply) == []
    assert bedrock.engine.requests == []


def test_connections_are_used_again_after_a_whole_reply(bedrock, model):
    for _ in range(3):
        list(model.stream(request()))
    assert len(bedrock.engine.requests) == 3


def test_a_trial_is_a_real_small_call(bedrock, model):
    bedrock.engine.say("Hello there.", input_tokens=9)
    result = trial(model, MODEL)
    assert (result.text, result.usage.input_tokens) == ("Hello there.", 9)
    assert 0 < result.first_text_s <= result.latency_s
    assert bedrock.engine.requests[0].turns[0].text == PROMPT
    assert bedrock.engine.requests[0].max_tokens <= 64


def test_a_trial_of_a_retired_model_says_what_to_take_instead(bedrock, model):
    bedrock.engine.fail("ResourceNotFoundException", "This model version has reached the end of its life.")
    with pytest.raises(ModelNotFound) as caught:
        trial(model, "anthropic.claude-3-opus-20240229-v1:0")
    assert caught.value.values["instead"] == "anthropic.claude-opus-5-5"


def test_the_endpoints_own_lists_make_a_directory(server, settings):
    cards = BedrockDirectory(clients(settings).control).cards()
    assert cards[0].id == "us.anthropic.claude-haiku-5-5"
    assert "local.qwen2.5-coder-1.5b-instruct" in {card.id for card in cards}
