"""Which AWS a program may talk to, and how it is told."""

from dataclasses import dataclass
from enum import StrEnum

REGIONS_DEFAULT = "us-east-1"


class AwsMode(StrEnum):
    """NONE: no AWS at all, no network. SIMULATED: a simulated AWS of the user's session, and nothing else."""

    NONE = "none"
    SIMULATED = "simulated"


@dataclass(frozen=True)
class AwsAccess:
    """The AWS of one run.

    host, port  where the runner reaches the simulated AWS; the program itself sees another address
    """

    mode: AwsMode = AwsMode.NONE
    host: str = "127.0.0.1"
    port: int = 0
    region: str = REGIONS_DEFAULT


def environment(access: AwsAccess, endpoint_url: str) -> dict[str, str]:
    """Environment variables that point every AWS SDK at `endpoint_url`, as the program sees it.

    Empty for AwsMode.NONE. The keys are dummies: a simulated AWS takes any.
    """
    if access.mode is AwsMode.NONE:
        return {}
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "simulated",
        "AWS_SECRET_ACCESS_KEY": "simulated",
        "AWS_REGION": access.region,
        "AWS_DEFAULT_REGION": access.region,
        # Without this every SDK first asks the instance metadata service, which is not there, and waits.
        "AWS_EC2_METADATA_DISABLED": "true",
    }
