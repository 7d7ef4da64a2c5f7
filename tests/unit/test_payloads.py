"""Payloads: each body is what its format's documentation says, and says what was changed on the way."""

import boto3
import pytest
from botocore.validate import ParamValidator

from codecoach.errors import InputRefused
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.models import catalogue, payloads
from codecoach.models.payloads import Image
from tests.bedrock import CLAUDE_2, CLAUDE_3, MISTRAL

NOVA = "us.amazon.nova-2-lite-v1:0"
NEWEST = "global.anthropic.claude-opus-5-5"
ONE_OF_TWO = "anthropic.claude-haiku-4-5-20251001-v1:0"
NO_SYSTEM = "amazon.titan-text-express-v1"
EXAMPLES = (Example("2+2?", "4"),)
ALL = Parameters(300, 0.5, 0.9, 40, ("END",))


def keys(payload: payloads.Payload) -> list[str]:
    return [note.key.removeprefix("lab.notes.") for note in payload.notes]


def test_claude_3_without_and_with_a_system_role_differ_by_one_key():
    plain = payloads.build(Sheet("Hi", model_id=CLAUDE_3)).body
    assert plain == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert payloads.build(Sheet("Hi", "Be brief.", model_id=CLAUDE_3)).body == {**plain, "system": "Be brief."}


def test_messages_carry_examples_prefill_pictures_and_parameters():
    sheet = Sheet("What?", prefill="It is \n", examples=EXAMPLES, model_id=CLAUDE_3, parameters=ALL)
    payload = payloads.build(sheet, (Image("png", b"\x89PNG"),))
    assert payload.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "2+2?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "4"}]},
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                {"type": "text", "text": "What?"},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
    ]
    sampled = {name: payload.body[name] for name in ("max_tokens", "temperature", "top_p", "top_k", "stop_sequences")}
    assert sampled == {"max_tokens": 300, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "stop_sequences": ["END"]}
    assert "prefill_trimmed" in keys(payload)


@pytest.mark.parametrize(
    ("text", "prompt", "notes"),
    [
        ("Hi", "\n\nHuman: Hi\n\nAssistant:", ["human_added", "assistant_added"]),
        ("Human: Hi", "\n\nHuman: Hi\n\nAssistant:", ["assistant_added"]),
        ("\n\nHuman: Hi\n\nAssistant:", "\n\nHuman: Hi\n\nAssistant:", []),
        ("Be brief.\n\nHuman: Hi\nAssistant: So", "Be brief.\n\nHuman: Hi\n\nAssistant: So", []),
        (
            "Human: a\nAssistant: b\nHuman: c",
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:",
            ["assistant_added"],
        ),
        ("Assistant: b", "\n\nHuman:\n\nAssistant: b", ["human_added"]),
        ("What is 2+2?\n\nAssistant:", "\n\nHuman: What is 2+2?\n\nAssistant:", ["human_added"]),
    ],
)
def test_claude_2_gets_the_turns_that_were_missing(text, prompt, notes):
    payload = payloads.build(Sheet(text, model_id=CLAUDE_2))
    assert payload.body == {"prompt": prompt, "max_tokens_to_sample": 1024}
    assert [key for key in keys(payload) if not key.startswith("retired")] == notes


def test_claude_2_gets_system_examples_and_prefill_in_its_text():
    sheet = Sheet("Now?", "Be brief.", "Well", EXAMPLES, model_id=CLAUDE_2, parameters=ALL)
    body = payloads.build(sheet).body
    assert body["prompt"] == ("Be brief.\n\nHuman: 2+2?\n\nAssistant: 4\n\nHuman: Now?\n\nAssistant: Well")
    assert (body["max_tokens_to_sample"], body["stop_sequences"], body["top_k"]) == (300, ["END"], 40)


def test_what_stands_before_claude_2s_first_turn_stays_before_the_examples():
    body = payloads.build(Sheet("Be brief.\n\nHuman: Now?", examples=EXAMPLES, model_id=CLAUDE_2)).body
    assert body["prompt"] == "Be brief.\n\nHuman: 2+2?\n\nAssistant: 4\n\nHuman: Now?\n\nAssistant:"


@pytest.mark.parametrize("model_id", [CLAUDE_3, CLAUDE_2, MISTRAL, NOVA])
def test_no_turn_and_no_system_text_is_empty(model_id):
    """Bedrock refuses them: "text content blocks must be non-empty", "The text field in the ContentBlock object is blank"."""
    examples = (*EXAMPLES, Example("", ""), Example("5+5?", " \n"))
    some = payloads.build(Sheet("Hi", " \n", examples=examples, model_id=model_id))
    assert some.body == payloads.build(Sheet("Hi", examples=EXAMPLES, model_id=model_id)).body
    assert next(note.values for note in some.notes if "example" in note.key) == {"numbers": "2, 3"}


def test_mistral_is_instructed():
    sheet = Sheet("Now?", "Be brief.", "Well", EXAMPLES, model_id=MISTRAL, parameters=ALL)
    body = payloads.build(sheet).body
    assert body["prompt"] == "<s>[INST] Be brief.\n\n2+2? [/INST] 4</s>[INST] Now? [/INST] Well"
    assert (body["max_tokens"], body["stop"]) == (300, ["END"])
    written = payloads.build(Sheet("<s>[INST] Hi [/INST]", "Be brief.", model_id=MISTRAL)).body["prompt"]
    assert written == "<s>[INST] Be brief.\n\nHi [/INST]"
    shown = payloads.build(Sheet("[INST] Hi [/INST]", examples=EXAMPLES, model_id=MISTRAL)).body["prompt"]
    assert shown == "<s>[INST] 2+2? [/INST] 4</s>[INST] Hi [/INST]"


def test_what_a_model_refuses_is_left_out_and_said():
    newest = payloads.build(Sheet("Hi", prefill="So", model_id=NEWEST, parameters=ALL))
    assert newest.body.keys() == {"anthropic_version", "max_tokens", "messages", "stop_sequences"}
    assert len(newest.body["messages"]) == 1
    assert keys(newest) == ["parameter_left_out"] * 3 + ["prefill_left_out"]
    one = payloads.build(Sheet("Hi", model_id=ONE_OF_TWO, parameters=ALL))
    assert (one.body["temperature"], "top_p" in one.body) == (0.5, False)
    assert keys(one) == ["one_of_two"]


def test_a_stop_sequence_of_white_space_goes_only_to_models_that_take_it():
    blank = Parameters(300, stop_sequences=("\n", "\n\nHuman:"))
    claude = payloads.build(Sheet("Hi", model_id=NEWEST, parameters=blank))
    assert claude.body["stop_sequences"] == ["\n\nHuman:"]
    assert keys(claude) == ["stop_left_out"]
    assert payloads.build(Sheet("Hi", model_id=MISTRAL, parameters=blank)).body["stop"] == ["\n", "\n\nHuman:"]


def test_more_tokens_than_a_model_writes_are_lowered():
    payload = payloads.build(Sheet("Hi", model_id=CLAUDE_3, parameters=Parameters(10**7)))
    assert payload.body["max_tokens"] == catalogue.entry(CLAUDE_3).max_output_tokens
    assert "max_tokens" in keys(payload)


def test_a_model_without_system_prompts_gets_it_before_the_first_turn():
    payload = payloads.build(Sheet("Hi", "Be brief.", model_id=NO_SYSTEM))
    assert payload.body["messages"][0]["content"] == [{"text": "Be brief.\n\nHi"}]
    assert "system" not in payload.body
    assert "system_before_turn" in keys(payload)


def test_a_retired_model_still_has_its_request_and_names_the_nearest_living_one():
    note = payloads.build(Sheet("Hi", model_id=CLAUDE_2)).notes[0]
    assert note.key == "lab.notes.retired_since"
    assert note.values["day"] == "2025-07-21"
    assert catalogue.entry(note.values["instead"]).state() == "active"


def test_an_unknown_model_is_guessed_by_its_provider_and_that_is_said():
    claude = payloads.build(Sheet("Hi", model_id="us.anthropic.claude-quartet-9"))
    other = payloads.build(Sheet("Hi", model_id="acme.large-1", parameters=ALL))
    assert (claude.format, other.format) == ("claude_messages", "converse")
    assert other.body["inferenceConfig"] == {"maxTokens": 300, "stopSequences": ["END"]}
    assert keys(claude)[0] == keys(other)[0] == "unknown_model"


@pytest.mark.parametrize("model_id", [known.id for known in catalogue.entries()])
def test_botocore_accepts_every_models_request_by_converse(model_id):
    sheet = Sheet("Now?", "Be brief.", "Well", EXAMPLES, format="converse", model_id=model_id, parameters=ALL)
    images = (Image("png", b"\x89PNG"),) if payloads.takes_images(model_id, "converse") else ()
    payload = payloads.build(sheet, images)
    shape = boto3.client("bedrock-runtime", region_name="us-east-1").meta.service_model.operation_model("Converse")
    report = ParamValidator().validate({"modelId": model_id, **payload.body}, shape.input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("sheet", "images", "key"),
    [
        (Sheet("Hi"), (), "lab_no_model"),
        (Sheet(" \n", model_id=CLAUDE_3), (), "lab_empty"),
        (Sheet("Hi", format="mistral_text", model_id=CLAUDE_3), (), "lab_format"),
        (Sheet("Hi", format="nonsense", model_id=NOVA), (), "lab_format"),
        (Sheet("Hi", model_id=MISTRAL), (Image("png", b""),), "lab_images"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(sheet, images, key):
    with pytest.raises(InputRefused) as refused:
        payloads.build(sheet, images)
    assert refused.value.key == key


def test_pictures_travel_as_base64_where_the_request_is_shown():
    payload = payloads.build(Sheet("Hi", format="converse", model_id=CLAUDE_3), (Image("gif", b"GIF8"),))
    shown = payload.json()["body"]["messages"][0]["content"][0]
    assert shown == {"image": {"format": "gif", "source": {"bytes": "R0lGOA=="}}}
