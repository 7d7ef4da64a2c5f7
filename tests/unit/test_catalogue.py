"""The catalogue is whole and consistent, and every way to name a model leads to its entry."""

from datetime import date

import pytest

from codecoach.models import catalogue
from codecoach.models.catalogue import CURRENT_PICKS, Price, base_id, entries, entry, geo, nearest_living, profile_id

ALL = pytest.mark.parametrize("known", entries(), ids=lambda known: known.id)


@ALL
def test_every_entry_is_found_by_its_id_and_by_each_of_its_profiles(known):
    assert entry(known.id) is known
    for prefix in known.geos:
        assert entry(f"{prefix}.{known.id}") is known
        assert geo(f"{prefix}.{known.id}") == prefix
    assert geo(known.id) == ""


@ALL
def test_limits_fit_together(known):
    if known.context_tokens and known.max_output_tokens:
        assert 0 < known.max_output_tokens <= known.context_tokens


@ALL
def test_a_model_that_can_be_called_has_limits_and_a_price(known):
    if known.announced_state in ("active", "legacy"):
        assert known.context_tokens
        assert known.max_output_tokens
        assert known.price


@ALL
def test_prices_are_plausible_and_profiles_cost_about_the_same(known):
    for price in filter(None, (known.price, *known.geo_prices.values())):
        assert 0 <= price.input_per_mtok <= price.output_per_mtok <= 200
    for prefix, price in known.geo_prices.items():
        assert prefix in known.geos
        assert known.price
        assert 0.9 <= price.input_per_mtok / known.price.input_per_mtok <= 1.5


@ALL
def test_what_is_told_of_a_model_does_not_contradict_itself(known):
    assert known.name
    assert known.provider == known.id.partition(".")[0]
    # A global profile costs what the model costs, so its price must be known.
    assert ("global" in known.geos) <= ("global" in known.geo_prices)
    if known.format == "claude_text":
        assert known.state() == "retired"


def test_the_models_of_the_original_system_are_there_with_their_formats():
    formats = {
        "anthropic.claude-instant-v1": "claude_text",
        "anthropic.claude-v2": "claude_text",
        "anthropic.claude-v2:1": "claude_text",
        "anthropic.claude-3-haiku-20240307-v1:0": "claude_messages",
        "anthropic.claude-3-sonnet-20240229-v1:0": "claude_messages",
        "anthropic.claude-3-opus-20240229-v1:0": "claude_messages",
        "mistral.mistral-7b-instruct-v0:2": "mistral_text",
        "mistral.mixtral-8x7b-instruct-v0:1": "mistral_text",
    }
    assert {name: entry(name).format for name in formats} == formats


def test_the_newest_claude_models_take_no_sampling_parameters_and_no_prefill():
    for name in CURRENT_PICKS[:3]:
        assert (entry(name).sampling, entry(name).prefill) == ("none", False)
    assert entry("anthropic.claude-sonnet-4-5-20250929-v1:0").sampling == "one"


def test_current_picks_are_active():
    assert [name for name in CURRENT_PICKS if entry(name).state() != "active"] == []


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("us.anthropic.claude-haiku-5-5", "anthropic.claude-haiku-5-5"),
        ("us-gov.anthropic.claude-haiku-5-5", "anthropic.claude-haiku-5-5"),
        ("in.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
        ("ca.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        ("newland.deepseek.v3.2", "deepseek.v3.2"),
        ("deepseek.v3.2", "deepseek.v3.2"),
        ("arn:aws:bedrock:us-east-1::foundation-model/deepseek.v3.2", "deepseek.v3.2"),
        ("arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.deepseek.v3.2", "deepseek.v3.2"),
        ("anthropic.claude-v2:1:200k", "anthropic.claude-v2:1"),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3", "a1b2c3"),
        ("", ""),
    ],
)
def test_prefixes_and_arns_are_stripped(name, base):
    assert base_id(name) == base


def test_context_variants_and_old_version_marks_lead_to_the_same_entry():
    assert entry("anthropic.claude-v2:0:18k").id == "anthropic.claude-v2"
    assert entry("amazon.titan-text-express-v1:0:8k").id == "amazon.titan-text-express-v1"


def test_an_opaque_profile_or_an_unknown_model_has_no_entry():
    assert entry("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3") is None
    assert entry("anthropic.claude-nonesuch") is None


def test_a_model_of_the_users_own_on_this_machine_is_like_ours():
    own = entry("local.llama-3.2-3b")
    assert (own.id, own.name, own.price, own.sampling) == ("local.llama-3.2-3b", "llama-3.2-3b", Price(0, 0), "both")
    assert own not in entries()


def test_a_profile_has_its_own_price_or_the_dearest_of_its_model():
    lite = entry("amazon.nova-2-lite-v1:0")
    assert lite.price_of("amazon.nova-2-lite-v1:0") == Price(0.3, 2.5)
    assert lite.price_of("us.amazon.nova-2-lite-v1:0") == Price(0.33, 2.75)
    assert lite.price_of("newland.amazon.nova-2-lite-v1:0") == Price(0.429, 3.597)
    assert [lite.price_is_assumed(f"{prefix}amazon.nova-2-lite-v1:0") for prefix in ("", "us.", "newland.")] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("model_id", "price"),
    [
        ("ca.amazon.nova-lite-v1:0", Price(0.078, 0.312)),
        ("us.amazon.nova-premier-v1:0", Price(2.5, 12.5)),
        ("in.anthropic.claude-haiku-4-5-20251001-v1:0", Price(1.1, 5.5)),
        ("us-gov.anthropic.claude-haiku-4-5-20251001-v1:0", Price(1.1, 5.5)),
    ],
)
def test_what_costs_something_anywhere_is_never_taken_for_free(model_id, price):
    assert entry(model_id).price_of(model_id) == price
    assert catalogue.micro_dollars(model_id, 1_000_000, 0) == round(price.input_per_mtok * 1e6)


def test_a_model_of_which_no_price_is_known_has_none():
    assert entry("anthropic.claude-v2").price_of("anthropic.claude-v2") is None
    assert not entry("anthropic.claude-v2").price_is_assumed("anthropic.claude-v2")


def test_a_model_is_retired_from_its_end_of_life_on():
    model = entry("mistral.mistral-7b-instruct-v0:2")
    assert model.end_of_life == date(2027, 3, 30)
    assert model.state(date(2027, 3, 29)) == "legacy"
    assert model.state(date(2027, 3, 30)) == "retired"


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-east-1", "us"),
        ("us-gov-west-1", "us-gov"),
        ("eu-west-1", "eu"),
        ("ap-northeast-1", "jp"),
        ("ap-southeast-1", "apac"),
        ("sa-east-1", "global"),
    ],
)
def test_a_region_calls_a_model_through_its_own_profile(region, expected):
    assert profile_id("anthropic.claude-haiku-5-5", region) == f"{expected}.anthropic.claude-haiku-5-5"


def test_a_model_without_profiles_is_called_by_its_own_id():
    assert profile_id("qwen.qwen3-coder-next", "eu-west-1") == "qwen.qwen3-coder-next"
    assert profile_id("unknown.model", "eu-west-1") == "unknown.model"


@pytest.mark.parametrize(
    ("gone", "instead"),
    [
        ("us.anthropic.claude-3-opus-20240229-v1:0", "anthropic.claude-opus-5-5"),
        ("anthropic.claude-3-sonnet-20240229-v1:0", "anthropic.claude-sonnet-5-5"),
        ("anthropic.claude-instant-v1", "anthropic.claude-haiku-5-5"),
        ("amazon.titan-text-lite-v1", "amazon.nova-2-lite-v1:0"),
        ("mistral.mixtral-8x7b-instruct-v0:1", "mistral.mistral-large-3-675b-instruct"),
        ("never.heard-of-it", CURRENT_PICKS[0]),
    ],
)
def test_instead_of_a_retired_model_the_nearest_living_one_is_offered(gone, instead):
    assert nearest_living(gone) == instead


def test_only_what_can_be_called_here_is_offered():
    here = ["us.anthropic.claude-sonnet-5", "deepseek.v3.2", "us.anthropic.claude-3-opus-20240229-v1:0"]
    assert nearest_living("us.anthropic.claude-3-opus-20240229-v1:0", here) == "us.anthropic.claude-sonnet-5"
    assert nearest_living("deepseek.v3.2", ["deepseek.v3.2"]) is None


def test_a_retired_model_is_never_offered():
    for known in catalogue.entries():
        offered = nearest_living(known.id)
        assert entry(offered).state() == "active"
