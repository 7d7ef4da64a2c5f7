"""The packed source: whole, the same each time, and without what nobody else should have."""

import io
import re
import shutil
import tarfile

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.pack import SHIPPED, pack
from tests.deploy.template import ROOT


def names(packed) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as archive:
        return set(archive.getnames())


@pytest.fixture
def checkout(tmp_path):
    """A small copy of the checkout, with things that must not leave it."""
    for name in SHIPPED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir() and name not in ("deploy", ".streamlit"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "module.py").write_text("x = 1\n", "utf-8")
        elif (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_same_source_gives_the_same_bytes_at_any_time_and_place(checkout, tmp_path_factory):
    again = tmp_path_factory.mktemp("elsewhere") / "checkout"
    shutil.copytree(checkout, again)
    (again / "codecoach" / "__pycache__").mkdir()
    (again / "codecoach" / "__pycache__" / "module.pyc").write_bytes(b"compiled")
    for file in again.rglob("*.py"):
        file.touch()
    assert pack(checkout) == pack(again)
    (again / "codecoach" / "module.py").write_text("x = 2\n", "utf-8")
    assert pack(checkout).name != pack(again).name


def test_no_secret_leaves_the_checkout(checkout):
    (checkout / ".env").write_text("CODECOACH_LOCAL_MODEL_KEY=secret", "utf-8")
    (checkout / ".streamlit" / "secrets.toml").write_text("key = 1", "utf-8")
    (checkout / "codecoach" / ".env").write_text("x", "utf-8")
    assert not [name for name in names(pack(checkout)) if name.endswith((".env", "secrets.toml"))]


def test_the_instances_find_in_it_what_their_scripts_name():
    packed = names(pack())
    assert {name.split("/")[0] for name in packed} == {"codecoach"}  # which the instance strips
    script = (ROOT / "deploy" / "instance.sh").read_text("utf-8")
    wanted = set(re.findall(r"\$HOME_DIR/([\w./-]+\w)", script)) - {".venv", ".venv/bin/python"}
    assert wanted >= {"requirements.lock", "deploy/cloudwatch-agent.json"}
    for name in wanted:
        assert any(found == f"codecoach/{name}" or found.startswith(f"codecoach/{name}/") for found in packed), name
    copied = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert set(copied) <= set(SHIPPED)
    assert "codecoach/piston/compose.yaml" in packed
    with tarfile.open(fileobj=io.BytesIO(pack().content)) as archive:
        assert archive.getmember("codecoach/deploy/instance.sh").mode == 0o755


def test_it_can_be_written_into_a_file_for_the_console(tmp_path):
    done = CliRunner().invoke(app, ["pack", str(tmp_path / "codecoach.tar.gz")])
    assert done.exit_code == 0
    assert (tmp_path / "codecoach.tar.gz").read_bytes() == pack().content
