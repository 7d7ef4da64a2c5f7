"""InvokeModel and its stream with the bodies of Claude Messages, Claude 2 and Mistral, as boto3 sees them."""

import json
from contextlib import closing

import pytest

from codecoach.local.engine import Text, ToolResult, ToolUse
from codecoach.local.scripted import Call, ScriptedServer
from codecoach.local.served import local_model
from tests.bedrock import CLAUDE_2, CLAUDE_3, MISTRAL, client

VERSION = {"anthropic_version": "bedrock-2023-05-31"}
MESSAGES = {**VERSION, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
HUMAN = {"prompt": "\n\nHuman: hi\n\nAssistant:", "max_tokens_to_sample": 50}
INST = {"prompt": "<s>[INST] hi [/INST]", "max_tokens": 50}
WEATHER = {"name": "get_weather", "description": "Weather", "input_schema": {"type": "object"}}
NOVA = "amazon.nova-lite-v1:0"


@pytest.fixture
def bedrock():
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def runtime(bedrock):
    with closing(client("bedrock-runtime", bedrock.url)) as runtime:
        yield runtime


def invoke(runtime, model, body):
    return json.loads(runtime.invoke_model(modelId=model, body=json.dumps(body))["body"].read())


def stream(runtime, model, body):
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def test_messages_are_answered_by_a_message(bedrock, runtime):
    bedrock.engine.say("Hello big world", input_tokens=7)
    message = invoke(runtime, CLAUDE_3, MESSAGES)
    assert message.pop("id").startswith("msg_bdrk_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "claude-3-haiku-20240307-v1:0",
        "content": [{"type": "text", "text": "Hello big world"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 3},
    }


def test_counts_travel_in_the_headers_too(bedrock, runtime):
    bedrock.engine.say("Hello big world", input_tokens=7)
    answer = runtime.invoke_model(modelId=CLAUDE_3, body=json.dumps(MESSAGES))
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == "7"
    assert headers["x-amzn-bedrock-output-token-count"] == "3"
    assert answer["contentType"] == "application/json"


def test_messages_stream_in_claudes_order(bedrock, runtime):
    bedrock.engine.say("Hello world", input_tokens=7)
    chunks = stream(runtime, CLAUDE_3, MESSAGES)
    assert [chunk["type"] for chunk in chunks] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert chunks[-2]["usage"] == {"output_tokens": 2}
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["inputTokenCount"] == 7


def test_messages_may_hold_blocks_tools_and_a_system_prompt(bedrock, runtime):
    bedrock.engine.say("Sure.", calls=(Call("get_weather", {"city": "Rome"}, "t9"),))
    body = {
        **MESSAGES,
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [WEATHER],
        "tool_choice": {"type": "tool", "name": "get_weather"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "dry"}]},
        ],
    }
    message = invoke(runtime, CLAUDE_3, body)
    assert message["content"] == [
        {"type": "text", "text": "Sure."},
        {"type": "tool_use", "id": "t9", "name": "get_weather", "input": {"city": "Rome"}},
    ]
    assert message["stop_reason"] == "tool_use"
    (asked,) = bedrock.requests
    assert (asked.system, asked.tool_choice, asked.tools[0].name) == ("Be brief.", "get_weather", "get_weather")
    assert [turn.blocks for turn in asked.turns] == [
        (Text("weather?"),),
        (ToolUse("t1", "get_weather", "{}"),),
        (ToolResult("t1", "dry"),),
    ]


def test_claude_2_reads_turns_and_completes(bedrock, runtime):
    bedrock.engine.say("Hello world")
    prompt = "Be brief.\n\nHuman: one\n\nAssistant: two\n\nHuman: three\n\nAssistant:"
    answer = invoke(runtime, CLAUDE_2, {**HUMAN, "prompt": prompt, "stop_sequences": ["\n\nHuman:", "END"]})
    assert (answer["completion"], answer["stop_reason"], answer["stop"]) == (
        "Hello world",
        "stop_sequence",
        "\n\nHuman:",
    )
    (asked,) = bedrock.requests
    assert asked.system == "Be brief."
    assert [(turn.role, turn.text) for turn in asked.turns] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert asked.stop_sequences == ("END",)


def test_claude_2_goes_on_with_what_the_assistant_began(bedrock, runtime):
    invoke(runtime, CLAUDE_2, {**HUMAN, "prompt": "\n\nHuman: hi\n\nAssistant: Hel"})
    assert bedrock.requests[0].turns[-1].text == "Hel"


def test_claude_2_streams_completions(bedrock, runtime):
    bedrock.engine.say("Hello big world")
    chunks = stream(runtime, CLAUDE_2, {**HUMAN, "max_tokens_to_sample": 2})
    assert "".join(chunk["completion"] for chunk in chunks) == "Hello big"
    assert (chunks[-1]["stop_reason"], chunks[-1]["stop"]) == ("max_tokens", None)
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 2


def test_mistral_reads_instructions(bedrock, runtime):
    bedrock.engine.say("Hello world")
    prompt = "<s>[INST] one [/INST] two</s>[INST] three [/INST]"
    answer = invoke(runtime, MISTRAL, {**INST, "prompt": prompt, "stop": ["END"]})
    assert answer == {"outputs": [{"text": "Hello world", "stop_reason": "stop"}]}
    (asked,) = bedrock.requests
    assert [(turn.role, turn.text) for turn in asked.turns] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert asked.stop_sequences == ("END",)


def test_mistral_streams_outputs(bedrock, runtime):
    bedrock.engine.say("Hello big world")
    chunks = stream(runtime, MISTRAL, {**INST, "max_tokens": 2})
    assert "".join(chunk["outputs"][0]["text"] for chunk in chunks) == "Hello big"
    assert chunks[-1]["outputs"][0]["stop_reason"] == "length"


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


@pytest.mark.parametrize(
    ("model", "body", "message"),
    [
        ("anthropic.claude-99", MESSAGES, "model identifier is invalid"),
        (CLAUDE_3, HUMAN, "Please use the Messages API instead"),
        (CLAUDE_3, without(MESSAGES, "anthropic_version"), "anthropic_version: Field required"),
        (CLAUDE_3, without(MESSAGES, "max_tokens"), "max_tokens: Field required"),
        (CLAUDE_3, without(MESSAGES, "messages"), "messages: Field required"),
        (CLAUDE_3, {**MESSAGES, "colour": "red"}, "colour: Extra inputs are not permitted"),
        (CLAUDE_3, {**MESSAGES, "temperature": 2}, "temperature"),
        (CLAUDE_3, {**MESSAGES, "max_tokens": 0}, "max_tokens"),
        (CLAUDE_3, {**MESSAGES, "max_tokens": True}, "max_tokens"),
        (CLAUDE_3, {**MESSAGES, "messages": []}, "first message must use"),
        (CLAUDE_3, {**MESSAGES, "messages": [{"role": "user", "content": ""}]}, "must be non-empty"),
        (CLAUDE_3, {**MESSAGES, "messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0"),
        (CLAUDE_3, {**MESSAGES, "messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        (CLAUDE_3, {**MESSAGES, "messages": ["x"]}, "messages.0.role"),
        (CLAUDE_3, {**MESSAGES, "tools": [{"name": "x"}]}, "tools.0.input_schema"),
        (CLAUDE_3, {**MESSAGES, "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        (CLAUDE_2, {**HUMAN, "prompt": "hi\n\nAssistant:"}, 'must start with "\n\nHuman:"'),
        (CLAUDE_2, {**HUMAN, "prompt": "\n\nHuman: hi"}, 'must end with "\n\nAssistant:"'),
        (CLAUDE_2, without(HUMAN, "max_tokens_to_sample"), "required key [max_tokens_to_sample] not found"),
        (MISTRAL, {**INST, "max_new_tokens": 5}, "extraneous key [max_new_tokens] is not permitted"),
        (MISTRAL, {**INST, "prompt": 5}, "/prompt: expected type: str"),
        (MISTRAL, MESSAGES, "required key [prompt] not found"),
        (NOVA, MESSAGES, "served through Converse only"),
    ],
)
def test_a_body_that_the_family_refuses_is_refused(bedrock, runtime, model, body, message):
    for operation in (invoke, stream):
        with pytest.raises(runtime.exceptions.ValidationException) as caught:
            operation(runtime, model, body)
        assert message in caught.value.response["Error"]["Message"]
    assert bedrock.requests == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
def test_what_is_no_json_object_is_refused(runtime, body):
    with pytest.raises(runtime.exceptions.ValidationException, match="Malformed input request"):
        runtime.invoke_model(modelId=CLAUDE_3, body=body)


@pytest.mark.parametrize("body", [MESSAGES, HUMAN, INST])
def test_a_local_model_takes_every_body(body):
    model = local_model("Some-Coder:7b")
    assert model.id == "local.some-coder-7b"
    with ScriptedServer(models=(model,)) as server:
        runtime = client("bedrock-runtime", server.url)
        invoke(runtime, model.id, body)
        stream(runtime, model.id, body)
        assert [asked.turns[0].text for asked in server.requests] == ["hi", "hi"]


def test_faults_reach_this_operation_too(bedrock, runtime):
    bedrock.engine.fail("ThrottlingException")
    with pytest.raises(runtime.exceptions.ThrottlingException):
        invoke(runtime, CLAUDE_3, MESSAGES)
