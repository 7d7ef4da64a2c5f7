"""Each user session has a simulated AWS of its own, seeded, and it can do nothing but answer."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from codecoach.aws.moto_nursery import Nursery
from codecoach.aws.simulated import Address, SimulatedAws


@pytest.fixture(scope="module")
def simulated():
    aws = SimulatedAws()
    yield aws
    aws.close()


@pytest.fixture
def nursery():
    nursery = Nursery(DomainDispatcherApplication(create_backend_app), sessions=2, idle_s=1800)
    yield nursery
    for session in ("a", "b", "c"):
        nursery.end(session)


def client(service: str, address: Address, region: str = "us-east-1"):
    return boto3.client(
        service,
        config=Config(retries={"total_max_attempts": 1}),
        endpoint_url=f"http://{address.host}:{address.port}",
        region_name=region,
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
    )


def names(address: Address, region: str = "us-east-1") -> list[str]:
    reservations = client("ec2", address, region).describe_instances()["Reservations"]
    tags = [tag for group in reservations for instance in group["Instances"] for tag in instance["Tags"]]
    return [tag["Value"] for tag in tags if tag["Key"] == "Name"]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_closed(*ports: int) -> None:
    deadline = time.monotonic() + 30
    while any(listens(port) for port in ports):
        assert time.monotonic() < deadline, "still listening"
        time.sleep(0.02)


def parents() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "codecoach.aws.moto_nursery" in child.cmdline()]


def test_a_new_session_finds_a_seeded_account(simulated):
    address = simulated.endpoint("seeded")
    assert names(address) == ["web-1", "web-2", "batch-1"]
    assert [b["Name"] for b in client("s3", address).list_buckets()["Buckets"]] == [
        "demo-reports",
        "demo-uploads",
        "demo-logs",
    ]
    report = client("s3", address).get_object(Bucket="demo-reports", Key="2026/sales.csv")
    assert b"month,amount" in report["Body"].read()
    assert client("dynamodb", address).scan(TableName="Orders")["Count"] == 3
    (url,) = client("sqs", address).list_queues()["QueueUrls"]
    assert "1002" in client("sqs", address).receive_message(QueueUrl=url)["Messages"][0]["Body"]


def test_another_region_has_a_default_vpc_and_nothing_else(simulated):
    address = simulated.endpoint("seeded")
    (vpc,) = client("ec2", address, "eu-west-1").describe_vpcs()["Vpcs"]
    assert vpc["IsDefault"]
    assert names(address, "eu-west-1") == []


def test_the_parent_ends_without_a_word_when_the_app_goes_before_it_is_warm():
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "codecoach.aws.moto_nursery", "--region", "us-east-1"]
        parent = subprocess.Popen(
            [*command, "--sessions", "1", "--idle-s", "60"],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
    ours.recv(1, socket.MSG_PEEK)  # its first words have come, and nobody reads them
    ours.close()
    assert parent.communicate(timeout=30)[1] == b""
    assert parent.returncode == 0


def test_sessions_do_not_see_one_another(simulated):
    client("s3", simulated.endpoint("one")).create_bucket(Bucket="mine")
    assert "mine" not in [b["Name"] for b in client("s3", simulated.endpoint("two")).list_buckets()["Buckets"]]


def test_asking_again_gives_the_same_account(simulated):
    assert simulated.endpoint("one") == simulated.endpoint("one")


def test_a_reset_brings_the_seed_back(simulated):
    client("s3", simulated.endpoint("reset")).create_bucket(Bucket="mine")
    simulated.reset("reset")
    assert len(client("s3", simulated.endpoint("reset")).list_buckets()["Buckets"]) == 3


def test_a_released_session_listens_no_more(simulated):
    port = simulated.endpoint("gone").port
    assert listens(port)
    simulated.release("gone")
    wait_until_closed(port)
    assert not listens(port)
    simulated.release("never seen")


def test_a_reset_by_a_program_reaches_only_its_own_session(simulated):
    ours, theirs = simulated.endpoint("ours"), simulated.endpoint("theirs")
    with socket.create_connection((theirs.host, theirs.port)) as attacker:
        attacker.sendall(b"POST /moto-api/reset HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        assert b"200 OK" in attacker.recv(4096)
    assert names(theirs) == []
    assert len(names(ours)) == 3


def test_a_simulated_aws_connects_to_nobody(simulated):
    address = simulated.endpoint("ssrf")
    sns = client("sns", address)
    topic = sns.create_topic(Name="t")["TopicArn"]
    with socket.create_server(("127.0.0.1", 0)) as victim:
        victim.settimeout(0.5)
        port = victim.getsockname()[1]
        with contextlib.suppress(ClientError):
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{port}/x")
        with contextlib.suppress(ClientError):
            sns.publish(TopicArn=topic, Message="hello")
        with pytest.raises(TimeoutError):
            victim.accept()


def test_what_is_not_simulated_is_an_error_of_the_service(simulated):
    with pytest.raises(ClientError, match="Not Implemented"):
        client("ec2", simulated.endpoint("seeded")).describe_fleet_history(FleetId="fleet-1", StartTime="2026-01-01")


def test_servers_know_no_secret_and_hold_no_end_of_the_control_line(simulated, monkeypatch):
    simulated.close()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-host")
    simulated.endpoint("one")
    (parent,) = parents()
    (server,) = parent.children()
    assert "of-the-host" not in str(parent.environ())
    targets = {fd: os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{server.pid}/fd")}
    assert {targets[fd] for fd in "012"} == {"/dev/null"}
    assert len([target for target in targets.values() if target.startswith("socket:")]) <= 2
    assert {connection.laddr.ip for connection in server.net_connections("inet")} == {"127.0.0.1"}
    assert server.net_connections("unix") == []


def test_a_dead_parent_is_replaced(simulated):
    port = simulated.endpoint("one").port
    (parent,) = parents()
    parent.kill()
    wait_until_closed(port)
    assert names(simulated.endpoint("one")) == ["web-1", "web-2", "batch-1"]


def test_a_dead_server_is_replaced(nursery):
    port = nursery.open("a")["port"]
    os.kill(nursery._servers["a"].pid, signal.SIGKILL)
    wait_until_closed(port)
    assert listens(nursery.open("a")["port"])


def test_of_too_many_sessions_the_one_unused_for_longest_ends(nursery):
    first, second = nursery.open("a")["port"], nursery.open("b")["port"]
    nursery.open("a")
    third = nursery.open("c")["port"]
    wait_until_closed(second)
    assert listens(first)
    assert listens(third)


def test_an_idle_session_ends(nursery):
    port = nursery.open("a")["port"]
    nursery.tidy()
    assert listens(port)
    nursery._idle_s = 0
    nursery.tidy()
    wait_until_closed(port)
    assert not listens(port)


def test_everything_ends_when_the_app_is_killed():
    script = "\n".join(
        (
            "import time",
            "from codecoach.aws.simulated import SimulatedAws",
            "aws = SimulatedAws()",
            "print(aws.endpoint('a').port, aws.endpoint('b').port, flush=True)",
            "time.sleep(600)",
        )
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as app:
        ports = [int(word) for word in app.stdout.readline().split()]
        assert all(listens(port) for port in ports)
        app.kill()
    wait_until_closed(*ports)
