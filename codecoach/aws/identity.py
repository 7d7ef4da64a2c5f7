"""Who we are to AWS."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from codecoach.errors import CredentialsMissing, IdentityUnknown

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

# Source: common errors of the STS API reference; GetCallerIdentity needs no permission, so AccessDenied hardly occurs.
BAD_CREDENTIALS = frozenset(
    ("ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException")
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """The account and the user or role whose credentials this process has."""

    account: str
    arn: str
    user_id: str


def caller_identity(sts_client: "STSClient") -> Identity:
    """Ask STS. Raises `CredentialsMissing` where there are no valid ones, `IdentityUnknown` where STS does not answer."""
    try:
        answer = sts_client.get_caller_identity()
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CredentialsMissing(detail=str(error)) from error
    except ClientError as error:
        told = error.response["Error"]
        kind = CredentialsMissing if told.get("Code") in BAD_CREDENTIALS else IdentityUnknown
        raise kind(detail=told.get("Message", "")) from error
    except BotoCoreError as error:
        raise IdentityUnknown(detail=str(error)) from error
    return Identity(answer["Account"], answer["Arn"], answer["UserId"])
