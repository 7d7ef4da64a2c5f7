"""Mirrored packages are right or not there, whatever the network does, and what has come is never fetched twice."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from piston import index
from piston.errors import ChecksumWrong, IndexBroken, PackageUnknown, Unreachable
from piston.mirror import mirror, missing, wanted
from piston.transfer import Patience, fetch_file, fetch_text, shown
from tests.piston import servers

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 1000
BASE = "http://127.0.0.1:2001"


class Unwatched:
    def begins(self, entry): ...
    def arrived(self, entry, done_bytes, total_bytes): ...
    def ended(self, entry): ...


def patience(tries=3):
    """Patience that does not wait, and the list of the waits it would have made."""
    waits = []
    return Patience(tries, first_wait_s=1, sleep=waits.append), waits


@pytest.fixture
def upstream():
    with servers.file_server() as files:
        yield files


def publish(files, *packages):
    """Put packages on the server: (language, version, content)."""
    lines = []
    for language, version, content in packages:
        name = index.file_name(language, version)
        files.content[f"/{name}"] = content
        lines.append(f"{language},{version},{hashlib.sha256(content).hexdigest()},{files.address}/{name}\n")
    files.content["/index"] = ("\n" + "".join(lines)).encode()


def fetch(files, folder, tries=3, content=CONTENT):
    patient, waits = patience(tries)
    fetch_file(f"{files.address}/f", folder / "f", hashlib.sha256(content).hexdigest(), patient, lambda *_: None)
    return waits


FAULTS = {
    "server fault": servers.status(500),
    "cut": servers.cut_after(100_000),
    "cut at once": servers.cut_after(0),
    "range ignored": servers.whole,
    "another part": servers.another_part,
    "too busy": servers.status(429, Retry_After="7"),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=5))
def test_a_file_comes_whole_through_whatever_fails_on_the_way(upstream, tmp_path, names):
    upstream.content["/f"] = CONTENT
    upstream.faults["/f"] = [FAULTS[name] for name in names]
    (tmp_path / "f").unlink(missing_ok=True)
    fetch(upstream, tmp_path, tries=6)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_download_goes_on_where_it_broke_off(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    upstream.faults["/f"] = [servers.cut_after(100_000)]
    fetch(upstream, tmp_path)
    asked = [asked for _, asked in upstream.asked]
    assert asked[0] is None
    assert asked[1].startswith("bytes=")
    assert 0 < int(asked[1].removeprefix("bytes=").rstrip("-")) <= 100_000


def test_waits_grow_and_the_servers_own_wish_is_followed(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    upstream.faults["/f"] = [servers.status(503), servers.status(503), servers.status(429, Retry_After="7")]
    assert fetch(upstream, tmp_path, tries=4) == [1, 2, 7]


def test_a_wish_for_a_very_long_wait_is_an_error_at_once(upstream, tmp_path):
    upstream.faults["/f"] = [servers.status(429, Retry_After="86400")]
    with pytest.raises(Unreachable):
        fetch(upstream, tmp_path)
    assert len(upstream.asked) == 1


def test_a_wish_may_be_a_time_of_day(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    upstream.faults["/f"] = [servers.status(503, Retry_After="Mon, 01 Jan 2024 00:00:00 GMT")]
    assert fetch(upstream, tmp_path) == [0]


def test_tries_are_bounded_and_what_has_come_is_kept(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    upstream.faults["/f"] = [servers.cut_after(1000), *[servers.status(500)] * 9]
    with pytest.raises(Unreachable):
        fetch(upstream, tmp_path, tries=3)
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".f.")
    assert part.read_bytes() == CONTENT[: part.stat().st_size]
    upstream.faults["/f"] = []
    fetch(upstream, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_what_is_not_there_is_not_asked_for_again(upstream, tmp_path):
    with pytest.raises(Unreachable) as raised:
        fetch(upstream, tmp_path)
    assert raised.value.values["detail"] == "HTTP 404"
    assert len(upstream.asked) == 1


def test_another_content_than_the_index_names_never_gets_the_name(upstream, tmp_path):
    upstream.content["/f"] = b"other"
    with pytest.raises(ChecksumWrong):
        fetch(upstream, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_beginning_is_thrown_away_and_fetched_anew(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    (tmp_path / f".f.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part").write_bytes(b"damaged")
    fetch(upstream, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_beginning_that_is_already_all_of_it_is_taken(upstream, tmp_path):
    upstream.content["/f"] = CONTENT
    (tmp_path / f".f.{hashlib.sha256(CONTENT).hexdigest()[:12]}.part").write_bytes(CONTENT)
    fetch(upstream, tmp_path)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_no_message_holds_what_may_be_secret_in_an_address():
    assert shown("https://me:secret@host:81/index?token=secret#secret") == "https://host:81/index"
    with pytest.raises(Unreachable) as raised:
        fetch_text("http://me:secret@127.0.0.1:1/index?key=secret", Patience(1))
    assert "secret" not in str(raised.value)


def test_a_page_that_is_no_index_is_named(upstream):
    upstream.content["/index"] = b"<html>Sign in</html>"
    with pytest.raises(IndexBroken):
        wanted(f"{upstream.address}/index", [], patience()[0])


def test_all_packages_come_and_the_folder_is_an_index_of_its_own(upstream, tmp_path):
    publish(upstream, ("a", "1.0.0", b"one"), ("c++", "10.2.0", b"two"), ("c++", "11.0.0", b"three"))
    entries = wanted(f"{upstream.address}/index", [], patience()[0])
    done = mirror(entries, tmp_path, BASE, Unwatched(), patience()[0])
    assert (len(done.fetched), done.kept, done.failed) == (3, (), ())
    named = index.read(tmp_path)
    assert [entry.package for entry in named] == ["a=1.0.0", "c++=10.2.0", "c++=11.0.0"]
    assert all(entry.url.startswith(BASE) for entry in named)
    assert missing(entries, tmp_path) == ()


def test_a_second_time_only_what_changed_comes(upstream, tmp_path):
    publish(upstream, ("a", "1.0.0", b"one"), ("b", "1.0.0", b"two"))
    address = f"{upstream.address}/index"
    mirror(wanted(address, [], patience()[0]), tmp_path, BASE, Unwatched(), patience()[0])
    publish(upstream, ("a", "1.0.0", b"one"), ("b", "1.0.0", b"changed"))
    entries = wanted(address, [], patience()[0])
    assert [entry.package for entry in missing(entries, tmp_path)] == ["b=1.0.0"]
    done = mirror(entries, tmp_path, BASE, Unwatched(), patience()[0])
    assert ([e.package for e in done.fetched], [e.package for e in done.kept]) == (["b=1.0.0"], ["a=1.0.0"])
    assert (tmp_path / "b-1.0.0.pkg.tar.gz").read_bytes() == b"changed"


def test_some_packages_may_be_chosen_and_an_unknown_one_is_named(upstream):
    publish(upstream, ("a", "1.0.0", b"1"), ("a", "2.0.0", b"2"), ("b", "1.0.0", b"3"))
    address = f"{upstream.address}/index"
    assert [e.package for e in wanted(address, ["a"], patience()[0])] == ["a=1.0.0", "a=2.0.0"]
    assert [e.package for e in wanted(address, ["a=2.0.0", "b"], patience()[0])] == ["a=2.0.0", "b=1.0.0"]
    with pytest.raises(PackageUnknown):
        wanted(address, ["z"], patience()[0])


def test_one_that_fails_leaves_the_others_and_an_index_of_what_is_there(upstream, tmp_path):
    publish(upstream, ("a", "1.0.0", b"one"), ("b", "1.0.0", b"two"))
    del upstream.content["/b-1.0.0.pkg.tar.gz"]
    done = mirror(wanted(f"{upstream.address}/index", [], patience()[0]), tmp_path, BASE, Unwatched(), patience()[0])
    assert [(entry.package, type(error)) for entry, error in done.failed] == [("b=1.0.0", Unreachable)]
    assert [entry.package for entry in index.read(tmp_path)] == ["a=1.0.0"]


def test_packages_built_here_stay_in_the_folders_index(upstream, tmp_path):
    (tmp_path / "own-1.0.0.pkg.tar.gz").write_bytes(b"own")
    publish(upstream, ("a", "1.0.0", b"one"))
    mirror(wanted(f"{upstream.address}/index", [], patience()[0]), tmp_path, BASE, Unwatched(), patience()[0])
    assert [entry.package for entry in index.read(tmp_path)] == ["a=1.0.0", "own=1.0.0"]


def test_a_package_built_here_is_replaced_only_when_that_is_asked_for(upstream, tmp_path):
    """Upstream names a version of the same number."""
    publish(upstream, ("a", "1.0.0", b"theirs"))
    (tmp_path / "a-1.0.0.pkg.tar.gz").write_bytes(b"mine")
    entries = wanted(f"{upstream.address}/index", [], patience()[0])
    assert missing(entries, tmp_path) == ()
    done = mirror(entries, tmp_path, BASE, Unwatched(), patience()[0])
    assert (done.fetched, done.own) == ((), entries)
    assert index.read(tmp_path)[0].sha256 == hashlib.sha256(b"mine").hexdigest()
    done = mirror(entries, tmp_path, BASE, Unwatched(), patience()[0], replace_own=True)
    assert (tmp_path / "a-1.0.0.pkg.tar.gz").read_bytes() == b"theirs"
    (tmp_path / "a-1.0.0.pkg.tar.gz").write_bytes(b"mine again")
    assert mirror(entries, tmp_path, BASE, Unwatched(), patience()[0]).own == entries


def command(address, folder):
    words = [sys.executable, "-m", "piston", "mirror", folder, "--from", f"{address}/index", "--json"]
    return [str(word) for word in words]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_killed_in_the_middle_it_leaves_nothing_half_written_and_goes_on(upstream, tmp_path, number, code):
    publish(upstream, ("a", "1.0.0", b"one"), ("b", "1.0.0", CONTENT))
    folder, name = tmp_path / "folder", "/b-1.0.0.pkg.tar.gz"
    process = None

    def kill(handler, content):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:200_000])
        handler.wfile.flush()
        # The command is in the middle of it when some of it is on the disk.
        while process.poll() is None and not any(part.stat().st_size for part in folder.glob(".b-*.part")):
            time.sleep(0.01)
        process.send_signal(number)
        process.wait()
        handler.close_connection = True

    upstream.faults[name] = [kill]
    process = subprocess.Popen(command(upstream.address, folder), cwd=ROOT, stdout=subprocess.DEVNULL)
    assert process.wait() == code
    assert not (folder / "b-1.0.0.pkg.tar.gz").exists()
    assert {entry.package for entry in index.read(folder)} <= {"a=1.0.0"}

    subprocess.run(command(upstream.address, folder), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert (folder / "b-1.0.0.pkg.tar.gz").read_bytes() == CONTENT
    assert [asked for path, asked in upstream.asked if path == name][-1].startswith("bytes=")
    assert len(index.read(folder)) == 2
