"""`codecoach export` and `codecoach import`, run as people run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from codecoach.cli import app
from codecoach.services import DATABASE
from codecoach.store.accounts import Accounts
from codecoach.store.sqlite import SqliteTable
from tests import moto_server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def codecoach(tmp_path, monkeypatch):
    """`codecoach(data_dir, *words)` runs a command, here in this process, with the store in that folder or of the environment given."""
    monkeypatch.chdir(tmp_path)

    def run(data: str, *words: object, stdin: str = "", **environment: str) -> Result:
        (tmp_path / data).mkdir(exist_ok=True)
        environment = {"CODECOACH_DATA_DIR": str(tmp_path / data), "LANG": "C.UTF-8", **environment}
        return CliRunner().invoke(app, [str(word) for word in words], stdin, environment)

    return run


def add_account(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    table = SqliteTable(folder / DATABASE)
    Accounts(table).create(name, "$2b$12$hash")
    table.close()


def accounts(folder: Path) -> list[str]:
    table = SqliteTable(folder / DATABASE)
    found = [account.username for account in Accounts(table).all()]
    table.close()
    return found


def test_data_go_by_a_file_into_dynamodb_and_back_into_another_sqlite(codecoach, tmp_path):
    add_account(tmp_path / "a", "ann@example.com")
    with moto_server.running() as url:
        for words, data, environment in (
            (("export", "one.jsonl.gz"), "a", {}),
            (("import", "one.jsonl.gz"), "a", {"CODECOACH_DYNAMODB_ENDPOINT_URL": url}),
            (("export", "two.jsonl"), "a", {"CODECOACH_DYNAMODB_ENDPOINT_URL": url}),
            (("import", "two.jsonl"), "b", {}),
        ):
            done = codecoach(data, *words, **environment)
            assert done.exit_code == 0, done.stderr
            assert "1 items" in done.stdout
    assert accounts(tmp_path / "b") == ["ann@example.com"]
    assert "DynamoDB" in json.loads((tmp_path / "two.jsonl").read_text().splitlines()[0])["store"]
    assert (tmp_path / "two.jsonl").stat().st_mode & 0o077 == 0


def test_what_is_there_is_replaced_only_where_that_is_wanted_and_confirmed(codecoach, tmp_path):
    add_account(tmp_path / "a", "ann@example.com")
    add_account(tmp_path / "b", "bob@example.com")
    assert codecoach("a", "export", "backup.jsonl").exit_code == 0
    for words, stdin, code, left in (
        ((), "", 3, "bob"),
        (("--replace",), "", 3, "bob"),
        (("--replace",), "n\n", 3, "bob"),
        (("--replace",), "y\n", 0, "ann"),
    ):
        done = codecoach("b", "import", "backup.jsonl", *words, stdin=stdin)
        assert done.exit_code == code, done.stderr
        assert accounts(tmp_path / "b") == [f"{left}@example.com"]
    assert "--replace" in codecoach("b", "import", "backup.jsonl").stderr
    assert codecoach("b", "import", "backup.jsonl", "--replace", "--yes").exit_code == 0


def test_it_is_a_command_of_codecoach(tmp_path):
    command = [sys.executable, "-m", "codecoach", "export", tmp_path / "backup.jsonl"]
    environment = {**os.environ, "CODECOACH_DATA_DIR": str(tmp_path / "data"), "LANG": "C.UTF-8"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert "0 items" in done.stdout
    assert (tmp_path / "backup.jsonl").exists()


def test_a_file_that_is_no_backup_is_told_in_ones_own_language(codecoach, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for language, words in (("C.UTF-8", "is no backup of CodeCoach"), ("zh_CN.UTF-8", "不是 CodeCoach 的备份文件")):
        done = codecoach("a", "import", "notes.txt", LANG=language)
        assert done.exit_code == 3
        assert words in done.stderr
        assert "Traceback" not in done.stderr
