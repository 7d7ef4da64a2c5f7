"""The list of models, joined from what the service lists and what the catalogue knows.

The service is a small HTTP server that answers as Bedrock's control plane does; its answers pass botocore's own parser.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest

from codecoach.errors import ModelAccessDenied, ModelUnavailable
from codecoach.local.ports import any_free
from codecoach.models.clients import clients
from codecoach.models.directory import BedrockDirectory
from codecoach.settings import Settings

ARN = "arn:aws:bedrock:us-east-1::foundation-model/"


def model(model_id: str, *, on_demand: bool = False, streaming: bool = True, status: str = "ACTIVE", **more: object):
    return {
        "modelArn": ARN + model_id,
        "modelId": model_id,
        "modelName": model_id.title(),
        "providerName": "Somebody",
        "inputModalities": ["TEXT"],
        "responseStreamingSupported": streaming,
        "inferenceTypesSupported": ["ON_DEMAND"] if on_demand else ["INFERENCE_PROFILE"],
        "modelLifecycle": {"status": status},
        **more,
    }


def profile(profile_id: str, status: str = "ACTIVE"):
    return {
        "inferenceProfileId": profile_id,
        "inferenceProfileArn": f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{profile_id}",
        "inferenceProfileName": profile_id,
        "models": [{"modelArn": ARN + profile_id.partition(".")[2]}],
        "status": status,
        "type": "SYSTEM_DEFINED",
    }


class ControlPlane(ThreadingHTTPServer):
    """Answers the two lists; `denied` paths are refused, `broken` all. Profiles come two to a page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: list[object] = []
        self.profiles: list[object] = []
        self.denied: set[str] = set()
        self.broken = False
        self.calls: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: ControlPlane

    def do_GET(self) -> None:
        url = urlparse(self.path)
        query = parse_qs(url.query)
        self.server.calls.append(self.path)
        if url.path in self.server.denied:
            return self._answer(403, {"message": "not authorized"}, {"x-amzn-errortype": "AccessDeniedException"})
        if self.server.broken:
            return self._answer(500, {"message": "internal"}, {"x-amzn-errortype": "InternalServerException"})
        if url.path == "/foundation-models":
            return self._answer(200, {"modelSummaries": self.server.models})
        start = int(query.get("nextToken", ["0"])[0])
        page = {"inferenceProfileSummaries": self.server.profiles[start : start + 2]}
        more = start + 2 < len(self.server.profiles)
        return self._answer(200, {**page, "nextToken": str(start + 2)} if more else page)

    def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ControlPlane]:
    server = ControlPlane()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def directory(service: ControlPlane) -> BedrockDirectory:
    url = f"http://127.0.0.1:{service.server_address[1]}"
    return BedrockDirectory(clients(Settings(bedrock_endpoint_url=url)).control)


@pytest.fixture
def _aws_credentials(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


def ids(directory: BedrockDirectory) -> list[str]:
    return [card.id for card in directory.cards()]


def test_a_model_is_listed_by_each_id_that_can_call_it(service, directory):
    service.models = [model("deepseek.v3.2", on_demand=True), model("anthropic.claude-haiku-5-5")]
    service.profiles = [
        profile("us.anthropic.claude-haiku-5-5"),
        profile("eu.deepseek.v3.2", status="LEGACY"),
        profile("global.anthropic.claude-haiku-5-5"),
        profile("us.deepseek.v3.2"),
    ]
    assert ids(directory) == [
        "us.anthropic.claude-haiku-5-5",
        "global.anthropic.claude-haiku-5-5",
        "us.deepseek.v3.2",
        "deepseek.v3.2",
    ]


def test_what_does_not_stream_or_cannot_be_called_here_is_left_out(service, directory):
    service.models = [model("deepseek.v3.2", on_demand=True, streaming=False), model("anthropic.claude-opus-5-5")]
    assert ids(directory) == []


def test_a_card_holds_what_the_catalogue_knows(service, directory):
    service.models = [model("amazon.nova-2-lite-v1:0", on_demand=True)]
    service.profiles = [profile("us.amazon.nova-2-lite-v1:0")]
    profile_card, own_card = directory.cards()
    assert (own_card.label, profile_card.label) == ("Nova 2 Lite", "Nova 2 Lite (us)")
    assert (own_card.price_in_per_mtok, profile_card.price_in_per_mtok) == (0.3, 0.33)
    assert not own_card.price_assumed
    assert own_card.context_tokens == 1_000_000
    assert own_card.accepts_temperature


def test_a_card_says_where_its_price_is_that_of_another_part_of_the_world(service, directory):
    service.models = [model("amazon.nova-lite-v1:0")]
    service.profiles = [profile("ca.amazon.nova-lite-v1:0"), profile("us.amazon.nova-lite-v1:0")]
    cards = {card.id: card for card in directory.cards()}
    assumed = cards["ca.amazon.nova-lite-v1:0"]
    assert (assumed.price_in_per_mtok, assumed.price_out_per_mtok, assumed.price_assumed) == (0.078, 0.312, True)
    assert not cards["us.amazon.nova-lite-v1:0"].price_assumed


def test_a_model_that_the_catalogue_does_not_know_is_listed_as_the_service_names_it(service, directory):
    service.models = [model("new.model-1", on_demand=True, inputModalities=["TEXT", "IMAGE"])]
    (card,) = directory.cards()
    assert (card.label, card.provider, card.state) == ("New.Model-1", "Somebody", "active")
    assert card.vision
    assert (card.context_tokens, card.price_in_per_mtok, card.accepts_temperature) == (0, None, False)


def test_what_the_service_says_of_the_end_counts_more_than_the_catalogue(service, directory):
    service.models = [
        model("a.one", on_demand=True, status="LEGACY"),
        model("a.two", on_demand=True, modelLifecycle={"status": "LEGACY", "endOfLifeTime": "2020-01-01T00:00:00Z"}),
        model("a.three", on_demand=True, modelLifecycle={"status": "LEGACY", "endOfLifeTime": "2120-01-01T00:00:00Z"}),
        model("mistral.mixtral-8x7b-instruct-v0:1", on_demand=True),
    ]
    assert {card.id: (card.state, card.end_of_life) for card in directory.cards()} == {
        "a.one": ("legacy", ""),
        "a.two": ("retired", "2020-01-01"),
        "a.three": ("legacy", "2120-01-01"),
        "mistral.mixtral-8x7b-instruct-v0:1": ("active", "2027-03-30"),
    }


def test_picks_come_first_then_active_then_legacy_ones(service, directory):
    service.models = [
        model("a.old", on_demand=True, status="LEGACY"),
        model("a.new", on_demand=True),
        model("qwen.qwen3-coder-next", on_demand=True),
        model("mistral.mistral-large-3-675b-instruct", on_demand=True),
    ]
    assert ids(directory) == [
        "mistral.mistral-large-3-675b-instruct",
        "qwen.qwen3-coder-next",
        "a.new",
        "a.old",
    ]


def test_without_the_list_of_profiles_their_ids_are_guessed_and_a_note_says_so(service, directory):
    service.denied = {"/inference-profiles"}
    service.models = [model("anthropic.claude-haiku-5-5"), model("qwen.qwen3-coder-next", on_demand=True)]
    assert ids(directory) == ["us.anthropic.claude-haiku-5-5", "qwen.qwen3-coder-next"]
    assert [note.key for note in directory.notes()] == ["models.no_profile_list"]


def test_without_the_list_of_models_profiles_are_listed_and_a_note_says_so(service, directory):
    service.denied = {"/foundation-models"}
    service.profiles = [profile("us.anthropic.claude-haiku-5-5")]
    (card,) = directory.cards()
    assert (card.label, card.state) == ("Claude Haiku 5.5 (us)", "active")
    assert [note.key for note in directory.notes()] == ["models.no_model_list"]


def test_without_either_list_the_reason_is_raised(service, directory):
    service.denied = {"/foundation-models", "/inference-profiles"}
    with pytest.raises(ModelAccessDenied) as caught:
        directory.cards()
    assert caught.value.key == "model_list_denied"


def test_in_aws_the_catalogues_models_are_offered_without_either_list_and_why_is_known(service):
    service.denied = {"/foundation-models", "/inference-profiles"}
    url = f"http://127.0.0.1:{service.server_address[1]}"
    directory = BedrockDirectory(clients(Settings(bedrock_endpoint_url=url)).control, else_catalogue=True)
    assert ids(directory)[0] == "us.anthropic.claude-haiku-5-5"
    assert "local" not in {card.provider for card in directory.cards()}
    assert "retired" not in {card.state for card in directory.cards()}
    assert directory.why_unlisted().key == "model_list_denied"
    directory.ping()  # they may be called all the same
    service.denied = set()
    service.models = [model("a.one", on_demand=True)]
    directory.ping()
    assert (ids(directory), directory.why_unlisted()) == (["a.one"], None)


def test_in_aws_a_ping_tells_that_the_service_is_away_and_leaves_the_list(service):
    url = f"http://127.0.0.1:{service.server_address[1]}"
    directory = BedrockDirectory(clients(Settings(bedrock_endpoint_url=url)).control, else_catalogue=True)
    service.models = [model("a.one", on_demand=True)]
    directory.ping()
    service.broken = True
    with pytest.raises(ModelUnavailable):
        directory.ping()
    assert (ids(directory), directory.why_unlisted()) == (["a.one"], None)


def test_in_aws_the_lists_that_cannot_be_reached_are_not_taken_for_the_model():
    url = f"http://127.0.0.1:{any_free()}"
    directory = BedrockDirectory(clients(Settings(bedrock_endpoint_url=url)).control, else_catalogue=True)
    assert ids(directory)
    assert directory.why_unlisted().key == "model_list_unreachable"


@pytest.mark.usefixtures("_aws_credentials")
def test_in_aws_the_lists_have_an_endpoint_of_their_own():
    runtime, control = "http://127.0.0.1:1001", "http://127.0.0.1:1002"
    made = clients(Settings(backend="aws", bedrock_endpoint_url=runtime, bedrock_control_endpoint_url=control))
    assert (made.runtime.meta.endpoint_url, made.control.meta.endpoint_url) == (runtime, control)
    made = clients(Settings(backend="aws", bedrock_endpoint_url=runtime))
    assert made.control.meta.endpoint_url == "https://bedrock.us-east-1.amazonaws.com"


def test_the_service_is_asked_again_only_after_a_refresh(service, directory):
    service.models = [model("a.one", on_demand=True)]
    assert ids(directory) == ids(directory) == ["a.one"]
    assert len(service.calls) == 2
    service.models = [model("a.two", on_demand=True)]
    directory.refresh()
    assert ids(directory) == ["a.two"]


def test_only_text_models_are_asked_for(service, directory):
    directory.cards()
    assert "/foundation-models?byOutputModality=TEXT" in service.calls


def test_instead_of_a_model_the_nearest_of_those_here_is_offered(service, directory):
    service.models = [model("qwen.qwen3-coder-next", on_demand=True), model("a.one", on_demand=True)]
    assert directory.nearest("qwen.qwen3-coder-480b-a35b-v1:0") == "qwen.qwen3-coder-next"
