"""boto3's clients for a local Bedrock endpoint, as anybody would make them."""

import boto3
from botocore.config import Config

CLAUDE_3 = "anthropic.claude-3-haiku-20240307-v1:0"
CLAUDE_2 = "anthropic.claude-v2:1"
MISTRAL = "mistral.mistral-7b-instruct-v0:2"


def client(service: str, url: str):
    """One that asks once: what the endpoint answers is what a test sees."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )


def user(*words: str) -> dict[str, object]:
    return {"role": "user", "content": [{"text": word} for word in words]}


def assistant(*words: str) -> dict[str, object]:
    return {"role": "assistant", "content": [{"text": word} for word in words]}
