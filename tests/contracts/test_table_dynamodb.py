"""What DynamoDB alone can do to us: time-outs, throttling, tables that are made by two at once."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from codecoach.errors import StoreUnavailable, VersionConflict
from codecoach.store import dynamodb, dynamodb_table
from codecoach.store.dynamodb import DynamoTable
from codecoach.store.dynamodb_table import ensure
from codecoach.store.port import Delete, Item, Key, Put
from codecoach.store.sign_ins import SignIns
from tests.contracts.conftest import dynamodb_client

KEY = Key("p", "s")
PROPERTIES = dynamodb_table.resource("described")["Properties"]


@pytest.fixture(params=["moto", "dynamodb_local"])
def client(request):
    client = dynamodb_client(request.getfixturevalue(f"{request.param}_url"))
    yield client
    for name in client.list_tables()["TableNames"]:
        client.delete_table(TableName=name)
    client.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(dynamodb, "LONGEST_PAUSE_S", 0.0)


def attempts_of_everything(table: DynamoTable):
    return [
        lambda: table.get(KEY),
        lambda: table.batch_get([KEY]),
        lambda: table.put(Item(KEY, {})),
        lambda: table.put(Item(KEY, {}), expected_version=1),
        lambda: table.delete(KEY),
        lambda: table.query("p"),
        lambda: table.transact([Put(Item(KEY, {}))]),
        lambda: list(table.scan()),
        lambda: table.restore([Item(KEY, {}, 1)]),
        table.ping,
    ]


def test_making_the_table_again_changes_nothing(client):
    ensure(client, "twice")
    DynamoTable(client, "twice").put(Item(KEY, {"n": 1}))
    ensure(client, "twice")
    assert DynamoTable(client, "twice").get(KEY).data == {"n": 1}


def test_processes_that_start_at_once_make_one_table(client):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ensure(client, "shared"), range(4)))
    assert client.list_tables()["TableNames"] == ["shared"]


def test_the_table_is_paid_by_request_and_forgets_what_has_expired(client):
    ensure(client, "table")
    assert client.describe_table(TableName="table")["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = client.describe_time_to_live(TableName="table")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expires_at")


def test_what_an_older_table_lacks_is_switched_on(moto_url):
    client = dynamodb_client(moto_url)
    old = {name: value for name, value in PROPERTIES.items() if not name.endswith("Specification")}
    client.create_table(**old)
    assert ensure(client, "described") == ()
    assert_is_as_described(client)
    client.delete_table(TableName="described")
    client.close()


def test_the_template_and_the_command_make_the_same_table(moto_url):
    client = dynamodb_client(moto_url)
    assert ensure(client, "described") == ()
    assert_is_as_described(client)
    assert client.describe_table(TableName="described")["Table"]["SSEDescription"]["Status"] == "ENABLED"
    client.delete_table(TableName="described")
    client.close()


def test_the_template_is_one_that_cloudformation_takes(moto_url):
    stacks = boto3.client(
        "cloudformation",
        endpoint_url=moto_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    stacks.create_stack(StackName="table", TemplateBody=dynamodb_table.template("described"))
    client = dynamodb_client(moto_url)
    assert ensure(client, "described") == ()
    assert_is_as_described(client)
    DynamoTable(client, "described").put(Item(KEY, {"n": 1}))
    stacks.delete_stack(StackName="table")
    assert DynamoTable(client, "described").get(KEY).data == {"n": 1}  # it is retained
    client.delete_table(TableName="described")


def assert_is_as_described(client) -> None:
    """The table `described` is the one of `PROPERTIES`."""
    found = client.describe_table(TableName="described")["Table"]
    assert found["BillingModeSummary"]["BillingMode"] == PROPERTIES["BillingMode"]
    assert found["KeySchema"] == PROPERTIES["KeySchema"]
    assert found["AttributeDefinitions"] == PROPERTIES["AttributeDefinitions"]
    ttl = client.describe_time_to_live(TableName="described")["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == (
        "ENABLED",
        PROPERTIES["TimeToLiveSpecification"]["AttributeName"],
    )
    backups = client.describe_continuous_backups(TableName="described")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


def test_a_role_that_may_only_use_the_table_starts_and_says_what_it_cannot_see(moto_url, caplog):
    owner = dynamodb_client(moto_url)
    ensure(owner, "described")
    client = dynamodb_client(moto_url)
    for operation in ("DescribeTimeToLive", "DescribeContinuousBackups"):
        client.meta.events.register(f"before-call.dynamodb.{operation}", refused)
    assert ensure(client, "described") == ("time to live", "point-in-time recovery")
    assert "point-in-time recovery" in caplog.text
    owner.delete_table(TableName="described")


def refused(**_) -> tuple:
    """What a role without the right to an operation gets."""
    body = {"Error": {"Code": "AccessDeniedException", "Message": "is not authorized"}, "ResponseMetadata": {}}
    return AWSResponse("", 400, {}, None), body


def test_a_missing_table_is_said_by_every_method(client):
    for attempt in attempts_of_everything(DynamoTable(client, "missing")):
        with pytest.raises(StoreUnavailable) as caught:
            attempt()
        assert caught.value.__cause__ is not None


def repeat_the_first(client, operation: str) -> None:
    """Have the client send its next request twice, as if the answer to the first had been lost."""
    client.meta.events.register_first(
        f"needs-retry.dynamodb.{operation}", lambda attempts, **_: 0 if attempts == 1 else None
    )


def test_a_put_whose_answer_got_lost_is_no_conflict_with_itself(client):
    ensure(client, "table")
    table = DynamoTable(client, "table")
    repeat_the_first(client, "PutItem")
    made = table.put(Item(KEY, {"n": 1}, expires_at=4_000_000_000), expected_version=0)
    assert table.get(KEY) == made
    assert table.put(Item(KEY, {"n": 2}), expected_version=1).version == 2
    with pytest.raises(VersionConflict):
        table.put(Item(KEY, {"n": 3}), expected_version=1)
    assert table.get(KEY).data == {"n": 2}


def test_a_delete_whose_answer_got_lost_is_no_conflict_with_itself(dynamodb_local_url):
    client = dynamodb_client(dynamodb_local_url)
    ensure(client, "deletes")
    table = DynamoTable(client, "deletes")
    made = table.put(Item(KEY, {"n": 1}), expected_version=0)
    repeat_the_first(client, "TransactWriteItems")
    table.delete(KEY, made.version)
    assert table.get(KEY) is None
    with pytest.raises(VersionConflict):
        table.delete(KEY, made.version)
    client.delete_table(TableName="deletes")
    client.close()


def test_all_tries_of_a_transaction_carry_one_token_and_no_other_does(client):
    ensure(client, "table")
    table = DynamoTable(client, "table")
    tokens = []
    client.meta.events.register(
        "before-send.dynamodb.TransactWriteItems",
        lambda request, **_: tokens.append(json.loads(request.body)["ClientRequestToken"]),
    )
    repeat_the_first(client, "TransactWriteItems")
    table.transact([Put(Item(KEY, {}))])
    table.transact([Put(Item(KEY, {}))])
    assert len(tokens) == 4  # each is sent twice
    assert tokens[0] == tokens[1] != tokens[2] == tokens[3]


def test_a_ticket_is_redeemed_though_an_answer_got_lost(client):
    ensure(client, "table")
    sign_ins = SignIns(DynamoTable(client, "table"), idle_s=1800, longest_s=43200)
    for operation in ("PutItem", "DeleteItem"):
        repeat_the_first(client, operation)
    ticket = sign_ins.issue_ticket("a sid")
    assert sign_ins.redeem(ticket) == "a sid"
    assert sign_ins.redeem(ticket) is None


def test_a_service_that_does_not_answer_is_said_by_every_method():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = dynamodb_client(f"http://127.0.0.1:{closed.getsockname()[1]}")
        for attempt in [*attempts_of_everything(DynamoTable(client, "t")), lambda: ensure(client, "t")]:
            with pytest.raises(StoreUnavailable):
                attempt()
        client.close()


def test_an_endpoint_on_this_machine_needs_no_account(moto_url):
    client = dynamodb.client("eu-central-1", moto_url)
    ensure(client, "table")
    assert DynamoTable(client, "table").ping() == "DynamoDB table (eu-central-1, ACTIVE)"
    client.delete_table(TableName="table")
    client.close()


# --- answers that no stand-in gives; botocore's own model checks their form ---


@pytest.fixture
def stubbed():
    client = dynamodb_client("http://127.0.0.1:1")
    with Stubber(client) as stubber:
        yield DynamoTable(client, "t", clock=lambda: 1000.0), stubber
        stubber.assert_no_pending_responses()
    client.close()


def row(sort: str, **more):
    return {"partition": {"S": "p"}, "sort": {"S": sort}, "data": {"S": "{}"}, "version": {"N": "1"}, **more}


def unprocessed(*sorts: str):
    keys = [{"partition": {"S": "p"}, "sort": {"S": sort}} for sort in sorts]
    return {"t": {"Keys": keys, "ConsistentRead": True}} if keys else {}


def test_keys_left_unprocessed_are_asked_for_again(stubbed):
    table, stubber = stubbed
    for found, left in ((["a"], ["b", "c"]), ([], ["b", "c"]), (["c"], ["b"]), (["b"], [])):
        answer = {"Responses": {"t": [row(sort) for sort in found]}, "UnprocessedKeys": unprocessed(*left)}
        stubber.add_response("batch_get_item", answer)
    found = table.batch_get([Key("p", sort) for sort in "abc"])
    assert {key.sort for key in found} == {"a", "b", "c"}


def test_keys_that_stay_unprocessed_are_an_error_not_an_absence(stubbed):
    table, stubber = stubbed
    for _ in range(dynamodb.ATTEMPTS + 1):
        stubber.add_response("batch_get_item", {"Responses": {"t": []}, "UnprocessedKeys": unprocessed("a")})
    with pytest.raises(StoreUnavailable):
        table.batch_get([Key("p", "a")])


def test_a_scan_that_is_throttled_goes_on_where_it_was(stubbed):
    table, stubber = stubbed
    last = {"partition": {"S": "p"}, "sort": {"S": "a"}}
    stubber.add_response("scan", {"Items": [row("a")], "LastEvaluatedKey": last})
    stubber.add_client_error("scan", "ProvisionedThroughputExceededException")
    stubber.add_client_error("scan", "ThrottlingException")
    there = {"TableName": "t", "ConsistentRead": True, "ExclusiveStartKey": last}
    stubber.add_response("scan", {"Items": [row("b")]}, there)
    assert [item.key.sort for item in table.scan()] == ["a", "b"]


def test_a_scan_that_stays_throttled_is_an_error_not_an_end(stubbed):
    table, stubber = stubbed
    for _ in range(dynamodb.ATTEMPTS + 1):
        stubber.add_client_error("scan", "ThrottlingException")
    with pytest.raises(StoreUnavailable):
        list(table.scan())


def left_to_write(*sorts: str):
    return {"UnprocessedItems": {"t": [{"PutRequest": {"Item": row(sort)}} for sort in sorts]} if sorts else {}}


def test_what_is_left_of_a_restore_is_written_again(stubbed):
    table, stubber = stubbed
    for left in (["b", "c"], ["b", "c"], ["c"], []):
        stubber.add_response("batch_write_item", left_to_write(*left))
    table.restore([Item(Key("p", sort), {}, 1) for sort in "abc"])
    stubber.assert_no_pending_responses()


def test_a_restore_that_stays_throttled_is_an_error(stubbed):
    table, stubber = stubbed
    for _ in range(dynamodb.ATTEMPTS + 1):
        stubber.add_response("batch_write_item", left_to_write("a"))
    with pytest.raises(StoreUnavailable):
        table.restore([Item(Key("p", "a"), {}, 1)])


def cancelled(stubber, *codes: str):
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
    )


def test_a_transaction_that_met_another_is_tried_again(stubbed):
    table, stubber = stubbed
    cancelled(stubber, "None", "TransactionConflict")
    cancelled(stubber, "ThrottlingError", "None")
    stubber.add_response("transact_write_items", {})
    table.transact([Delete(KEY), Delete(Key("p", "t"))])
    stubber.assert_no_pending_responses()


def test_a_condition_that_failed_is_not_tried_again(stubbed):
    table, stubber = stubbed
    cancelled(stubber, "TransactionConflict", "ConditionalCheckFailed")
    with pytest.raises(VersionConflict):
        table.transact([Delete(KEY), Delete(Key("p", "t"))])


@pytest.mark.parametrize(
    ("code", "error"), [("TransactionConflict", VersionConflict), ("ThrottlingError", StoreUnavailable)]
)
def test_what_does_not_go_well_later_either_is_an_error(stubbed, code, error):
    table, stubber = stubbed
    for _ in range(dynamodb.ATTEMPTS + 1):
        cancelled(stubber, code)
    with pytest.raises(error):
        table.transact([Delete(KEY)])


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "InternalServerError"])
def test_every_other_refusal_means_that_the_store_is_unavailable(stubbed, code):
    table, stubber = stubbed
    stubber.add_client_error("get_item", code)
    with pytest.raises(StoreUnavailable, match=code):
        table.get(KEY)
