"""The boto3 clients of Bedrock, made once and shared by all threads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from codecoach.settings import Backend, Settings

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient

# The discard port of this machine.
NOBODY = "http://127.0.0.1:9"
CONNECT_TIMEOUT_S = 5.0
# Lists are short and shown while somebody waits.
LIST_TIMEOUT_S = 15.0
# As many replies can stream at once without a connection being thrown away after each.
CONNECTIONS = 128


@dataclass(frozen=True)
class Clients:
    """runtime: calls models. control: lists them."""

    runtime: "BedrockRuntimeClient"
    control: "BedrockClient"


def clients(settings: Settings) -> Clients:
    """Both clients, for Bedrock or for the local endpoint that speaks its protocol.

    boto3 never repeats a call to a model by itself: `ConverseModel` does, and shows it.
    """
    embedded = settings.backend is Backend.EMBEDDED
    # The local endpoint takes any credentials, but boto3 sends nothing without some.
    dummy = "local" if embedded else None
    session = boto3.Session(dummy, dummy, region_name=settings.region)
    # Embedded means that nothing leaves this machine, also where nobody has said on which port the endpoint is.
    endpoint = settings.bedrock_endpoint_url or (NOBODY if embedded else None)
    return Clients(
        runtime=session.client(
            "bedrock-runtime",
            endpoint_url=endpoint,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=settings.request_timeout_s,
                retries={"total_max_attempts": 1},
                max_pool_connections=CONNECTIONS,
                tcp_keepalive=True,
            ),
        ),
        control=session.client(
            "bedrock",
            # In AWS the two have endpoints of their own, also in a VPC; the local one is both.
            endpoint_url=endpoint if embedded else settings.bedrock_control_endpoint_url or None,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=LIST_TIMEOUT_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
            ),
        ),
    )
