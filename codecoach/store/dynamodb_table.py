"""The DynamoDB table itself: its one definition, from which both the command and the deployment template make it.

partition S (hash key)   sort S (range key)   paid by request   time to live: expires_at   encrypted   restorable to
                                                                                           any second of 35 days
"""

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from codecoach.store.dynamodb import our_errors

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

KEY_SCHEMA: Final = (("partition", "HASH"), ("sort", "RANGE"))
BILLING: Final = "PAY_PER_REQUEST"
EXPIRES: Final = "expires_at"

# What says that a feature may not be looked at by this role, or is not known to a stand-in for DynamoDB.
_NOT_OURS: Final = {"AccessDeniedException", "UnknownOperationException"}


def resource(name: str) -> dict[str, object]:
    """The table as a resource of a CloudFormation template; it outlives its stack, for it holds what people wrote.

    Encrypted it would be anyhow; with `SSEEnabled` by a key whose uses the account's own trail shows.
    Source: AWS CloudFormation User Guide, "AWS::DynamoDB::Table".
    """
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "TableName": name,
            "BillingMode": BILLING,
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key, _ in KEY_SCHEMA],
            "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in KEY_SCHEMA],
            "TimeToLiveSpecification": {"AttributeName": EXPIRES, "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "SSESpecification": {"SSEEnabled": True},
        },
    }


def template(name: str) -> str:
    """A CloudFormation template in JSON of that table alone."""
    return json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Table": resource(name)}}, indent=2)


def ensure(client: "DynamoDBClient", name: str) -> tuple[str, ...]:
    """Create the table unless it is there, wait until it can be used, and switch on what it lacks.

    Returns the features, of `time to live` and `point-in-time recovery`, that cannot be seen or switched on: this role may not,
    or it is a stand-in for DynamoDB that does not know them. Raises `StoreError`.
    """
    with our_errors():
        try:
            client.describe_table(TableName=name)
        except client.exceptions.ResourceNotFoundException:
            _create(client, name)
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 120})
        lacking = {
            "time to live": _switched_on(_expires, _let_expire, client, name),
            "point-in-time recovery": _switched_on(_recovers, _let_recover, client, name),
        }
    missing = tuple(feature for feature, on in lacking.items() if not on)
    if missing:
        log.warning("table %s: this role cannot see that it has %s", name, ", ".join(missing))
    return missing


def _create(client: "DynamoDBClient", name: str) -> None:
    try:
        client.create_table(
            TableName=name,
            BillingMode=BILLING,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in KEY_SCHEMA],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in KEY_SCHEMA],  # type: ignore[typeddict-item]
            SSESpecification={"Enabled": True},
        )
    except client.exceptions.ResourceInUseException:
        return  # another process was quicker


def _switched_on(
    is_on: Callable[["DynamoDBClient", str], bool],
    switch_on: Callable[["DynamoDBClient", str], object],
    client: "DynamoDBClient",
    name: str,
) -> bool:
    """Whether a feature is on, having tried to switch it on."""
    try:
        if is_on(client, name):
            return True
        try:
            switch_on(client, name)
        except ClientError:
            if not is_on(client, name):  # else another process was quicker
                raise
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_OURS:
            raise
        return False
    return True


def _expires(client: "DynamoDBClient", name: str) -> bool:
    status = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"].get("TimeToLiveStatus")
    return status in ("ENABLED", "ENABLING")


def _let_expire(client: "DynamoDBClient", name: str) -> object:
    return client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES}
    )


def _recovers(client: "DynamoDBClient", name: str) -> bool:
    found = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"


def _let_recover(client: "DynamoDBClient", name: str) -> object:
    return client.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
