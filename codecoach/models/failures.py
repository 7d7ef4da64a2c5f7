"""What Bedrock, botocore and langchain-aws raise, as our errors.

`detail` holds the foreign words. People see them only where AWS said them, as a quotation; what botocore or the network
say of themselves is for the log.
"""

import re
from urllib.parse import urlsplit

import botocore.exceptions as boto
import urllib3.exceptions

from codecoach.errors import (
    CodeCoachError,
    CredentialsMissing,
    ModelAccessDenied,
    ModelError,
    ModelInputTooLong,
    ModelNotFound,
    ModelRefused,
    ModelThrottled,
    ModelUnavailable,
    StreamBroken,
)
from codecoach.models.catalogue import entry, nearest_living

_DETAIL_CHARS = 400

# Lower case: before the stream the service writes `ThrottlingException`, in it `throttlingException`.
_THROTTLED = {"throttlingexception", "toomanyrequestsexception", "servicequotaexceededexception"}
_NO_CREDENTIALS = {
    "expiredtoken",
    "expiredtokenexception",
    "invalidclienttokenid",
    "invalidsignatureexception",
    "missingauthenticationtoken",
    "missingauthenticationtokenexception",
    "signaturedoesnotmatch",
    "unrecognizedclientexception",
}
_NO_CREDENTIALS_TYPES = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ProfileNotFound,
    boto.NoAuthTokenError,
)
# Words of a ValidationException. Source: answers of the service, collected in issue trackers; they differ by model.
_TOO_LONG = re.compile(
    r"too long|too large for model|context (length|window|limit)|maximum (context|input)|too many (input )?tokens"
    r"|exceeds? the (model's )?(maximum|max|limit)|input length",
    re.IGNORECASE,
)
_NO_SUCH_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|could not resolve the foundation model"
    r"|end of (its )?life|model (is )?not found|unknown model",
    re.IGNORECASE,
)


def as_ours(error: Exception, model_id: str, begun: bool = False) -> CodeCoachError:
    """Our error for whatever a call to a model raised.

    begun  text has come already; what only cuts the reply off is then a `StreamBroken`
    """
    if isinstance(error, CodeCoachError):
        return error
    if isinstance(error, boto.ClientError):
        return _of_service(error, model_id, begun)
    if isinstance(error, _NO_CREDENTIALS_TYPES):
        return CredentialsMissing(detail=_detail(error))
    if isinstance(error, boto.ParamValidationError):
        return ModelRefused("request_malformed", detail=_detail(error))
    if isinstance(error, boto.BotoCoreError | urllib3.exceptions.HTTPError | OSError):
        return StreamBroken() if begun else _of_network(error)
    return ModelError(detail=_detail(error))


def _of_network(error: Exception) -> ModelUnavailable:
    if isinstance(error, boto.ReadTimeoutError | urllib3.exceptions.ReadTimeoutError):
        return ModelUnavailable("model_slow", detail=_detail(error))
    address = getattr(error, "kwargs", {}).get("endpoint_url", "")
    if isinstance(error, boto.ConnectionError | boto.HTTPClientError) and address:
        return ModelUnavailable("model_unreachable", address=urlsplit(address).netloc, detail=_detail(error))
    return ModelUnavailable(detail=_detail(error))


def _of_service(error: boto.ClientError, model_id: str, begun: bool) -> ModelError:
    code = error.response.get("Error", {}).get("Code", "").lower()
    detail = _detail(error)
    if code in _THROTTLED:
        return ModelThrottled()
    if code in _NO_CREDENTIALS:
        return CredentialsMissing("credentials_refused", detail=detail)
    if code == "accessdeniedexception":
        return ModelAccessDenied(model=model_id)
    if code == "resourcenotfoundexception" or (code == "validationexception" and _NO_SUCH_MODEL.search(detail)):
        return not_found(model_id, detail)
    if code == "validationexception":
        return ModelInputTooLong() if _TOO_LONG.search(detail) else ModelRefused(detail=detail)
    if begun:
        return StreamBroken()
    return ModelUnavailable("model_faulty", detail=detail)


def not_found(model_id: str, detail: str) -> ModelNotFound:
    """The error for a model that is not there; names the nearest living one where the catalogue knows it as retired."""
    known = entry(model_id)
    instead = nearest_living(model_id)
    if known and known.state() == "retired" and instead:
        return ModelNotFound("model_retired", model=model_id, instead=instead)
    return ModelNotFound(model=model_id, detail=detail)


def _detail(error: Exception) -> str:
    """The service's own words, without boto3's frame around them."""
    words = str(error)
    if isinstance(error, boto.ClientError):
        words = error.response.get("Error", {}).get("Message", "") or words
    return words[:_DETAIL_CHARS]
