"""Packages of a running Piston are handled by what it really answers, and it is never asked what would crash it."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from piston.cli import app
from piston.engine import Done, Engine, Listed
from piston.errors import IndexDown, PackageUnknown, PistonRefused
from piston.transfer import Patience
from tests.piston.servers import file_server, serving, status

CAPTURES = Path(__file__).parents[1] / "captures"
SHA = "a" * 64


def capture(name):
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


# What Piston was asked and what it answered: (method, language, version) -> the name of the capture.
ANSWERS = {
    ("POST", "dash", "0.5.11"): "packages_install",
    ("POST", "dash", "*"): "packages_install",
    ("POST", "bash", "5.2.15"): "packages_install_again",
    ("POST", "bash", "*"): "packages_install_again",
    ("POST", "dash", "9.9.9"): "packages_install_bad_checksum",
    ("POST", "dash", "9.9.8"): "packages_install_404_download",
    ("DELETE", "dash", "0.5.11"): "packages_uninstall",
    ("DELETE", "dash", "9.9.9"): "packages_uninstall_again",
    ("DELETE", "bash", "5.2.15"): "packages_uninstall",
}


class Piston(BaseHTTPRequestHandler):
    """Answers as recorded; for each question about packages it fetches its index, and dies where that fails."""

    protocol_version = "HTTP/1.1"
    answers = ANSWERS

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_DELETE(self):
        self.do_POST()

    def answer(self, content=None):
        self.asked.append((self.command, self.path))
        if self.path.endswith("/packages") and not self.index_is_good():
            # x_packages_list_repo_down, x_packages_post_repo_down
            self.crashed.append(self.path)
        if self.crashed:
            self.close_connection = True
            return
        if content is not None:
            key = (self.command, content["language"], content["version"])
            self.send(capture(self.answers.get(key, "packages_install_unknown")))
        else:
            self.send(capture("runtimes" if self.path.endswith("/runtimes") else "packages_list"))

    def index_is_good(self):
        try:
            lines = requests.get(self.index_url).text.splitlines()
            return all(len(line.split(",")) == 4 for line in lines)
        except requests.RequestException:
            return False

    def send(self, recorded):
        raw = json.dumps(recorded["response"]).encode()
        self.send_response(recorded["status"])
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_): ...


@contextmanager
def running():
    """A Piston and its index."""
    with file_server() as files:
        files.content["/index"] = "".join(
            f"{one['language']},{one['language_version']},{SHA},{files.address}/x\n"
            for one in capture("packages_list")["response"]
        ).encode()
        kind = type("Bound", (Piston,), {"asked": [], "crashed": [], "index_url": f"{files.address}/index"})
        with serving(kind) as address:
            kind.files, kind.address = files, address
            yield kind


@pytest.fixture
def piston():
    with running() as kind:
        yield kind
        assert kind.crashed == []


def engine(piston):
    return Engine(piston.address, piston.index_url, Patience(1))


DOWN = {
    "gone": lambda files: files.content.clear(),
    "a fault": lambda files: files.faults.update({"/index": [status(500)] * 9}),
    "a sign-in page": lambda files: files.content.update({"/index": b"<html>Sign in</html>"}),
    "a version that is none": lambda files: files.content.update({"/index": f"a,latest,{SHA},http://host/x".encode()}),
}


@pytest.mark.parametrize("how", DOWN)
def test_piston_is_never_asked_for_packages_when_its_index_is_down(piston, how):
    DOWN[how](piston.files)
    for action in (lambda e: e.packages(), lambda e: e.install("dash"), lambda e: e.uninstall("dash=0.5.11")):
        with pytest.raises(IndexDown):
            action(engine(piston))
    assert piston.asked == []


def test_an_index_whose_server_is_gone_is_known_to_be_down(piston):
    with pytest.raises(IndexDown):
        Engine(piston.address, "http://127.0.0.1:1/index", Patience(1)).packages()
    assert piston.asked == []


def test_the_stand_in_crashes_as_piston_does():
    with running() as piston:
        piston.files.content.clear()
        for _ in range(2):
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{piston.address}/api/v2/packages")
        with pytest.raises(PistonRefused) as raised:
            engine(piston).installed()
        assert raised.value.key == "piston_gone"


def test_what_is_installed_is_known_without_the_index(piston):
    DOWN["gone"](piston.files)
    listed = engine(piston).installed()
    assert Listed("bash", "5.2.15", True) in listed
    # JavaScript comes from the package `node`.
    assert Listed("node", "20.11.1", True) in listed


def test_packages_are_listed_installed_or_not(piston):
    listed = engine(piston).packages()
    assert (Listed("bash", "5.2.15", True) in listed, Listed("dash", "0.5.11", False) in listed) == (True, True)


def test_installing_and_removing_say_what_was_done(piston):
    assert engine(piston).install("dash=0.5.11") == Done("dash=0.5.11", changed=True)
    assert engine(piston).install("dash") == Done("dash=0.5.11", changed=True)
    assert engine(piston).uninstall("dash=0.5.11") == Done("dash=0.5.11", changed=True)


def test_what_is_so_already_is_no_error(piston):
    assert not engine(piston).install("bash=5.2.15").changed
    assert not engine(piston).uninstall("dash=9.9.9").changed


@pytest.mark.parametrize("version", ["9.9.9", "9.9.8"])
def test_a_package_that_is_not_what_the_index_says_is_an_error(piston, version):
    with pytest.raises(PistonRefused) as raised:
        engine(piston).install(f"dash={version}")
    assert "Checksum miss-match" in raised.value.values["detail"]


def test_a_package_that_the_index_has_not_is_named_with_those_it_has(piston):
    with pytest.raises(PackageUnknown) as raised:
        engine(piston).install("nope")
    assert "dash=0.5.11" in raised.value.values["known"]
    assert piston.asked == []


def test_without_a_version_the_installed_one_is_removed_and_two_are_asked_about(piston):
    """Piston would take the newest of its index, installed or not."""
    assert engine(piston).uninstall("bash").changed
    with pytest.raises(PistonRefused) as raised:
        engine(piston).uninstall("python")
    assert "python=3.12.1" in raised.value.values["detail"]


def run(piston, *words, code=0):
    how = ["--piston", piston.address, "--index", piston.index_url]
    ended = CliRunner().invoke(app, [*words, *how], env={"LC_ALL": "C.UTF-8"})
    assert ended.exit_code == code, (ended.output, ended.exception)
    return ended


def test_the_commands_say_it_to_people_and_scripts(piston):
    assert "* bash             5.2.15" in run(piston, "list").stdout
    assert "dash=0.5.11 is installed." in run(piston, "install", "dash").stdout
    assert "bash=5.2.15 was installed already." in run(piston, "install", "bash=5.2.15").stdout
    done = json.loads(run(piston, "uninstall", "dash=0.5.11", "--json").stdout)["done"]
    assert done == [{"package": "dash=0.5.11", "changed": True}]


def test_a_dry_run_asks_piston_for_nothing(piston):
    assert "Would install dash=0.5.11." in run(piston, "install", "dash=0.5.11", "--dry-run").stdout
    assert "Would remove bash." in run(piston, "uninstall", "bash", "--dry-run").stdout
    assert piston.asked == []


def test_a_list_without_the_index_shows_what_is_installed_and_why_no_more(piston):
    DOWN["gone"](piston.files)
    ended = run(piston, "list")
    assert "* bash" in ended.stdout
    assert "index cannot be used" in ended.stderr
    assert json.loads(run(piston, "list", "--json").stdout)["index_problem"]


def test_an_install_without_the_index_fails_and_says_what_to_mend(piston):
    DOWN["gone"](piston.files)
    assert "Piston crashes" in run(piston, "install", "dash", code=3).stderr


def test_of_several_names_a_wrong_one_stops_all_before_anything_is_done(piston):
    run(piston, "install", "dash", "nope", code=3)
    assert piston.asked == []


def test_another_build_of_a_version_is_installed_again_when_asked_for(piston):
    run(piston, "install", "bash=5.2.15", "--again")
    assert [method for method, _ in piston.asked] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize(
    "recorded", sorted(file.stem for file in CAPTURES.glob("*packages_*.json") if "repo_down" not in file.stem)
)
def test_every_answer_about_packages_is_understood(piston, recorded):
    said = capture(recorded)
    piston.files.content["/index"] = f"dash,0.5.11,{SHA},{piston.files.address}/x\n".encode()
    piston.answers = dict.fromkeys([("POST", "dash", "0.5.11"), ("DELETE", "dash", "0.5.11")], recorded)
    asked = engine(piston)
    if said["method"] == "GET":
        assert {item.language for item in asked.packages()} >= {"bash", "python"}
        return
    change = asked.uninstall if said["method"] == "DELETE" else asked.install
    if said["status"] == 200:
        assert change("dash=0.5.11") == Done("dash=0.5.11", changed=True)
    elif "lready installed" in said["response"]["message"] or "is not installed" in said["response"]["message"]:
        assert change("dash=0.5.11") == Done("dash=0.5.11", changed=False)
    else:
        with pytest.raises(PistonRefused) as refused:
            change("dash=0.5.11")
        assert refused.value.values["detail"] == said["response"]["message"][:300]
