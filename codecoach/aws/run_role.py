"""Credentials for one run: STS AssumeRole of the configured role, cut down by a session policy, for a quarter of an hour."""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from codecoach.aws.identity import BAD_CREDENTIALS
from codecoach.errors import AwsRefused
from codecoach.runner.credentials import Credentials
from codecoach.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

LENT_S = 900
"""The least that STS gives. Source: DurationSeconds of AssumeRole in the STS API reference."""

ALL_OF_THE_ROLE = "role"
_NAME_CHARS = 20
_DENIED = frozenset(("AccessDenied", "AccessDeniedException"))
_POLICY_REFUSED = frozenset(("MalformedPolicyDocument", "PackedPolicyTooLarge", "ValidationError"))

log = logging.getLogger(__name__)
# At the level DEBUG this one writes every answer of AWS into the log, and with it what is lent here.
logging.getLogger("botocore.parsers").setLevel(logging.INFO)


def sts_client(settings: Settings) -> "STSClient":
    """A client with the credentials of this process; somebody waits for it, so it gives up soon."""
    quick = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2, "mode": "standard"})
    return boto3.session.Session(region_name=settings.region).client("sts", config=quick)


class RunRole:
    """The role that programs may use."""

    def __init__(self, settings: Settings, sts: Callable[[Settings], "STSClient"] = sts_client) -> None:
        """`sts` makes the client, when it is first needed: where there are no credentials, looking for them takes seconds."""
        self._settings = settings
        self._make_client = sts

    @cached_property
    def _sts(self) -> "STSClient":
        return self._make_client(self._settings)

    def lend(self, username: str) -> Credentials:
        """Credentials for one run of a user's program.

        Raises `AwsRefused`: aws_denied, aws_expired, aws_policy_refused or aws_unreachable.
        """
        role, name = self._settings.run_role_arn, session_name(username)
        try:
            answer = self._sts.assume_role(
                RoleArn=role, RoleSessionName=name, DurationSeconds=LENT_S, **_session_policy(self._settings)
            )
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise AwsRefused("aws_expired", detail=str(error)) from error
        except ClientError as error:
            raise _refusal(error, role) from error
        except BotoCoreError as error:
            raise AwsRefused("aws_unreachable", detail=str(error)) from error
        lent = answer["Credentials"]
        arn, expires_at = answer["AssumedRoleUser"]["Arn"], lent["Expiration"].astimezone(UTC)
        log.info("credentials of %s lent until %s", arn, expires_at.isoformat(timespec="seconds"))
        return Credentials(lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"], arn, expires_at)


def session_name(username: str) -> str:
    """How AWS's own logs name the user: the same each time, and telling nothing to who does not know the username."""
    return f"codecoach-{hashlib.sha256(username.strip().lower().encode()).hexdigest()[:_NAME_CHARS]}"


def _session_policy(settings: Settings) -> dict[str, Any]:
    policy = settings.run_role_policy
    if policy == ALL_OF_THE_ROLE:
        return {}
    if policy.startswith("{"):
        return {"Policy": policy}
    ours = f"arn:{settings.run_role_arn.split(':')[1]}:iam::aws:policy/"
    arns = (name if name.startswith("arn:") else ours + name for name in settings.run_role_policies)
    return {"PolicyArns": [{"arn": arn} for arn in arns]}


def _refusal(error: ClientError, role_arn: str) -> AwsRefused:
    told = error.response["Error"]
    code, detail = told.get("Code", ""), told.get("Message", "")
    if code in _DENIED:
        return AwsRefused("aws_denied", role=role_arn, detail=detail)
    if code in BAD_CREDENTIALS:
        return AwsRefused("aws_expired", detail=detail)
    if code in _POLICY_REFUSED:
        return AwsRefused("aws_policy_refused", detail=detail)
    return AwsRefused("aws_unreachable", detail=f"{code}: {detail}")
