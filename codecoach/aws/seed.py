"""What a fresh simulated AWS account holds.

EC2 (one region)   VPC demo-vpc 10.20.0.0/16 with one subnet; instances web-1, web-2 (running), batch-1 (stopped)
S3                 demo-reports with two objects, demo-uploads with one, demo-logs empty
DynamoDB           table Orders (OrderId) with three items
SQS                queue orders with two messages
other regions      as in any new account: a default VPC and its subnets, nothing else; S3 buckets are seen from everywhere
"""

import json
from decimal import Decimal

import boto3

INSTANCES = (
    ("web-1", "t3.micro", "production"),
    ("web-2", "t3.small", "production"),
    ("batch-1", "m5.large", "staging"),
)
STOPPED = "batch-1"
OBJECTS: dict[str, dict[str, str]] = {
    "demo-reports": {
        "2026/sales.csv": "month,amount\n2026-01,1200\n2026-02,1350\n",
        "2026/summary.txt": "Sales rose by 12.5 % from January to February.\n",
    },
    "demo-uploads": {"hello.txt": "Hello from the simulated S3.\n"},
    "demo-logs": {},
}
ORDERS: tuple[dict[str, str | Decimal], ...] = (
    {"OrderId": "1001", "Customer": "Ada", "Status": "shipped", "Total": Decimal("42.50")},
    {"OrderId": "1002", "Customer": "Grace", "Status": "open", "Total": Decimal("17.00")},
    {"OrderId": "1003", "Customer": "Linus", "Status": "open", "Total": Decimal("99.90")},
)


def seed(region: str) -> None:
    """Fill the account that boto3 reaches; regional things go to `region`."""
    session = boto3.Session(region_name=region)
    _instances(session)
    _buckets(session)
    _orders(session)


def _instances(session: boto3.Session) -> None:
    ec2 = session.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=_tags("vpc", Name="demo-vpc"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24", TagSpecifications=_tags("subnet", Name="demo"))
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    for name, kind, environment in INSTANCES:
        started = ec2.run_instances(
            ImageId=image,
            InstanceType=kind,
            SubnetId=subnet["Subnet"]["SubnetId"],
            MinCount=1,
            MaxCount=1,
            TagSpecifications=_tags("instance", Name=name, Environment=environment),
        )
        if name == STOPPED:
            ec2.stop_instances(InstanceIds=[started["Instances"][0]["InstanceId"]])


def _buckets(session: boto3.Session) -> None:
    # Buckets are made from us-east-1, where create_bucket needs no location.
    s3 = session.client("s3", region_name="us-east-1")
    for bucket, objects in OBJECTS.items():
        s3.create_bucket(Bucket=bucket)
        for key, body in objects.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body.encode())


def _orders(session: boto3.Session) -> None:
    table = session.resource("dynamodb").create_table(
        TableName="Orders",
        KeySchema=[{"AttributeName": "OrderId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "OrderId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for order in ORDERS:
        table.put_item(Item=order)
    sqs = session.client("sqs")
    queue = sqs.create_queue(QueueName="orders")["QueueUrl"]
    for order in ORDERS[1:]:
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"OrderId": order["OrderId"]}))


def _tags(resource: str, **tags: str) -> list[dict[str, object]]:
    return [{"ResourceType": resource, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
