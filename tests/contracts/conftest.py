"""Tables of every kind, for the one contract suite."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config

from codecoach.store.dynamodb import DynamoTable
from codecoach.store.dynamodb_table import ensure
from codecoach.store.port import Table
from codecoach.store.remembering import Remembering
from codecoach.store.sqlite import SqliteTable
from tests import moto_server
from tests.dynamodb_local import server as dynamodb_local


class Clock:
    """A clock that goes when told to."""

    def __init__(self) -> None:
        # Far from now: DynamoDB Local deletes by its own clock what expired.
        self.now = 4_000_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def dynamodb_client(url: str):
    """A client for a stand-in of DynamoDB that gives up at once where nothing answers."""
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(connect_timeout=30, read_timeout=60, retries={"total_max_attempts": 1}, max_pool_connections=20),
    )


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server.running() as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_local_url() -> Iterator[str]:
    if why := dynamodb_local.problem():
        pytest.skip(why)
    with dynamodb_local.running() as url:
        yield url


@contextmanager
def dynamodb_table(url: str, clock: Clock) -> Iterator[Table]:
    client, name = dynamodb_client(url), f"t-{uuid.uuid4()}"
    ensure(client, name)
    yield DynamoTable(client, name, clock=clock)
    client.delete_table(TableName=name)
    client.close()


@pytest.fixture(params=["sqlite", "remembered", "moto", "dynamodb_local"])
def table(request, tmp_path, clock) -> Iterator[Table]:
    if request.param in ("sqlite", "remembered"):
        sqlite = SqliteTable(tmp_path / "store" / "codecoach.sqlite", clock=clock)
        yield sqlite if request.param == "sqlite" else Remembering(sqlite).lately(float("-inf"))
        sqlite.close()
        return
    with dynamodb_table(request.getfixturevalue(f"{request.param}_url"), clock) as dynamodb:
        yield dynamodb
