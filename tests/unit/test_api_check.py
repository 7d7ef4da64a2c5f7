"""boto3 code is judged by AWS's API models; where they do not tell for sure, nothing is said."""

import string
import textwrap

import pytest

from codecoach.aws.api_check import FindingKind, check
from codecoach.i18n import Language, table, tell

SETUP = """
import boto3
ec2 = boto3.client("ec2", region_name="us-east-1")
s3 = boto3.client("s3")
ddb = boto3.client("dynamodb")
response = ec2.describe_instances()
"""


def findings(code: str):
    return check(SETUP + textwrap.dedent(code))


def words(code: str) -> list[tuple[str, str]]:
    return [(finding.kind.value, finding.name) for finding in findings(code)]


FAULTS = {
    "a key that is deeper inside": ('response["Instances"]', "key_inside", "Instances"),
    "the same where it does not fail": ('response.get("Instances", [])', "key_inside", "Instances"),
    "the same as a condition": ('if "Instances" in response: pass', "key_inside", "Instances"),
    "a key nearly right": ('s3.list_buckets()["Bucket"]', "key_near", "Bucket"),
    "a key in the wrong case": ('response["reservations"]', "key_near", "reservations"),
    "a key that is nowhere": ('s3.list_buckets()["Colour"]', "key", "Colour"),
    "a key of a list": ('s3.list_buckets()["Buckets"]["Name"]', "key_of_list", "Name"),
    "a key of an item": (
        'for r in response["Reservations"]:\n  for i in r["Instances"]:\n    i["InstanceID"]',
        "key_near",
        "InstanceID",
    ),
    "a key in a comprehension": ('[r["Instance"] for r in response["Reservations"]]', "key_near", "Instance"),
    "a key by index": ('response["Reservations"][0]["Instance"]', "key_near", "Instance"),
    "a key of a numbered item": ('for n, r in enumerate(response["Reservations"]): r["Inst"]', "key", "Inst"),
    "a key of a sorted item": (
        'for b in sorted(s3.list_buckets()["Buckets"], key=str): b["BucketName"]',
        "key_near",
        "BucketName",
    ),
    "a key of a page": (
        'for p in ec2.get_paginator("describe_instances").paginate(): p["Instances"]',
        "key_inside",
        "Instances",
    ),
    "a key given by a name": ('KEY = "Instances"\nresponse[KEY]', "key_inside", "Instances"),
    "a key in a function": ("def f():\n  return response['Instances']\nf()", "key_inside", "Instances"),
    "a key of what a function returns": (
        "def f(client):\n  return client.describe_vpcs()\nf(ec2)['VPC']",
        "key_near",
        "VPC",
    ),
    "a key in a method": (
        "class A:\n  def __init__(self):\n    self.c = boto3.Session().client('sqs')\n"
        "  def f(self):\n    return self.c.list_queues()['Queues']",
        "key_near",
        "Queues",
    ),
    "a method nearly right": ('s3.list_object(Bucket="b")', "method_near", "list_object"),
    "a method that is nowhere": ("ec2.frobnicate()", "method", "frobnicate"),
    "a method in camel case": ("ec2.describeInstances()", "method_near", "describeInstances"),
    "a parameter in the wrong case": ('s3.list_objects_v2(bucket="b")', "parameter_near", "bucket"),
    "a parameter in snake case": ('ec2.stop_instances(instance_ids=["i"])', "parameter_near", "instance_ids"),
    "a parameter that is nowhere": ('s3.list_buckets(Colour="red")', "parameter", "Colour"),
    "a parameter inside a parameter": (
        'ec2.describe_instances(Filters=[{"Name": "n", "Value": ["v"]}])',
        "parameter_near",
        "Value",
    ),
    "a missing parameter": ('s3.get_object(Bucket="b")', "parameter_missing", "Key"),
    "a parameter missing inside a parameter": (
        'ddb.create_table(TableName="t", KeySchema=[{"AttributeName": "a"}], AttributeDefinitions=[])',
        "parameter_missing",
        "KeyType",
    ),
    "a string for a list": ('ec2.stop_instances(InstanceIds="i-1")', "parameter_type", "InstanceIds"),
    "a bare value for a typed one": ('ddb.put_item(TableName="t", Item={"id": "1"})', "parameter_type", "Item['id']"),
    "a positional argument": ('s3.list_objects_v2("b")', "positional", "list_objects_v2"),
    "a service nearly right": ('boto3.client("dynamo")', "service_near", "dynamo"),
    "a service that is nowhere": ('boto3.client("qqqqqq")', "service", "qqqqqq"),
    "a paginator nearly right": ('s3.get_paginator("list_object_v2")', "helper_near", "list_object_v2"),
    "a waiter that is nowhere": ('ec2.get_waiter("qqqqqq")', "helper", "qqqqqq"),
    "another import": ("from boto3 import client as c\nc('s3').list_buckets()['Bucket']", "key_near", "Bucket"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=list(FAULTS))
def test_a_fault_is_found(fault):
    code, kind, name = FAULTS[fault]
    assert (kind, name) in words(code)


RIGHT = {
    "what AWS documents": """
        for reservation in response["Reservations"]:
            for instance in reservation["Instances"]:
                name = next((t["Value"] for t in instance.get("Tags", []) if t["Key"] == "Name"), "")
                print(instance["InstanceId"], instance["State"]["Name"], name, instance.get("PublicIpAddress"))
    """,
    "metadata of the response": 'response["ResponseMetadata"]["HTTPStatusCode"]',
    "paging by hand": """
        kwargs = {}
        while True:
            page = s3.list_objects_v2(Bucket="b", **kwargs)
            for item in page.get("Contents", []):
                print(item["Key"], item["Size"])
            if not page.get("IsTruncated"):
                break
            kwargs["ContinuationToken"] = page["NextContinuationToken"]
    """,
    "a token that the operation does not have": """
        if response.get("Marker"): print(response.get("Marker"))
    """,
    "a name used for two responses": """
        response = s3.list_buckets()
        print(response["Buckets"])
        response = ddb.list_tables()
        print(response["TableNames"])
    """,
    "a name that depends on a branch": """
        if ec2:
            response = s3.list_buckets()
        print(response["Buckets"])
    """,
    "a name that changes in a loop": """
        for n in range(2):
            print(response["Anything"] if n else 0)
            response = {"Anything": 1}
    """,
    "a name set by an inner function": """
        def f():
            global response
            response = {"Instances": []}
        f()
        print(response["Instances"])
    """,
    "a parameter called with different things": """
        def show(answer):
            print(answer["Buckets"])
        show(response)
        show(s3.list_buckets())
    """,
    "a parameter of a function that goes elsewhere": """
        def show(answer):
            print(answer["Buckets"])
        show(response) if False else map(show, [])
    """,
    "a key that the program adds": """
        for r in response["Reservations"]:
            r["Label"] = "x"
        print([r["Label"] for r in response["Reservations"]])
    """,
    "a policy that botocore decodes": """
        iam = boto3.client("iam")
        iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    """,
    "what clients have besides operations": """
        s3.upload_file("a", "b", "c"); s3.download_fileobj("b", "k", None); s3.exceptions.NoSuchKey; s3.meta.region_name
        s3.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}); ec2.can_paginate("x")
        boto3.client("rds").generate_db_auth_token("h", 1, "u")
    """,
    "parameters that botocore fills in or renames": """
        boto3.client("glacier").list_vaults()
        ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)
        boto3.client("logs").create_export_task(logGroupName="g", fromTime=1, to=2, destination="b")
        s3.copy_object(Bucket="b", Key="k", CopySource={"Bucket": "a", "Key": "k"})
        s3.put_object(Bucket="b", Key="k", Body="text", Metadata={"a": "b"})
    """,
    "parameters that cannot be seen": "s3.get_object(**options)\nec2.describe_instances(Filters=filters)",
    "typed values": """
        ddb.put_item(TableName="t", Item={"id": {"S": "1"}, "n": {"N": "2"}, "l": {"L": [{"S": "x"}]}})
        ddb.get_item(TableName="t", Key={"id": {"S": "1"}}).get("Item", {}).get("anything", {}).get("S")
    """,
    "paginators and waiters": """
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="b", PaginationConfig={"PageSize": 5}):
            page.get("Contents")
        ec2.get_waiter("instance_running").wait(InstanceIds=["i"], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
        ec2.get_paginator("describe_instances").paginate().build_full_result()["Reservations"]
    """,
    "resources": 'boto3.resource("s3").Bucket("b").objects.anything()["x"]',
    "an answer kept in a list": 'kept = []\nkept.append(response)\nkept[0]["Whatever"]',
    "a dictionary by the same name as boto3": 'boto3 = {"client": 1}\nboto3["x"]',
    "a failure that is provided for": 'try:\n  print(response["Colour"])\nexcept KeyError:\n  pass',
    "a client that may be another": "def f(c=None):\n  c = c or ec2\n  return c.list_things()\nf()",
    "an error's response": """
        from botocore.exceptions import ClientError
        try:
            s3.head_bucket(Bucket="b")
        except ClientError as error:
            response = error.response
            print(response["Error"]["Code"])
    """,
    "lambda and streams": """
        answer = boto3.client("lambda").invoke(FunctionName="f", Payload=b"{}")
        answer["Payload"].read()
        for event in boto3.client("bedrock-runtime").converse_stream(modelId="m", messages=[])["stream"]:
            event["contentBlockDelta"]
    """,
}


@pytest.mark.parametrize("case", RIGHT, ids=list(RIGHT))
def test_nothing_is_said_of(case):
    assert words(RIGHT[case]) == []


def test_the_example_of_all_examples():
    (finding,) = findings('for i in response["Instances"]: print(i["InstanceId"])')
    assert (finding.line, finding.service, finding.operation) == (7, "ec2", "describe_instances")
    assert "`Instances` is inside `Reservations`" in finding.sentence
    assert "for reservation in response['Reservations']:" in finding.sentence
    assert "Reservations[].Instances" in tell(Language.EN, finding.notice)
    assert "Reservations[].Instances" in tell(Language.ZH, finding.notice)


@pytest.mark.parametrize("fault", FAULTS, ids=list(FAULTS))
@pytest.mark.parametrize("language", Language)
def test_every_finding_can_be_told(fault, language):
    found = findings(FAULTS[fault][0])
    assert found
    for finding in found:
        assert finding.name in tell(language, finding.notice)


@pytest.mark.parametrize("kind", FindingKind)
def test_every_kind_has_a_sentence(kind):
    sentence = table(Language.EN)[f"aws.check.{kind}"]
    assert [name for _, name, _, _ in string.Formatter().parse(sentence) if name]


@pytest.mark.parametrize("source", ["", "def f(:", "\x00", "print('no AWS here')", "x = " + "(" * 150 + ")" * 150])
def test_what_is_no_aws_program_has_no_findings(source):
    assert check(source) == ()


def test_a_program_nested_deeply_is_read_in_the_end():
    depth = 15
    loops = "\n".join(" " * n + f"for x{n} in range(2):" for n in range(depth))
    code = f"{SETUP}{loops}\n{' ' * depth}response['Instances']"
    assert [finding.name for finding in check(code)] == ["Instances"]
    chain = "x" + ".f()" * 300
    assert check(chain) == ()
    assert check("x = " + "+".join(["1"] * 20_000)) == ()
