"""`codecoach table`, run as people and scripts run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codecoach.store import dynamodb_table
from tests import moto_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def table(tmp_path):
    """`table(*words)` runs a command of `codecoach table`, with the settings given."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "codecoach", "table", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **environment},
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


def test_the_table_is_created_once_and_found_the_second_time(table):
    with moto_server.running() as url:
        for _ in range(2):
            done = table("create", CODECOACH_DYNAMODB_ENDPOINT_URL=url, CODECOACH_TABLE="ours")
            assert (done.returncode, done.stdout) == (0, "Ready: DynamoDB ours (us-east-1, ACTIVE)\n"), done.stderr


def test_without_dynamodb_it_says_what_to_set(table):
    done = table("create")
    assert done.returncode == 2
    assert "CODECOACH_BACKEND=aws" in done.stdout


def test_the_template_is_the_same_definition(table):
    done = table("template", CODECOACH_TABLE="ours")
    assert json.loads(done.stdout)["Resources"]["Table"] == dynamodb_table.resource("ours")
