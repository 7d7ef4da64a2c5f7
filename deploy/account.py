"""What a deployment needs of the account beside the stack: a private bucket for the source, CloudFront's prefix list."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy.errors import DeployRefused
from deploy.pack import Packed

# Where buckets are made without being told where. Source: CreateBucket in the S3 API reference.
UNSAID_REGION = "us-east-1"
PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"


@contextmanager
def aws_errors() -> Iterator[None]:
    """What AWS refuses becomes `DeployRefused`."""
    try:
        yield
    except ClientError as error:
        raise DeployRefused(
            operation=error.operation_name, detail=error.response["Error"].get("Message", "")
        ) from error
    except BotoCoreError as error:
        raise DeployRefused(operation="AWS", detail=str(error)) from error


def _there(head: Callable[[], object]) -> bool:
    """Whether S3 has what is asked for; others' and forbidden ones raise."""
    try:
        head()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return False
    return True


class Account:
    """One account in one region, by the credentials of the environment. Raises `DeployRefused`."""

    def __init__(self, region: str, session: boto3.Session | None = None) -> None:
        with aws_errors():
            self._session = session or boto3.Session(region_name=region)
            self.id: str = self._client("sts").get_caller_identity()["Account"]
        self.region = region

    def _client(self, service: Any) -> Any:  # noqa: ANN401 - clients of services whose types are not installed
        return self._session.client(service)

    @property
    def cloudformation(self) -> Any:  # noqa: ANN401
        return self._client("cloudformation")

    def upload(self, source: Packed, bucket: str = "") -> str:
        """The s3:// address of the source, uploaded unless it is there already; the bucket is made where there is none.

        Only a bucket of this very account is used: names of buckets can be guessed, and taken by others before.
        """
        bucket = bucket or f"codecoach-source-{self.id}-{self.region}"
        client = self._client("s3")
        with aws_errors():
            self._ensure_bucket(client, bucket)
            if not _there(lambda: client.head_object(Bucket=bucket, Key=source.name, ExpectedBucketOwner=self.id)):
                client.put_object(Bucket=bucket, Key=source.name, Body=source.content, ExpectedBucketOwner=self.id)
        return f"s3://{bucket}/{source.name}"

    def _ensure_bucket(self, client: Any, bucket: str) -> None:  # noqa: ANN401
        if _there(lambda: client.head_bucket(Bucket=bucket, ExpectedBucketOwner=self.id)):
            return
        where = {} if self.region == UNSAID_REGION else {"LocationConstraint": self.region}
        client.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": where} if where else {}))
        closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))

    def prefix_list(self) -> str:
        """Id of the list of addresses from which CloudFront asks origins, in this region; "" where it cannot be seen."""
        wanted = [{"Name": "prefix-list-name", "Values": [PREFIX_LIST]}]
        try:
            found = self._client("ec2").describe_managed_prefix_lists(Filters=wanted)["PrefixLists"]
        except ClientError:  # who may not look trusts what the template knows
            return ""
        return str(found[0]["PrefixListId"]) if found else ""

    def delete_table(self, name: str) -> None:
        with aws_errors():
            client = self._client("dynamodb")
            try:
                client.delete_table(TableName=name)
            except client.exceptions.ResourceNotFoundException:
                return
            client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 150})
