"""The errors of Bedrock, as AWS puts them on the wire.

HTTP/1.1 400 Bad Request
x-amzn-RequestId: <uuid>
x-amzn-ErrorType: ValidationException
{"message": "The provided model identifier is invalid."}
"""

# Source: the error shapes of botocore's `bedrock-runtime` model.
STATUS = {
    "ValidationException": 400,
    "ServiceQuotaExceededException": 400,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "UnrecognizedClientException": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}


class AwsFault(Exception):
    """An error of the service; `code` is AWS's name of it, `message` what its clients are shown."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status it travels with."""
        return STATUS.get(self.code, 400)


class CutOff(Exception):
    """The connection shall break in mid-reply, as a failing network would break it."""


def invalid(message: str) -> AwsFault:
    return AwsFault("ValidationException", message)


def unknown_model() -> AwsFault:
    return invalid("The provided model identifier is invalid.")


def too_long() -> AwsFault:
    return invalid("Input is too long for requested model.")


def malformed() -> AwsFault:
    return invalid("Malformed input request, please reformat your input and try again.")
