"""The real 0.5B model behind the endpoint: it answers, counts, stops at a stop sequence, and stops when nobody listens."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from codecoach.local import engines, weights
from codecoach.local.endpoint_app import build
from codecoach.local.endpoint_server import ThreadedServer
from codecoach.settings import Settings
from tests.bedrock import assistant, client, user

MODEL = "local.qwen2.5-coder-0.5b-instruct"

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    cache_dir = Settings().cache_dir
    if weights.find("0.5b", cache_dir) is None:
        pytest.skip(f"the weights of the 0.5B model are not in {cache_dir}: `make test` fetches them")
    settings = Settings().model_copy(update={"local_model": "0.5b", "local_context_tokens": 2048})
    with ThreadedServer(build(engines.engine(settings))) as server:
        yield server.url


@pytest.fixture
def runtime(url):
    with closing(client("bedrock-runtime", url)) as made:
        yield made


def converse(runtime, *messages, **inference):
    return runtime.converse(
        modelId=MODEL, messages=list(messages), inferenceConfig={"temperature": 0.0, "maxTokens": 40, **inference}
    )


def said(answer):
    return answer["output"]["message"]["content"][0]["text"]


def test_a_real_answer_streams_with_true_counts(runtime):
    events = list(
        runtime.converse_stream(
            modelId=MODEL,
            messages=[user("Write a Python program that prints hello. Answer with the code block alone.")],
            inferenceConfig={"temperature": 0.0, "maxTokens": 100},
        )["stream"]
    )
    pieces = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert "print(" in "".join(pieces)
    assert len(pieces) > 5
    assert {"stopReason": "end_turn"} in [event.get("messageStop") for event in events]
    usage = events[-1]["metadata"]["usage"]
    # Each token is a piece, but for the one that ends the turn and those that are parts of a character.
    assert len(pieces) <= usage["outputTokens"] <= len(pieces) + 5
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_prompts_are_counted_by_the_models_own_tokens(runtime):
    short = converse(runtime, user("one two three"), maxTokens=1)["usage"]["inputTokens"]
    longer = converse(runtime, user("one two three" + " four" * 100), maxTokens=1)["usage"]["inputTokens"]
    assert longer - short == 100


def test_a_limit_is_kept_and_told(runtime):
    answer = converse(runtime, user("Count from 1 to 100."), maxTokens=7)
    assert answer["stopReason"] == "max_tokens"
    assert answer["usage"]["outputTokens"] == 7


def test_a_stop_sequence_is_kept_and_told(runtime):
    answer = converse(runtime, user("Count from 1 to 20, separated by commas."), stopSequences=["5"])
    assert answer["stopReason"] == "stop_sequence"
    assert "4" in said(answer)
    assert "5" not in said(answer)


def test_it_goes_on_with_what_it_had_begun(runtime):
    answer = converse(runtime, user("Count from 1 to 10, separated by commas."), assistant("1, 2, 3,"))
    assert said(answer).strip().startswith("4")


def test_a_prompt_that_does_not_fit_is_refused_before_it_is_read(runtime):
    with pytest.raises(runtime.exceptions.ValidationException, match="Input is too long for requested model"):
        converse(runtime, user("word " * 3000))


def test_a_tool_that_must_be_called_is_called(runtime):
    weather = {
        "name": "get_weather",
        "description": "The weather of a city",
        "inputSchema": {
            "json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    answer = runtime.converse(
        modelId=MODEL,
        messages=[user("What is the weather in Paris?")],
        inferenceConfig={"temperature": 0.0, "maxTokens": 60},
        toolConfig={"tools": [{"toolSpec": weather}], "toolChoice": {"tool": {"name": "get_weather"}}},
    )
    assert answer["stopReason"] == "tool_use"
    call = answer["output"]["message"]["content"][0]["toolUse"]
    assert (call["name"], call["input"]) == ("get_weather", {"city": "Paris"})


def test_a_client_that_closes_gives_the_model_to_the_next(runtime):
    events = runtime.converse_stream(modelId=MODEL, messages=[user("Write a very long story about the sea.")])["stream"]
    assert "messageStart" in next(iter(events))
    waiting = threading.Thread(target=converse, args=(runtime, user("Say OK.")), daemon=True)
    waiting.start()
    events.close()
    # The story alone would fill the context: more than a minute.
    waiting.join(30)
    assert not waiting.is_alive()


def test_another_model_is_unknown_here(runtime):
    with pytest.raises(runtime.exceptions.ValidationException, match="model identifier is invalid"):
        runtime.converse(modelId="anthropic.claude-3-haiku-20240307-v1:0", messages=[user("hi")])
