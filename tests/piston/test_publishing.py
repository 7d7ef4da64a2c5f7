"""At every moment of a publishing, a reader of the index finds it whole, and every package that it names, right."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piston import index
from piston.errors import GitHubRefused
from piston.github import GitHub, asked_wait_s
from piston.publish import plan, publish
from piston.transfer import Patience
from tests.piston.github_server import REPOSITORY, TOKEN, github_server
from tests.piston.servers import file_server

ROOT = Path(__file__).parents[2]
FAULTS = ("cut before", "500 before", "limit", "secondary limit", "cut after", "502 after", "half")


class Unwatched:
    def begins(self, entry): ...
    def arrived(self, entry, done_bytes, total_bytes): ...
    def ended(self, entry): ...


@pytest.fixture
def github():
    with github_server() as state:
        state.after = state.read
        yield state


def client(state, tries=8, waits=None, token=TOKEN):
    patient = Patience(tries, first_wait_s=1, sleep=(waits if waits is not None else []).append)
    return GitHub(REPOSITORY, token, patient, f"{state.address}/api", pace_s=0)


def folder(path, **packages):
    """Packages in a folder, `a_1="content"` being version 1.0.0 of a."""
    path.mkdir(exist_ok=True)
    for old in path.iterdir():
        old.unlink()
    for name, content in packages.items():
        language, _, major = name.partition("_")
        (path / index.file_name(language, f"{major}.0.0")).write_text(content)
    return index.scan(path)


def read_over_http(state):
    """As Piston does it."""
    content = requests.get(f"{state.address}/{REPOSITORY}/releases/latest/download/index")
    assert content.status_code == 200
    found = {}
    for entry in index.parse(content.text, "reader"):
        package = requests.get(entry.url)
        assert hashlib.sha256(package.content).hexdigest() == entry.sha256
        found[entry.package] = package.text
    return found


def test_packages_and_index_are_found_at_one_address_that_stays(github, tmp_path):
    first = publish(client(github), folder(tmp_path / "f", a_1="one", b_1="two"), Unwatched())
    assert first.repo_url == f"{github.address}/{REPOSITORY}/releases/latest/download/index"
    assert read_over_http(github) == {"a=1.0.0": "one", "b=1.0.0": "two"}
    again = publish(client(github), folder(tmp_path / "f", a_1="one, changed"), Unwatched())
    assert again.repo_url == first.repo_url
    assert read_over_http(github) == {"a=1.0.0": "one, changed", "b=1.0.0": "two"}


def test_only_what_is_new_is_uploaded(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one", b_1="two"), Unwatched())
    github.asked.clear()
    publish(client(github), folder(tmp_path / "f", a_1="one", b_1="two", c_1="three"), Unwatched())
    uploads = [asked.partition("name=")[2] for asked in github.asked if asked.startswith("POST /upload")]
    assert uploads == ["c-1.0.0.pkg.tar.gz", "index"]


def test_published_twice_the_second_time_changes_nothing(github, tmp_path):
    files = folder(tmp_path / "f", a_1="one")
    publish(client(github), files, Unwatched())
    changes = github.changes
    assert publish(client(github), files, Unwatched()).plan.nothing
    assert github.changes == changes


def test_a_state_of_before_becomes_the_latest_again_without_an_upload(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched())
    publish(client(github), folder(tmp_path / "f", a_1="worse"), Unwatched())
    github.asked.clear()
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched())
    assert read_over_http(github) == {"a=1.0.0": "one"}
    assert [asked for asked in github.asked if asked.startswith("POST")] == []


def test_exactly_leaves_out_what_the_folder_has_not(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one", b_1="two"), Unwatched())
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched(), exactly=True)
    assert read_over_http(github) == {"a=1.0.0": "one"}


def test_names_that_github_would_change_are_changed_before(github, tmp_path):
    files = folder(tmp_path / "f", **{"c++_1": "plus", "c#_1": "sharp"})
    publish(client(github), files, Unwatched())
    assert read_over_http(github) == {"c++=1.0.0": "plus", "c#=1.0.0": "sharp"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(faults=st.dictionaries(st.integers(0, 11), st.sampled_from(FAULTS), max_size=5), digests=st.booleans())
def test_at_every_moment_the_index_and_all_it_names_are_there(tmp_path, faults, digests):
    with github_server() as state:
        state.after, state.digests = state.read, digests
        publish(client(state), folder(tmp_path / "f", a_1="one", b_1="two"), Unwatched())
        before = state.read()
        seen = []
        state.after = lambda: seen.append(state.read())
        state.changes, state.faults = 0, dict(faults)
        publish(client(state), folder(tmp_path / "f", a_1="changed", c_1="new"), Unwatched())
        assert state.read().keys() == {"a=1.0.0", "b=1.0.0", "c=1.0.0"}
        assert state.read()["a=1.0.0"] == hashlib.sha256(b"changed").hexdigest()
        assert [state for state in seen if state not in (before, seen[-1])] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_given_up_at_any_request_it_goes_on_from_there(tmp_path, fault):
    """Each request that changes something fails once, for good; then the command is run again."""
    for number in range(20):
        with github_server() as state:
            publish(client(state), folder(tmp_path / "f", a_1="one"), Unwatched())
            state.after = state.read
            before = state.read()
            files = folder(tmp_path / "f", a_1="changed", b_1="new")
            state.changes, state.faults = 0, {number: fault}
            try:
                publish(client(state, tries=1), files, Unwatched())
            except GitHubRefused:
                assert state.read() in (before, {file_package(file): file.sha256 for file in files})
                state.asked.clear()
                publish(client(state), files, Unwatched())
            assert state.read() == {file_package(file): file.sha256 for file in files}
            assert len([release for release in state.releases if release["draft"]]) == 0
            if number >= state.changes:
                return
    raise AssertionError("publishing takes more requests than this test fails")


def file_package(file):
    return f"{file.language}={file.version}"


def test_what_was_uploaded_before_it_was_killed_is_not_uploaded_again(github, tmp_path):
    files = folder(tmp_path / "f", a_1="one", b_1="two")
    github.faults = {2: "500 before"}  # the draft and the first package have been made
    with pytest.raises(GitHubRefused):
        publish(client(github, tries=1), files, Unwatched())
    github.asked.clear()
    publish(client(github), files, Unwatched())
    uploads = [asked.partition("name=")[2] for asked in github.asked if asked.startswith("POST /upload")]
    assert uploads == ["b-1.0.0.pkg.tar.gz", "index"]


def test_packages_that_somebody_else_publishes_meanwhile_are_kept(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched())
    mine = folder(tmp_path / "f", b_1="mine")
    theirs = folder(tmp_path / "g", c_1="theirs")

    def other(asked):
        if asked.endswith("name=index"):
            github.before_change = lambda _: None
            publish(client(github), theirs, Unwatched())

    github.before_change = other
    publish(client(github), mine, Unwatched())
    assert github.read().keys() == {"a=1.0.0", "b=1.0.0", "c=1.0.0"}


def test_a_package_whose_file_was_deleted_is_published_anew_or_named(github, tmp_path):
    files = folder(tmp_path / "f", a_1="one", b_1="two")
    publish(client(github), files, Unwatched())
    github.after = lambda: None  # somebody broke it by hand
    github.releases[0]["assets"] = [one for one in github.releases[0]["assets"] if not one["name"].startswith("a-")]
    with pytest.raises(GitHubRefused) as raised:
        publish(client(github), folder(tmp_path / "g", c_1="three"), Unwatched())
    assert raised.value.values == {"packages": "a=1.0.0"}
    publish(client(github), folder(tmp_path / "f", a_1="one", b_1="two"), Unwatched())
    assert read_over_http(github) == {"a=1.0.0": "one", "b=1.0.0": "two"}


def test_waits_follow_what_github_asks_for(github, tmp_path):
    waits = []
    github.faults = {0: "limit", 1: "secondary limit", 2: "500 before"}
    publish(client(github, waits=waits), folder(tmp_path / "f", a_1="one"), Unwatched())
    assert [wait for wait in waits if wait] == [3, 60, 4]


def test_a_primary_limit_is_waited_for_until_it_is_reset():
    reply = requests.Response()
    reply.headers.update({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 50)})
    assert 0 < asked_wait_s(reply) <= 51


@pytest.mark.parametrize("token", ["wrong", "ghp_other"])
def test_a_token_is_in_no_message(github, tmp_path, token):
    with pytest.raises(GitHubRefused) as raised:
        publish(client(github, token=token), folder(tmp_path / "f", a_1="one"), Unwatched())
    assert "Bad credentials" in str(raised.value)
    assert token not in str(raised.value)
    assert token not in repr(raised.value.__cause__)


@pytest.mark.parametrize("answer", [b"<html>Sign in</html>", b"[]", b'{"id": 1}', b"null"])
def test_an_answer_that_is_not_githubs_is_an_error_of_ours(tmp_path, answer):
    """As a proxy or a wrong --api-url gives it."""
    with file_server() as files:
        files.content["/repos/o/r/releases/latest"] = answer
        with pytest.raises(GitHubRefused):
            plan(GitHub(REPOSITORY, TOKEN, Patience(1), files.address), folder(tmp_path / "f", a_1="one"))


def test_a_token_goes_nowhere_in_the_open():
    with pytest.raises(GitHubRefused):
        GitHub(REPOSITORY, TOKEN, Patience(1), "http://api.github.example")


def test_a_refusal_that_cannot_help_is_not_tried_again(github, tmp_path):
    with pytest.raises(GitHubRefused):
        plan(
            GitHub("o/other", TOKEN, Patience(5, sleep=pytest.fail), f"{github.address}/api"),
            folder(tmp_path / "f", a_1="x"),
        )


def test_a_file_that_github_does_not_take_is_refused_before_anything_is_done(github, tmp_path):
    big = index.PackageFile("a", "1.0.0", tmp_path / "a-1.0.0.pkg.tar.gz", "0" * 64, 2**31)
    with pytest.raises(GitHubRefused) as raised:
        publish(client(github), [big], Unwatched())
    assert raised.value.key == "github_too_large"
    assert github.changes == 0


def command(state, *words, token=TOKEN):
    environment = {**os.environ, "GITHUB_TOKEN": token, "LC_ALL": "C.UTF-8"}
    named = [*map(str, words), "--api-url", f"{state.address}/api", "--pace", "0"]
    return {"args": [sys.executable, "-m", "piston", *named], "cwd": ROOT, "env": environment}


def publishing(state, path, *words, token=TOKEN):
    return command(state, "publish", path, "--repo", REPOSITORY, *words, token=token)


def ran(**how):
    return subprocess.run(**how, capture_output=True, text=True)


def test_the_command_publishes_and_prints_the_address_for_piston(github, tmp_path):
    folder(tmp_path / "f", a_1="one")
    dry = json.loads(ran(**publishing(github, tmp_path / "f", "--dry-run", "--json")).stdout)
    assert (dry["uploads"], dry["changed"], github.changes) == (["a=1.0.0"], True, 0)
    said = ran(**publishing(github, tmp_path / "f"))
    assert (said.returncode, said.stderr) == (0, "")
    assert f"PISTON_REPO_URL={github.address}/{REPOSITORY}/releases/latest/download/index" in said.stdout
    again = json.loads(ran(**publishing(github, tmp_path / "f", "--json")).stdout)
    assert (again["changed"], again["carried"]) == (False, ["a=1.0.0"])


@pytest.mark.parametrize(("token", "key"), [("", "token_missing"), ("ghp_wrong", "github_refused")])
def test_without_a_good_token_the_command_says_so_and_never_repeats_it(github, tmp_path, token, key):
    folder(tmp_path / "f", a_1="one")
    ended = ran(**publishing(github, tmp_path / "f", "--json", token=token))
    assert (ended.returncode, json.loads(ended.stdout)["error"]) == (3, key)
    assert not token or token not in ended.stdout + ended.stderr


def test_an_empty_folder_is_not_published(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched())
    (tmp_path / "empty").mkdir()
    for more in ((), ("--exactly",), ("--dry-run",)):
        ended = ran(**publishing(github, tmp_path / "empty", "--json", *more))
        assert json.loads(ended.stdout)["error"] == "folder_empty"
    assert read_over_http(github) == {"a=1.0.0": "one"}


def test_killed_in_the_middle_it_goes_on_and_no_reader_notices(github, tmp_path):
    publish(client(github), folder(tmp_path / "f", a_1="one"), Unwatched())
    before = github.read()
    folder(tmp_path / "f", a_1="changed", b_1="new")
    process = None

    def kill(asked):
        if asked.endswith("name=b-1.0.0.pkg.tar.gz"):
            github.before_change = lambda _: None
            process.send_signal(signal.SIGKILL)
            process.wait()

    github.before_change = kill
    process = subprocess.Popen(**publishing(github, tmp_path / "f"), stdout=subprocess.DEVNULL)
    assert process.wait() == -signal.SIGKILL
    assert read_over_http(github) == {"a=1.0.0": "one"}
    assert github.read() == before
    assert ran(**publishing(github, tmp_path / "f")).returncode == 0
    assert read_over_http(github) == {"a=1.0.0": "changed", "b=1.0.0": "new"}


def test_a_mirror_may_be_a_release_of_ones_own(github, tmp_path):
    with file_server() as upstream:
        upstream.content["/a"] = b"one"
        line = f"a,1.0.0,{hashlib.sha256(b'one').hexdigest()},{upstream.address}/a\n"
        upstream.content["/index"] = line.encode()
        words = ("--from", f"{upstream.address}/index", "--publish", REPOSITORY, "--json")
        said = json.loads(ran(**command(github, "mirror", tmp_path / "f", *words)).stdout)
    assert (said["fetched"], said["uploads"]) == (["a=1.0.0"], ["a=1.0.0"])
    assert read_over_http(github) == {"a=1.0.0": "one"}
