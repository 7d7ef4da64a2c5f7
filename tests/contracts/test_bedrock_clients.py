"""langchain-aws's chat models and the control plane's clients work against the local endpoint unchanged."""

import pytest
from botocore.exceptions import ClientError
from langchain_aws import ChatBedrock, ChatBedrockConverse
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from codecoach.local.scripted import Call, ScriptedServer
from tests.bedrock import CLAUDE_2, CLAUDE_3, client

ASKED = [SystemMessage("Be brief."), HumanMessage("hi")]


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"dry in {city}"


@pytest.fixture
def bedrock():
    with ScriptedServer() as server:
        yield server


@pytest.fixture(params=[ChatBedrockConverse, ChatBedrock])
def chat(request, bedrock):
    return request.param(
        model=CLAUDE_3,
        client=client("bedrock-runtime", bedrock.url),
        bedrock_client=client("bedrock", bedrock.url),
        provider="anthropic",
    )


def test_a_reply_comes_whole(bedrock, chat):
    bedrock.engine.say("Hello big world", input_tokens=7)
    reply = chat.invoke(ASKED)
    assert reply.text == "Hello big world"
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (7, 3)
    assert bedrock.requests[0].system == "Be brief."


def test_a_reply_streams(bedrock, chat):
    bedrock.engine.say("Hello big world", input_tokens=7)
    chunks = list(chat.stream(ASKED))
    assert "".join(chunk.text for chunk in chunks) == "Hello big world"
    assert len([chunk for chunk in chunks if chunk.text]) == 3
    whole = sum(chunks[1:], chunks[0])
    assert (whole.usage_metadata["input_tokens"], whole.usage_metadata["output_tokens"]) == (7, 3)


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_and_answered(bedrock, chat, streamed):
    bedrock.engine.say(calls=(Call("get_weather", {"city": "Rome"}, "t1"),))
    bound = chat.bind_tools([get_weather])
    if streamed:
        chunks = list(bound.stream(ASKED))
        reply = sum(chunks[1:], chunks[0])
    else:
        reply = bound.invoke(ASKED)
    assert [(call["name"], call["args"], call["id"]) for call in reply.tool_calls] == [
        ("get_weather", {"city": "Rome"}, "t1")
    ]
    bedrock.engine.say("It is dry.")
    answered = [*ASKED, AIMessage(reply.content, tool_calls=reply.tool_calls), ToolMessage("dry", tool_call_id="t1")]
    assert bound.invoke(answered).text == "It is dry."
    assert bedrock.requests[1].tools[0].name == "get_weather"


def test_errors_come_through(bedrock, chat):
    bedrock.engine.fail("AccessDeniedException", "not you")
    with pytest.raises((ClientError, ValueError), match="not you"):
        chat.invoke(ASKED)


def test_claude_2_is_asked_in_its_own_text(bedrock):
    chat = ChatBedrock(model=CLAUDE_2, client=client("bedrock-runtime", bedrock.url), provider="anthropic")
    bedrock.engine.say("Hello")
    assert chat.invoke([HumanMessage("hi")]).text.strip() == "Hello"


def test_models_are_listed(bedrock):
    control = client("bedrock", bedrock.url)
    models = control.list_foundation_models(byOutputModality="TEXT")["modelSummaries"]
    assert {"anthropic.claude-haiku-5-5", "local.qwen2.5-coder-1.5b-instruct"} <= {model["modelId"] for model in models}
    assert all(model["responseStreamingSupported"] for model in models)
    on_demand = control.list_foundation_models(byInferenceType="ON_DEMAND")["modelSummaries"]
    assert 0 < len(on_demand) < len(models)
    assert control.list_foundation_models(byOutputModality="IMAGE")["modelSummaries"] == []


def test_one_model_is_described(bedrock):
    control = client("bedrock", bedrock.url)
    details = control.get_foundation_model(modelIdentifier=CLAUDE_3)["modelDetails"]
    assert details["modelId"] == CLAUDE_3
    with pytest.raises(control.exceptions.ResourceNotFoundException):
        control.get_foundation_model(modelIdentifier="no.such")


def test_profiles_are_listed_by_pages(bedrock):
    control = client("bedrock", bedrock.url)
    pages = control.get_paginator("list_inference_profiles").paginate(
        typeEquals="SYSTEM_DEFINED", PaginationConfig={"PageSize": 50}
    )
    profiles = [profile for page in pages for profile in page["inferenceProfileSummaries"]]
    assert "us.anthropic.claude-haiku-5-5" in {profile["inferenceProfileId"] for profile in profiles}
    assert len(profiles) > 50
    assert control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"] == []


def test_a_parameter_out_of_bounds_is_refused(bedrock):
    control = client("bedrock", bedrock.url)
    with pytest.raises(ClientError, match="ValidationException"):
        control.list_inference_profiles(maxResults=5000)
