"""An index holds only what Piston can read, and is whole at every moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piston import index
from piston.errors import IndexBroken
from piston.index import Entry

SHA = "a" * 64
GOOD = f"bash,5.2.0,{SHA},http://127.0.0.1:2001/bash-5.2.0.pkg.tar.gz"

names = st.from_regex(r"[a-z][a-z0-9+#._-]{0,9}", fullmatch=True)
versions = st.builds("{}.{}.{}".format, *[st.integers(0, 99)] * 3)
entries = st.builds(
    Entry, names, versions, st.text("0123456789abcdef", min_size=64, max_size=64), names.map("http://host/{}".format)
)


def as_piston_reads(content):
    """Piston's own way: lines that are not empty, split at the first three commas."""
    return [tuple(line.split(",", 3)) for line in content.split("\n") if line]


@given(st.lists(entries, unique_by=lambda entry: entry.package))
def test_what_is_written_is_read_by_piston_and_by_us_alike(known):
    content = index.text(known)
    assert as_piston_reads(content) == [(e.language, e.version, e.sha256, e.url) for e in sorted(known)]
    assert index.parse(content, "here") == tuple(sorted(known))


def test_an_index_that_begins_with_an_empty_line_is_read(tmp_path):
    """Piston's own tool writes one."""
    assert len(index.parse(f"\n{GOOD}\n", "here")) == 1


@pytest.mark.parametrize(
    "line",
    [
        "Not Found",
        "<html>",
        f"bash,5.2,{SHA},http://host/x",
        f"bash,5.2.0,{SHA[1:]},http://host/x",
        f"bash,5.2.0,{SHA.upper()},http://host/x",
        f"bash,5.2.0,{SHA},ftp://host/x",
        f"bash,5.2.0,{SHA},http://host/a,b",
        f"../bash,5.2.0,{SHA},http://host/x",
        f"bash,5.2.0,{SHA},http://host/x\r",
    ],
)
def test_a_line_that_piston_would_stumble_over_is_named(line):
    with pytest.raises(IndexBroken) as raised:
        index.parse(f"{GOOD}\n{line}", "here")
    assert (raised.value.values["line"], raised.value.values["where"]) == (2, "here")


def test_nothing_is_written_that_could_not_be_read(tmp_path):
    index.write(tmp_path, index.parse(GOOD, "here"))
    twice = [Entry("a", "1.0.0", SHA, "http://host/1"), Entry("a", "1.0.0", SHA, "http://host/2")]
    for wrong in (twice, [Entry("a", "new", SHA, "http://host/1")]):
        with pytest.raises(IndexBroken):
            index.write(tmp_path, wrong)
    assert (tmp_path / "index").read_text() == f"{GOOD}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def package(folder, name, content=b"x"):
    (folder / name).write_bytes(content)


def test_a_folders_index_names_its_packages_with_their_checksums(tmp_path):
    package(tmp_path, "bash-5.2.0.pkg.tar.gz")
    package(tmp_path, "c++-10.2.0.pkg.tar.gz")
    package(tmp_path, "emacs-lisp-27.1.0-rc.1.pkg.tar.gz")
    for other in ("readme.md", ".lua-1.0.0.pkg.tar.gz", "lua.pkg.tar.gz", ".lua-1.0.0.pkg.tar.gz.part"):
        package(tmp_path, other)
    named = index.updated(tmp_path, "http://host/files/")
    assert [(entry.language, entry.version) for entry in named] == [
        ("bash", "5.2.0"),
        ("c++", "10.2.0"),
        ("emacs-lisp", "27.1.0-rc.1"),
    ]
    assert named[1].url == "http://host/files/c%2B%2B-10.2.0.pkg.tar.gz"
    assert named[0].sha256 == index.sha256(tmp_path / "bash-5.2.0.pkg.tar.gz")


def test_packages_at_other_addresses_stay_named_and_those_gone_from_the_folder_do_not(tmp_path):
    package(tmp_path, "a-1.0.0.pkg.tar.gz")
    package(tmp_path, "b-1.0.0.pkg.tar.gz")
    other = Entry("z", "1.0.0", SHA, "https://elsewhere/z.pkg.tar.gz")
    index.write(tmp_path, (*index.updated(tmp_path, "http://host"), other))
    (tmp_path / "b-1.0.0.pkg.tar.gz").unlink()
    assert [entry.package for entry in index.updated(tmp_path, "http://host")] == ["a=1.0.0", "z=1.0.0"]


def test_a_package_built_anew_replaces_its_line(tmp_path):
    index.write(tmp_path, [Entry("a", "1.0.0", SHA, "https://upstream/a-1.0.0.pkg.tar.gz")])
    package(tmp_path, "a-1.0.0.pkg.tar.gz")
    (entry,) = index.updated(tmp_path, "http://host")
    assert entry.url == "http://host/a-1.0.0.pkg.tar.gz"
    assert entry.sha256 != SHA
