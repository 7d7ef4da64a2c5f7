"""`python -m deploy`, against moto's CloudFormation, S3, STS and DynamoDB; what moto cannot do, by CloudFormation's own words."""

import io
import tarfile
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner

from deploy.account import Account
from deploy.cli import app
from deploy.errors import StackFailed
from deploy.pack import Packed
from deploy.stack import Stack
from tests import moto_server

REGION = "eu-west-1"
TEMPLATE = """
Parameters:
  SourceUrl: {Type: String}
  Size: {Type: String, Default: small}
  CloudFrontPrefixList: {Type: String, Default: ""}
  ExistingTable: {Type: String, Default: ""}
Conditions:
  NewTable: !Equals [!Ref ExistingTable, ""]
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: !Ref Size}
  Table:
    Type: AWS::DynamoDB::Table
    Condition: NewTable
    DeletionPolicy: Retain
    Properties:
      TableName: kept
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: k, AttributeType: S}]
      KeySchema: [{AttributeName: k, KeyType: HASH}]
Outputs:
  Address: {Value: "%s"}
  AdminEmail: {Value: admin@example.com}
  AdminPasswordCommand: {Value: aws secretsmanager get-secret-value}
  TableName: {Value: kept}
  Source: {Value: !Ref SourceUrl}
  Chosen: {Value: !Ref Size}
"""


@pytest.fixture(scope="module")
def healthy():
    """The address of something whose health page says ok."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok"}')

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def aws(monkeypatch):
    """An empty simulated account."""
    with moto_server.running() as url:
        for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "any"), ("SECRET_ACCESS_KEY", "any")):
            monkeypatch.setenv(f"AWS_{name}", value)
        boto3.client("sts", REGION)  # fails here where the variables do not reach it
        import requests

        requests.post(f"{url}/moto-api/reset", timeout=10)
        yield url


@pytest.fixture
def template(tmp_path, healthy):
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE % healthy, "utf-8")
    return file


def run(*words: str):
    return CliRunner().invoke(
        app, [*words, "--region", REGION, "--pause", "0.01"], env={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    )


def test_one_command_uploads_makes_waits_and_says_where(aws, template):
    done = run("up", "--stack", "ours", "--template", str(template))
    assert done.exit_code == 0, done.output
    assert "Ready: http://127.0.0.1" in done.output
    assert "admin@example.com" in done.output
    assert "aws secretsmanager get-secret-value" in done.output
    outputs = Stack(boto3.client("cloudformation", REGION), "ours", print).outputs()
    bucket, _, key = outputs["Source"].removeprefix("s3://").partition("/")
    client = boto3.client("s3", REGION)
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert "codecoach/deploy/instance.sh" in archive.getnames()
    closed = client.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert len(closed) == 4
    assert all(closed.values())


def test_again_it_uploads_nothing_new_and_keeps_what_was_set(aws, template):
    for words in (("--set", "Size=large"), ()):
        done = run("up", "--stack", "ours", "--template", str(template), *words)
        assert done.exit_code == 0, done.output
    stack = Stack(boto3.client("cloudformation", REGION), "ours", print)
    assert stack.outputs()["Chosen"] == "large"
    bucket = stack.outputs()["Source"].split("/")[2]
    assert boto3.client("s3", REGION).list_objects_v2(Bucket=bucket)["KeyCount"] == 1


def test_deleting_keeps_the_data_and_says_how_to_go_on_with_it(aws, template):
    run("up", "--stack", "ours", "--template", str(template))
    done = run("down", "--stack", "ours")
    assert done.exit_code == 0, done.output
    assert "ExistingTable=kept" in done.output
    assert boto3.client("dynamodb", REGION).list_tables()["TableNames"] == ["kept"]
    again = run("down", "--stack", "ours")
    assert again.exit_code == 0
    assert "There is no stack ours" in again.output


def test_only_when_asked_for_the_data_goes_too(aws, template):
    run("up", "--stack", "ours", "--template", str(template))
    done = run("down", "--stack", "ours", "--delete-data")
    assert done.exit_code == 0, done.output
    assert boto3.client("dynamodb", REGION).list_tables()["TableNames"] == []


def test_the_data_of_a_stack_that_went_before_goes_when_it_is_asked_for(aws, template):
    run("up", "--stack", "ours", "--template", str(template))
    run("down", "--stack", "ours")
    assert boto3.client("dynamodb", REGION).list_tables()["TableNames"]
    done = run("down", "--stack", "ours", "--delete-data")
    assert done.exit_code == 0, done.output
    assert boto3.client("dynamodb", REGION).list_tables()["TableNames"] == []


def test_where_no_table_is_known_it_is_not_said_that_all_is_deleted(aws):
    done = run("down", "--stack", "never", "--delete-data")
    assert done.exit_code == 3
    assert "No table" in done.output


def test_the_table_of_an_earlier_stack_is_not_this_ones_to_delete(aws, template):
    run("up", "--stack", "first", "--template", str(template))
    run("down", "--stack", "first")
    (table,) = boto3.client("dynamodb", REGION).list_tables()["TableNames"]
    run("up", "--stack", "second", "--template", str(template), "--set", f"ExistingTable={table}")
    done = run("down", "--stack", "second", "--delete-data")
    assert done.exit_code == 0
    assert table in done.output
    assert boto3.client("dynamodb", REGION).list_tables()["TableNames"] == [table]


def test_a_region_that_the_template_does_not_know_is_refused_before_anything_is_done():
    done = CliRunner().invoke(app, ["up", "--region", "xx-north-9"], env={"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"})
    assert done.exit_code == 3
    assert "xx-north-9" in done.output
    assert "us-east-1" in done.output


@pytest.mark.parametrize("words", [("--set", "nonsense"), ("--set", "=x"), ("--region", "")])
def test_wrong_usage_is_told(words):
    done = CliRunner().invoke(app, ["up", "--region", REGION, *words])
    assert done.exit_code == 2


def test_missing_credentials_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    done = run("up")
    assert done.exit_code == 3
    assert "credentials" in done.output


def test_only_a_bucket_of_this_account_is_used(aws):
    """Moto does not look at it, S3 does: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html"""
    session, owners = boto3.Session(region_name=REGION), []
    session.events.register(
        "before-send.s3",
        lambda request, **_: owners.append((request.method, request.headers.get("x-amz-expected-bucket-owner"))),
    )
    account = Account(REGION, session)
    account.upload(Packed(b"packed"))
    owned = {method for method, owner in owners if owner == account.id.encode()}
    assert owned == {"HEAD", "PUT"}
    unowned = [method for method, owner in owners if owner is None]
    assert unowned == ["PUT", "PUT"]  # what makes the bucket and closes it


# --- What moto does not do: changes that take their time, and fail ----------------------------------------------------

AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/ours/1"


def described(status: str):
    return {"Stacks": [{"StackName": "ours", "StackId": ID, "CreationTime": AT, "StackStatus": status}]}


def events(*lines: tuple[str, str, str]):
    """Newest last; CloudFormation answers newest first."""
    raw = [
        {"StackId": ID, "EventId": str(n), "StackName": "ours", "Timestamp": AT, "LogicalResourceId": resource, "ResourceStatus": status, "ResourceStatusReason": reason}
        for n, (resource, status, reason) in enumerate(lines)
    ]  # fmt: skip
    return {"StackEvents": raw[::-1]}


@pytest.fixture
def client(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    return boto3.client("cloudformation", REGION)


LINES = (
    ("ours", "CREATE_IN_PROGRESS", "User Initiated"),
    ("Table", "CREATE_COMPLETE", ""),
    (
        "Ready",
        "CREATE_FAILED",
        "WaitCondition received failed message: 'CodeCoach started, but does not work: model: down'",
    ),
    ("Origin", "CREATE_FAILED", "Resource creation cancelled"),
    ("ours", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Ready, Origin]."),
    ("ours", "ROLLBACK_COMPLETE", ""),
)


def test_a_failure_names_what_failed_by_itself_and_each_event_is_told_once(client):
    told = []
    with Stubber(client) as aws:
        for status, count in (("CREATE_IN_PROGRESS", 2), ("ROLLBACK_IN_PROGRESS", 5)):
            aws.add_response("describe_stacks", described(status))
            aws.add_response("describe_stack_events", events(*LINES[:count]))
        aws.add_response("describe_stacks", described("ROLLBACK_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        with pytest.raises(StackFailed) as failed:
            Stack(client, "ours", told.append, 0)._wait({"CREATE_COMPLETE"})
    assert "Ready: WaitCondition received failed message: 'CodeCoach started, but does not work: model: down'" in str(
        failed.value
    )
    assert "cancelled" not in str(failed.value)
    assert [(event.resource, event.status) for event in told] == [line[:2] for line in LINES]


def test_what_a_failed_first_attempt_left_is_deleted_before_the_next(client):
    gone = {"service_error_code": "ValidationError", "service_message": "Stack with id ours does not exist"}
    with Stubber(client) as aws:
        aws.add_response("describe_stacks", described("ROLLBACK_COMPLETE"))  # is something going on?
        aws.add_response("describe_stacks", described("ROLLBACK_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        for _ in range(3):
            aws.add_response("describe_stacks", described("ROLLBACK_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        aws.add_response("delete_stack", {}, {"StackName": ID})
        aws.add_response("describe_stacks", described("DELETE_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES, ("ours", "DELETE_COMPLETE", "")))
        aws.add_client_error("describe_stacks", **gone)
        aws.add_response("create_stack", {"StackId": ID})
        aws.add_response("describe_stacks", described("CREATE_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        assert Stack(client, "ours", print, 0).apply("{}", {"A": "b"})
        aws.assert_no_pending_responses()


def test_nothing_to_change_is_no_fault(client):
    with Stubber(client) as aws:
        for _ in range(2):
            aws.add_response("describe_stacks", described("UPDATE_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        for _ in range(3):
            aws.add_response("describe_stacks", described("UPDATE_COMPLETE"))
        aws.add_response("get_template_summary", {"Parameters": []})
        aws.add_response("describe_stacks", described("UPDATE_COMPLETE"))
        aws.add_response("describe_stack_events", events(*LINES))
        aws.add_client_error("update_stack", "ValidationError", "No updates are to be performed.")
        assert not Stack(client, "ours", print, 0).apply("{}", {})
        aws.assert_no_pending_responses()
