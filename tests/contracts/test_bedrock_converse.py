"""Converse and ConverseStream of the local endpoint, as boto3 sees them over real HTTP."""

import http.client
import json
import time
from contextlib import closing
from itertools import islice
from urllib.parse import urlparse

import pytest
import urllib3.exceptions
from botocore.exceptions import ClientError, EventStreamError

from codecoach.local.engine import Attachment, Text, ToolResult, ToolUse
from codecoach.local.scripted import Call, Reply, Rule, Script, ScriptedServer
from tests.bedrock import CLAUDE_2, CLAUDE_3, MISTRAL, assistant, client, user

WEATHER = {
    "toolSpec": {
        "name": "get_weather",
        "description": "The weather of a city",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
}
CALLED = {
    "role": "assistant",
    "content": [{"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Rome"}}}],
}
ANSWERED = {
    "role": "user",
    "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"sky": "blue"}}, {"text": "dry"}]}}],
}
PNG = {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}


@pytest.fixture
def bedrock():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def runtime(bedrock):
    with closing(client("bedrock-runtime", bedrock.url)) as runtime:
        yield runtime


def converse(runtime, *messages, model=CLAUDE_3, **more):
    return runtime.converse(modelId=model, messages=list(messages) or [user("hi")], **more)


def stream(runtime, *messages, model=CLAUDE_3, **more):
    return runtime.converse_stream(modelId=model, messages=list(messages) or [user("hi")], **more)["stream"]


def text_of(events):
    return "".join(
        event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event
    )


def test_a_reply_comes_whole(bedrock, runtime):
    bedrock.engine.say("Hello big world", input_tokens=7)
    answer = converse(runtime)
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "Hello big world"}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    assert answer["ResponseMetadata"]["RequestId"]


def test_a_reply_comes_in_pieces_in_bedrocks_order(bedrock, runtime):
    bedrock.engine.say("Hello big world")
    events = list(stream(runtime))
    assert [next(iter(event)) for event in events] == [
        "messageStart",
        *["contentBlockDelta"] * 3,
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert text_of(events) == "Hello big world"
    assert events[-1]["metadata"]["usage"]["outputTokens"] == 3


def test_text_of_any_script_survives_the_frames(bedrock, runtime):
    chunks = ["你好，", "wörld 🎉", "\n```python\n", 'print("\\u0000")', "\u2028"]
    bedrock.engine.say(chunks=tuple(chunks))
    events = [event["contentBlockDelta"]["delta"]["text"] for event in stream(runtime) if "contentBlockDelta" in event]
    assert events == chunks


def test_an_empty_reply_is_a_reply(bedrock, runtime):
    bedrock.engine.say("")
    assert text_of(list(stream(runtime))) == ""
    bedrock.engine.say("")
    assert converse(runtime)["output"]["message"]["content"] == []


def test_the_engine_sees_what_was_asked(bedrock, runtime):
    converse(
        runtime,
        user("one", "two"),
        assistant("three"),
        user("four"),
        system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        inferenceConfig={"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    )
    (asked,) = bedrock.requests
    assert [(turn.role, turn.blocks) for turn in asked.turns] == [
        ("user", (Text("one"), Text("two"))),
        ("assistant", (Text("three"),)),
        ("user", (Text("four"),)),
    ]
    assert (asked.system, asked.max_tokens, asked.temperature, asked.top_p) == ("Be brief.", 5, 0.5, 0.9)
    assert asked.stop_sequences == ("END",)
    assert asked.model_id == CLAUDE_3


def test_max_tokens_and_stop_sequences_end_a_reply(bedrock, runtime):
    bedrock.engine.say("one two three four")
    short = converse(runtime, inferenceConfig={"maxTokens": 2})
    assert (short["output"]["message"]["content"][0]["text"], short["stopReason"]) == ("one two", "max_tokens")
    assert short["usage"]["outputTokens"] == 2
    bedrock.engine.say("one two three four")
    stopped = converse(runtime, inferenceConfig={"stopSequences": ["three"]})
    assert (stopped["output"]["message"]["content"][0]["text"], stopped["stopReason"]) == ("one two ", "stop_sequence")


def test_a_tool_is_called_and_its_result_understood(bedrock, runtime):
    bedrock.engine.say("Let me see.", calls=(Call("get_weather", {"city": "Rome"}),))
    answer = converse(runtime, toolConfig={"tools": [WEATHER], "toolChoice": {"any": {}}})
    assert answer["stopReason"] == "tool_use"
    called = answer["output"]["message"]["content"][1]["toolUse"]
    assert (called["name"], called["input"]) == ("get_weather", {"city": "Rome"})
    assert bedrock.requests[0].tool_choice == "any"
    converse(runtime, user("weather?"), CALLED, ANSWERED, toolConfig={"tools": [WEATHER]})
    assert bedrock.requests[1].turns[1].blocks == (ToolUse("t1", "get_weather", '{"city": "Rome"}'),)
    assert bedrock.requests[1].turns[2].blocks == (ToolResult("t1", '{"sky": "blue"}\ndry'),)


def test_a_tool_call_streams_as_a_block_of_its_own(bedrock, runtime):
    bedrock.engine.say("Let me see.", calls=(Call("get_weather", {"city": "Rome"}),))
    events = list(stream(runtime, toolConfig={"tools": [WEATHER]}))
    starts = [event["contentBlockStart"] for event in events if "contentBlockStart" in event]
    assert [(start["contentBlockIndex"], start["start"]["toolUse"]["name"]) for start in starts] == [(1, "get_weather")]
    arguments = [
        e["contentBlockDelta"]["delta"]["toolUse"]["input"]
        for e in events
        if "toolUse" in e.get("contentBlockDelta", {}).get("delta", {})
    ]
    assert json.loads("".join(arguments)) == {"city": "Rome"}
    assert [event["contentBlockStop"]["contentBlockIndex"] for event in events if "contentBlockStop" in event] == [0, 1]


def test_a_model_that_sees_is_given_the_image(bedrock, runtime):
    converse(runtime, {"role": "user", "content": [{"text": "what is it?"}, PNG]})
    assert bedrock.requests[0].turns[0].blocks[1] == Attachment("image", "png", b"\x89PNG")


def test_a_profile_and_an_arn_name_their_model(bedrock, runtime):
    named = ["us.anthropic.claude-sonnet-5-5", f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE_3}"]
    for model in named:
        assert converse(runtime, model=model)["output"]["message"]["role"] == "assistant"
    assert [request.model_id for request in bedrock.requests] == named


REFUSED = {
    "unknown model": ({"modelId": "anthropic.claude-99"}, "The provided model identifier is invalid."),
    "a profile that is not there": ({"modelId": f"mars.{CLAUDE_3}"}, "The provided model identifier is invalid."),
    "no messages": ({"messages": []}, "must start with a user message"),
    "assistant first": ({"messages": [assistant("hi")]}, "must start with a user message"),
    "two in a row": ({"messages": [user("a"), user("b")]}, "alternate between user and assistant"),
    "blank text": ({"messages": [user(" \n")]}, "messages.0.content.0 is blank"),
    "no content": ({"messages": [{"role": "user", "content": []}]}, "messages.0 is empty"),
    "an image for a blind model": (
        {"modelId": CLAUDE_2, "messages": [{"role": "user", "content": [PNG]}]},
        "doesn't support images",
    ),
    "a document": (
        {
            "modelId": CLAUDE_2,
            "messages": [{"role": "user", "content": [{"document": {"name": "a", "source": {"text": "b"}}}]}],
        },
        "doesn't support documents",
    ),
    "a system prompt for Mistral 7B": (
        {"modelId": MISTRAL, "system": [{"text": "x"}]},
        "doesn't support system messages",
    ),
    "tools for Claude 2": ({"modelId": CLAUDE_2, "toolConfig": {"tools": [WEATHER]}}, "doesn't support tool use"),
    "too hot": (
        {"inferenceConfig": {"temperature": 1.5}},
        "at 'inferenceConfig.temperature' failed to satisfy constraint",
    ),
    "a turn of the system's": (
        {"messages": [user("x"), {"role": "system", "content": [{"text": "x"}]}]},
        "doesn't support the role system",
    ),
    "a role that is none": (
        {"messages": [{"role": "critic", "content": [{"text": "x"}]}]},
        "enum value set: [user, assistant",
    ),
    "a tool's name with a space": (
        {"toolConfig": {"tools": [{"toolSpec": {**WEATHER["toolSpec"], "name": "get weather"}}]}},
        "regular expression pattern",
    ),
    "blocks of tools without tools": ({"messages": [user("x"), CALLED, ANSWERED]}, "toolConfig field must be defined"),
    "a result that nobody waits for": (
        {"messages": [user("x"), assistant("y"), ANSWERED], "toolConfig": {"tools": [WEATHER]}},
        "exceeds the number of toolUse blocks",
    ),
    "a call without its result": (
        {"messages": [user("x"), CALLED, user("y")], "toolConfig": {"tools": [WEATHER]}},
        "Expected toolResult blocks at messages.2.content",
    ),
    "a choice that is no tool": (
        {"toolConfig": {"tools": [WEATHER], "toolChoice": {"tool": {"name": "other"}}}},
        "not defined in tools",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_bedrock_refuses_is_refused(runtime, bedrock, case):
    request, message = REFUSED[case]
    request = {"modelId": CLAUDE_3, "messages": [user("hi")], **request}
    for operation in (runtime.converse, runtime.converse_stream):
        with pytest.raises(runtime.exceptions.ValidationException) as caught:
            operation(**request)
        assert message in caught.value.response["Error"]["Message"]
    assert bedrock.requests == []


def post(bedrock, path: str, body: bytes):
    """A request that boto3 would not let out."""
    address = urlparse(bedrock.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    connection.request("POST", path, body)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    return answer.status, answer.headers["x-amzn-ErrorType"], content["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Malformed input request"),
        (b"[]", "Malformed input request"),
        (b'{"messages": 5}', "Invalid type for parameter messages"),
        (b'{"messages": [{"role": "user"}]}', 'Missing required parameter in messages[0]: "content"'),
        (b'{"massages": []}', 'Unknown parameter in input: "massages"'),
        (b'{"messages": [{"role": "user", "content": [{"text": "a", "image": {}}]}]}', "one of the following keys"),
        (
            b'{"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "%"}}}]}]}',
            "Malformed",
        ),
        (b'{"inferenceConfig": {"maxTokens": 0}}', "Invalid value for parameter inferenceConfig.maxTokens"),
    ],
)
def test_what_botocores_model_refuses_is_refused(bedrock, body, message):
    status, code, said = post(bedrock, f"/model/{CLAUDE_3}/converse", body)
    assert (status, code) == (400, "ValidationException")
    assert message in said


def test_what_is_not_served_says_so(bedrock):
    status, code, _ = post(bedrock, "/model/x/no-such-operation", b"{}")
    assert (status, code) == (404, "UnknownOperationException")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 429),
        ("AccessDeniedException", 403),
        ("ResourceNotFoundException", 404),
        ("ServiceUnavailableException", 503),
        ("ModelNotReadyException", 429),
        ("InternalServerException", 500),
    ],
)
def test_injected_faults_are_aws_errors(bedrock, runtime, code, status):
    bedrock.engine.fail(code, "as told", times=2)
    for operation in (converse, stream):
        with pytest.raises(ClientError) as caught:
            operation(runtime)
        assert caught.value.response["Error"] == {"Code": code, "Message": "as told"}
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert converse(runtime)["stopReason"] == "end_turn"


def test_a_fault_in_mid_stream_is_an_exception_frame(bedrock, runtime):
    bedrock.engine.say("one two three", fault="ModelStreamErrorException", fault_after=2)
    with closing(stream(runtime)) as events, pytest.raises(EventStreamError) as caught:
        list(events)
    assert caught.value.response["Error"]["Code"] == "modelStreamErrorException"


def test_what_came_before_a_fault_has_come(bedrock, runtime):
    bedrock.engine.say("one two three", fault="ThrottlingException", fault_after=2)
    events = stream(runtime)
    each = iter(events)
    seen = list(islice(each, 3))
    with pytest.raises(EventStreamError, match="throttlingException"):
        next(each)
    events.close()
    assert text_of(seen) == "one two"


def test_a_cut_stream_is_a_broken_connection(bedrock, runtime):
    bedrock.engine.say("one two three", cut_after=2)
    events = stream(runtime)
    each = iter(events)
    seen = list(islice(each, 3))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        next(each)
    events.close()
    assert text_of(seen) == "one two"


def test_a_stream_can_end_without_its_end_mark(bedrock, runtime):
    bedrock.engine.say("one two three", end_after=2)
    events = list(stream(runtime))
    assert text_of(events) == "one two"
    assert not any("messageStop" in event for event in events)


def test_a_client_that_closes_stops_the_reply_and_the_next_is_served(bedrock, runtime):
    bedrock.engine.say("word " * 1000, token_delay_s=30)
    events = stream(runtime)
    assert "messageStart" in next(iter(events))
    events.close()
    assert bedrock.engine.cancel_seen.wait(10)
    assert bedrock.engine.cancelled == bedrock.requests
    assert converse(runtime)["stopReason"] == "end_turn"


@pytest.mark.parametrize("path", ["converse", "converse-stream"])
def test_a_client_that_leaves_before_the_first_word_stops_it_too(bedrock, path):
    bedrock.engine.say("late", first_delay_s=60)
    address = urlparse(bedrock.url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("POST", f"/model/{CLAUDE_3}/{path}", json.dumps({"messages": [user("hi")]}))
    while not bedrock.requests:
        time.sleep(0.005)
    connection.close()
    assert bedrock.engine.cancel_seen.wait(10)


def test_a_reply_that_was_read_to_its_end_was_not_cancelled(bedrock, runtime):
    list(stream(runtime))
    converse(runtime)
    assert bedrock.engine.cancelled == []


def test_one_connection_serves_many_requests(bedrock):
    address = urlparse(bedrock.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    for operation in ("converse-stream", "converse", "converse-stream"):
        connection.request("POST", f"/model/{CLAUDE_3}/{operation}", json.dumps({"messages": [user("hi")]}))
        socket = connection.sock
        assert connection.getresponse().read()
        assert connection.sock is socket
    connection.close()


def test_rules_reply_by_what_was_said_and_as_often_as_they_say(bedrock, runtime):
    rules = (Rule("busy", Reply(fault="ThrottlingException"), times=1), Rule("busy", Reply(text="free")))
    bedrock.engine.follow(Script(rules, Reply(text="default")))
    with pytest.raises(ClientError, match="Throttling"):
        converse(runtime, user("are you busy?"))
    assert converse(runtime, user("are you busy?"))["output"]["message"]["content"][0]["text"] == "free"
    assert (
        converse(runtime, user("busy"), assistant("x"), user("no"))["output"]["message"]["content"][0]["text"]
        == "default"
    )


def test_a_script_with_a_mistake_is_refused():
    with pytest.raises(ValueError, match="tokens_delay"):
        Script.parse('{"default": {"text": "x", "tokens_delay": 1}}')
