"""The file of a backup: what it looks like, what of it is refused, and what is left where writing it fails."""

import gzip
import json
import os
import stat
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.errors import InputRefused, ItemRefused
from codecoach.store import backup_file
from codecoach.store.backup_file import Head
from codecoach.store.items import ITEM_BYTES
from codecoach.store.port import Item, Key

HEAD = Head(2, "2026-11-29T01:30:00.000000+00:00", "SQLite")
ITEMS = (
    Item(Key("user#ann", "preferences"), {"language": "zh", "half": "\ud83d", "big": 10**60}, 3),
    Item(Key("user#ann", "失败"), {"": [None, True, 1, 1.0, {"": ""}]}, 1, expires_at=4_000_000_000),
)


@pytest.fixture(params=["backup.jsonl", "backup.jsonl.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def refused(path) -> str:
    with pytest.raises(InputRefused) as caught:
        backup_file.check(path)
    return caught.value.key


def plain(path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()


def put_back(path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)


def test_what_is_written_is_read_and_looks_as_documented(path):
    written = backup_file.write(path, HEAD, ITEMS)
    assert backup_file.check(path) == written
    assert tuple(backup_file.items(path, written)) == ITEMS
    lines = [json.loads(line) for line in plain(path).splitlines()]
    assert lines[0] == {"codecoach_backup": 1, "layout": 2, "made_at": HEAD.made_at, "store": "SQLite"}
    assert lines[2] == {"p": "user#ann", "s": "失败", "v": 1, "d": ITEMS[1].data, "e": 4_000_000_000}
    assert lines[3] == {"items": 2, "sha256": written.sha256}
    assert plain(path).isascii()


def test_an_empty_store_is_a_backup_too(path):
    written = backup_file.write(path, HEAD, ())
    assert (backup_file.check(path).items, tuple(backup_file.items(path, written))) == (0, ())


def test_only_its_owner_may_read_it_also_where_another_file_was_before(path):
    path.write_text("old")
    path.chmod(0o644)
    backup_file.write(path, HEAD, ITEMS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_before_stays_until_the_new_one_is_whole(path):
    backup_file.write(path, HEAD, ITEMS)
    before = path.read_bytes()

    def breaking():
        yield ITEMS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup_file.write(path, HEAD, breaking())
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputRefused) as caught:
        backup_file.write(tmp_path / "none" / "backup.jsonl", HEAD, ITEMS)
    assert caught.value.key == "backup_unwritable"
    assert refused(tmp_path / "none.jsonl") == "backup_unreadable"
    assert refused(tmp_path) == "backup_unreadable"


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "backup.jsonl"
    backup_file.write(path, HEAD, ITEMS)
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert refused(path) == ("backup_cut" if length >= first - 1 else "backup_none")


def test_a_packed_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "backup.jsonl.gz"
    backup_file.write(path, HEAD, ITEMS)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert refused(path) in ("backup_cut", "backup_none")


@pytest.mark.parametrize("name", ["backup.jsonl", "backup.jsonl.gz"])
@given(data=st.data())
def test_a_file_of_which_any_byte_was_changed_is_refused(tmp_path_factory, name, data):
    path = tmp_path_factory.mktemp("changed") / name
    backup_file.write(path, HEAD, ITEMS)
    content = bytearray(plain(path))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    put_back(path, bytes(content))
    assert refused(path).startswith("backup_")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (lambda lines: lines[1:], "backup_none"),
        (lambda lines: [b"[]", *lines[1:]], "backup_none"),
        (lambda lines: [lines[0].replace(b'"layout":2', b'"layout":0'), *lines[1:]], "backup_none"),
        (
            lambda lines: [lines[0].replace(b'"codecoach_backup":1', b'"codecoach_backup":2'), *lines[1:]],
            "backup_newer",
        ),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "backup_changed"),
        (lambda lines: [lines[0], lines[1], lines[3]], "backup_changed"),
        (lambda lines: [lines[0], lines[1], lines[1], *lines[2:]], "backup_changed"),
        (lambda lines: [*lines, lines[1]], "backup_changed"),
        (lambda lines: [*lines[:2], b"{}", *lines[2:]], "backup_changed"),
        (lambda lines: [*lines[:2], b"7", *lines[2:]], "backup_changed"),
        (lambda lines: lines[:3], "backup_cut"),
    ],
)
def test_other_wrong_files_are_refused(path, change, key):
    backup_file.write(path, HEAD, ITEMS)
    put_back(path, b"\n".join(change(plain(path).splitlines())) + b"\n")
    assert refused(path) == key


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 1000, b"{" * 100_000, b"[" * 100_000, b"9" * 5000, b"PK\x03\x04", b"\x1f\x8b"]
)
def test_what_is_no_backup_at_all_is_refused(tmp_path, content):
    (tmp_path / "other").write_bytes(content)
    assert refused(tmp_path / "other") in ("backup_none", "backup_cut")


@pytest.mark.parametrize(
    "item",
    [
        Item(Key("layout", "current"), {"number": 9}, 1),
        Item(Key("sign-in#00", "sign-in"), {"username": "root@example.com"}, 1),
        Item(Key("", "empty"), {}, 1),
        Item(Key("p", "too large"), {"t": "x" * ITEM_BYTES}, 1),
        Item(Key("p", "never stored"), {}, 0),
        Item(Key("p", "no number"), {}, "1"),
        Item(Key("p", "no number"), {}, True),
        Item(Key("p", "no time"), {}, 1, "soon"),
        Item(Key("p", "no object"), [], 1),
        Item(Key("p", 7), {}, 1),
    ],
)
def test_items_that_no_export_writes_are_refused_though_the_digest_is_right(path, item):
    backup_file.write(path, HEAD, (*ITEMS, item))
    with pytest.raises((InputRefused, ItemRefused)) as caught:
        backup_file.check(path)
    assert caught.value.key in ("backup_changed", "item_refused")


def test_a_file_that_is_changed_between_the_check_and_the_reading_is_noticed(path):
    backup = backup_file.write(path, HEAD, ITEMS)
    backup_file.write(path, HEAD, (ITEMS[0], Item(ITEMS[1].key, {"other": True}, 1)))
    with pytest.raises(InputRefused):
        list(backup_file.items(path, backup))


def test_it_is_written_and_read_item_by_item(tmp_path):
    """Never all of it in memory: the next item is asked for when the one before is written, and read."""
    path = tmp_path / "backup.jsonl"

    def many():
        for number in range(2_000):
            yield Item(Key("p", f"{number}"), {"t": "x" * 5_000}, 1)

    tracemalloc.start()
    try:
        backup = backup_file.write(path, HEAD, many())
        assert backup_file.check(path) == backup
        assert sum(1 for _ in backup_file.items(path, backup)) == 2_000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000, "of 10 MB"
    finally:
        tracemalloc.stop()
