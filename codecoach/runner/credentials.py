"""Which AWS a program may talk to, and how it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

REGIONS_DEFAULT = "us-east-1"


class AwsMode(StrEnum):
    """NONE: no AWS at all, no network. SIMULATED: a simulated AWS of the user's session, and nothing else.

    MINE: the AWS of a configured role, by its endpoints alone, with credentials of this run.
    """

    NONE = "none"
    SIMULATED = "simulated"
    MINE = "mine"


@dataclass(frozen=True)
class Credentials:
    """What one run may use AWS with, for some minutes. Secret but for who it is and until when: never logged, never stored.

    arn         who AWS takes the program for
    expires_at  with its time zone
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    arn: str
    expires_at: datetime

    @property
    def expired(self) -> bool:
        return datetime.now(UTC) >= self.expires_at

    def masked(self, text: str) -> str:
        """The text with what is secret replaced by asterisks."""
        for secret in (self.secret_access_key, self.session_token):
            text = text.replace(secret, "***") if secret else text
        return text


@dataclass(frozen=True)
class AwsAccess:
    """The AWS of one run.

    host, port   where the runner reaches the simulated AWS; the program itself sees another address
    credentials  of AwsMode.MINE, lent when the run starts
    """

    mode: AwsMode = AwsMode.NONE
    host: str = "127.0.0.1"
    port: int = 0
    region: str = REGIONS_DEFAULT
    credentials: Credentials | None = None


def environment(access: AwsAccess, endpoint_url: str) -> dict[str, str]:
    """Environment variables that tell every AWS SDK where to go and as whom.

    endpoint_url  the simulated AWS as the program sees it; its keys are dummies, it takes any

    Empty where there is no AWS, or nobody to be.
    """
    if access.mode is AwsMode.SIMULATED:
        who = {
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_ACCESS_KEY_ID": "simulated",
            "AWS_SECRET_ACCESS_KEY": "simulated",
        }
    elif access.mode is AwsMode.MINE and access.credentials:
        who = {
            "AWS_ACCESS_KEY_ID": access.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": access.credentials.secret_access_key,
            "AWS_SESSION_TOKEN": access.credentials.session_token,
        }
    else:
        return {}
    return who | {
        "AWS_REGION": access.region,
        "AWS_DEFAULT_REGION": access.region,
        # Without this every SDK first asks the instance metadata service, which is not there, and waits.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def profile_files(environment: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Contents of an AWS config and an AWS credentials file that say the same as `environment`.

    For code that names a profile and so does not look at variables alone.
    """
    settings = {"region": "AWS_REGION", "endpoint_url": "AWS_ENDPOINT_URL"}
    keys = {name.lower(): name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
    return _profile(environment, settings), _profile(environment, keys)


def _profile(environment: Mapping[str, str], names: Mapping[str, str]) -> bytes:
    lines = [f"{name} = {environment[key]}\n" for name, key in names.items() if key in environment]
    return f"[default]\n{''.join(lines)}".encode()
