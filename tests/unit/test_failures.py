"""What the service, botocore and the network raise becomes one of our errors."""

import subprocess
import sys

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    EventStreamError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    TokenRetrievalError,
)
from urllib3.exceptions import ProtocolError

from codecoach import errors
from codecoach.i18n import Language, tell
from codecoach.models.failures import as_ours

MODEL = "us.anthropic.claude-haiku-5-5"


def refusal(code: str, message: str = "words of the service") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ConverseStream")


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (refusal("ThrottlingException"), errors.ModelThrottled),
        (refusal("TooManyRequestsException"), errors.ModelThrottled),
        (refusal("AccessDeniedException"), errors.ModelAccessDenied),
        (refusal("ExpiredTokenException"), errors.CredentialsMissing),
        (refusal("UnrecognizedClientException"), errors.CredentialsMissing),
        (refusal("ResourceNotFoundException"), errors.ModelNotFound),
        (refusal("ValidationException", "The provided model identifier is invalid."), errors.ModelNotFound),
        (
            refusal("ValidationException", "Invocation of model ID x with on-demand throughput isn\u2019t supported."),
            errors.ModelNotFound,
        ),
        (refusal("ValidationException", "Input is too long for requested model."), errors.ModelInputTooLong),
        (refusal("ValidationException", "prompt is too long: 9 tokens > 8 maximum"), errors.ModelInputTooLong),
        (refusal("ValidationException", "This model doesn't support the image content block"), errors.ModelRefused),
        (refusal("InternalServerException"), errors.ModelUnavailable),
        (refusal("ServiceUnavailableException"), errors.ModelUnavailable),
        (refusal("ModelTimeoutException"), errors.ModelUnavailable),
        (NoCredentialsError(), errors.CredentialsMissing),
        (TokenRetrievalError(provider="sso", error_msg="expired"), errors.CredentialsMissing),
        (ParamValidationError(report="x"), errors.ModelRefused),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), errors.ModelUnavailable),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), errors.ModelUnavailable),
        (RuntimeError("a fault in a library"), errors.ModelError),
    ],
    ids=lambda value: str(value)[:60],
)
def test_before_any_text_each_failure_has_its_own_error(raised, ours):
    assert type(as_ours(raised, MODEL)) is ours


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (ProtocolError("Connection broken"), errors.StreamBroken),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:1"), errors.StreamBroken),
        (ConnectionError("missing messageStop"), errors.StreamBroken),
        (refusal("modelStreamErrorException"), errors.StreamBroken),
        (refusal("internalServerException"), errors.StreamBroken),
        (refusal("throttlingException"), errors.ModelThrottled),
        (refusal("validationException", "input is too long"), errors.ModelInputTooLong),
        (NoCredentialsError(), errors.CredentialsMissing),
    ],
    ids=lambda value: str(value)[:60],
)
def test_in_mid_stream_what_only_cuts_the_reply_off_is_a_broken_stream(raised, ours):
    if isinstance(raised, ClientError):
        raised = EventStreamError(raised.response, raised.operation_name)
    assert type(as_ours(raised, MODEL, begun=True)) is ours


def test_the_services_own_words_are_kept_within_bounds():
    error = as_ours(refusal("ValidationException", "x" * 5000), MODEL)
    assert set(error.values["detail"]) == {"x"}
    assert len(error.values["detail"]) < 1000


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "raised",
    [
        NoCredentialsError(),
        TokenRetrievalError(provider="sso", error_msg="expired"),
        ParamValidationError(report="x"),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1/model"),
        ConnectTimeoutError(endpoint_url="http://127.0.0.1:1/model"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1/model"),
        ProtocolError("Connection broken"),
        OSError("no route to host"),
        RuntimeError("a fault in a library"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_botocore_or_the_network_say_is_logged_and_not_shown(raised, language):
    error = as_ours(raised, MODEL)
    shown = tell(language, error.what) + tell(language, error.hint)
    assert str(raised) not in shown
    assert "http" not in shown
    assert error.values["detail"] == str(raised)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "code", ["ExpiredTokenException", "ResourceNotFoundException", "ValidationException", "InternalServerException"]
)
def test_what_the_service_says_is_shown_as_a_quotation(code, language):
    assert "“words of the service”" in tell(language, as_ours(refusal(code), MODEL).what)


def test_an_endpoint_out_of_reach_is_named_by_its_address():
    error = as_ours(EndpointConnectionError(endpoint_url="https://bedrock.example:8443/model/x"), MODEL)
    assert (error.key, error.values["address"]) == ("model_unreachable", "bedrock.example:8443")


def test_of_a_retired_model_the_nearest_living_one_is_named():
    error = as_ours(refusal("ResourceNotFoundException"), "us.anthropic.claude-3-opus-20240229-v1:0")
    assert (error.key, error.values["instead"]) == ("model_retired", "anthropic.claude-opus-5-5")


def test_our_own_errors_stay_as_they_are():
    error = errors.StreamBroken()
    assert as_ours(error, MODEL) is error


def test_langchain_is_not_imported_before_it_is_needed():
    program = "import sys; from codecoach.models import converse; print('langchain_aws' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
