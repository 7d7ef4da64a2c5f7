"""Who we are to AWS is asked of STS, and what it cannot say becomes an error of ours."""

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from codecoach.aws.identity import Identity, caller_identity
from codecoach.errors import CredentialsMissing, IdentityUnknown

QUICK = Config(retries={"total_max_attempts": 1}, connect_timeout=1)


def sts(**options):
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return boto3.client("sts", region_name="us-east-1", config=QUICK, **keys | options)


def test_the_caller_is_named():
    client = sts()
    answer = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada", "UserId": "AIDA"}
    with Stubber(client) as stub:
        stub.add_response("get_caller_identity", answer)
        assert caller_identity(client) == Identity(answer["Account"], answer["Arn"], answer["UserId"])


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ExpiredToken", CredentialsMissing),
        ("InvalidClientTokenId", CredentialsMissing),
        ("Throttling", IdentityUnknown),
    ],
)
def test_what_sts_refuses_is_told_apart(code, error):
    client = sts()
    with Stubber(client) as stub:
        stub.add_client_error("get_caller_identity", code, "so it is")
        with pytest.raises(error) as caught:
            caller_identity(client)
    assert caught.value.values["detail"] == "so it is"


def test_no_credentials_are_credentials_missing():
    client = sts(aws_access_key_id=None, aws_secret_access_key=None)
    with pytest.raises(CredentialsMissing) as caught:
        caller_identity(client)
    assert isinstance(caught.value.__cause__, NoCredentialsError)


def test_no_answer_is_an_error_of_ours():
    with pytest.raises(IdentityUnknown):
        caller_identity(sts(endpoint_url="http://127.0.0.1:1"))
