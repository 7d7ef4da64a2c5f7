"""A package becomes an archive that Piston can install, whole or not at all, the same bytes each time."""

import gzip
import json
import os
import subprocess
import tarfile

import pytest

from codecoach.errors import RuntimeBroken
from piston import archive, index
from piston.build import OFFICIAL, build, find
from piston.errors import PackageUnfit, PackageUnknown
from tests.piston.packages import BUILD, write_package


@pytest.fixture
def folders(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path / "packages", tmp_path / "to", tmp_path / "work"


def made(folders, test=False, **package):
    packages, to, work = folders
    write_package(packages, **package)
    return build(find(packages, package.get("language", "tiny")), to, work, test=test)


def members(path):
    with tarfile.open(path) as opened:
        return {member.name: member for member in opened.getmembers()}


def test_the_archive_holds_what_piston_reads(folders):
    built = made(folders, test=True)
    assert built.file.path.name == "tiny-1.0.0.pkg.tar.gz"
    assert built.tested
    names = members(built.file.path)
    assert {"pkg-info.json", "environment", "run", "bin/tiny", "lib/data"} <= names.keys()
    with tarfile.open(built.file.path) as opened:
        info = json.load(opened.extractfile("pkg-info.json"))
    assert info == {
        "language": "tiny",
        "version": "1.0.0",
        "aliases": ["t", "codecoach-tiny"],
        "build_platform": OFFICIAL,
        "built_of": find(folders[0], "tiny").name,
    }
    assert built.file.sha256 == index.sha256(built.file.path)


def test_it_runs_where_piston_unpacks_it(folders, tmp_path):
    """The commands are Piston's own: unpack, `env` after the environment script with nothing else set, bash for `run`."""
    built = made(folders)
    place = tmp_path / "installed"
    place.mkdir()
    subprocess.run(["bash", "-c", f"cd {place} && tar xzf {built.file.path}"], check=True)
    asked = ["env", "-i", "bash", "-c", f"cd {place}; source environment; env"]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    environment = dict(line.split("=", 1) for line in lines)
    assert environment["TINY"] == str(place)
    (tmp_path / "program").write_text("echo $((6 * 7))")
    ran = subprocess.run(
        ["bash", place / "run", "program"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.stdout, ran.returncode) == ("42\n", 0)


def test_the_same_package_gives_the_same_bytes(folders, tmp_path):
    first = made(folders)
    os.utime(folders[0] / "tiny" / "1.0.0" / "run", (1, 1))
    again = build(find(folders[0], "tiny"), tmp_path / "elsewhere", folders[2], test=False)
    assert again.file.path.read_bytes() == first.file.path.read_bytes()


def test_a_build_is_told_no_secret_of_who_builds(folders, tmp_path, monkeypatch):
    secrets = ("GITHUB_TOKEN", "GH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CODECOACH_ADMIN_EMAIL")
    for name in (*secrets, "HTTPS_PROXY"):
        monkeypatch.setenv(name, "of the builder")
    made(folders, build=f'env -0 >"{tmp_path}/told"')
    told = {pair.partition("=")[0] for pair in (tmp_path / "told").read_text().split("\0")}
    assert "HTTPS_PROXY" in told
    assert told.isdisjoint(secrets)


def test_files_belong_to_root_and_everybody_may_read_them(folders):
    for name, member in members(made(folders).file.path).items():
        assert (member.uid, member.gid, member.uname, member.mtime) == (0, 0, "root", archive.TIME_S), name
        if not member.issym():
            assert member.mode == (0o755 if member.isdir() or name in ("bin/tiny", "program/run") else 0o644), name


def test_links_lead_to_where_piston_puts_the_package(folders):
    names = members(made(folders).file.path)
    assert names["lib/absolute"].linkname == "/piston/packages/tiny/1.0.0/lib/data"
    assert names["bin/other"].linkname == "tiny"
    assert names["lib/data"].linkname == "lib/again"


def test_the_description_comes_first_so_that_it_is_found_at_once(folders):
    assert next(iter(members(made(folders).file.path))) == "pkg-info.json"


def test_the_archive_carries_no_name_and_no_time_of_its_own(folders):
    header = made(folders).file.path.read_bytes()[:10]
    assert header[3] == 0
    assert header[4:8] == b"\0\0\0\0"


def test_python_compiled_in_a_build_holds_whatever_time_its_source_gets(folders):
    """By time, each start would compile it again: the archive changes times, and jobs may not write."""
    build_sh = 'echo "x = 1" >$PREFIX/m.py; python3 -m compileall -q $PREFIX'
    path = made(folders, build=build_sh).file.path
    with tarfile.open(path) as opened:
        name = next(name for name in opened.getnames() if name.endswith(".pyc"))
        flags = int.from_bytes(opened.extractfile(name).read(8)[4:], "little")
    assert flags == 0b11  # checked by hash; PEP 552


def test_what_may_not_hold_on_another_machine_is_told(folders):
    script = BUILD + 'ln -s /usr/bin/env $PREFIX/env; echo "home=$PREFIX" >$PREFIX/lib/home; cp /bin/sh $PREFIX/bin/sh'
    findings = made(folders, build=script).findings
    assert findings.outside == ("/usr/bin/env",)
    assert findings.stuck == ("lib/home",)
    assert findings.glibc.startswith("2.")


def test_what_an_archive_cannot_carry_is_refused(folders):
    with pytest.raises(PackageUnfit):
        made(folders, build="mkfifo $PREFIX/pipe")
    assert list(folders[1].glob("*.gz")) == []


@pytest.mark.parametrize(
    ("script", "test", "said"), [("echo no disk; exit 1", "echo OK", "no disk"), (BUILD, "echo no", "no")]
)
def test_a_build_or_test_that_fails_leaves_the_archive_before_it(folders, script, test, said):
    before = made(folders).file
    (folders[0] / "tiny" / "1.0.0" / "build.sh").write_text(script)
    (folders[0] / "tiny" / "1.0.0" / "test.tiny").write_text(test)
    with pytest.raises(RuntimeBroken) as raised:
        build(find(folders[0], "tiny"), folders[1], folders[2])
    assert raised.value.values["detail"] == said
    assert index.sha256(before.path) == before.sha256
    assert [path for path in folders[2].iterdir() if path.is_dir()] == []


def test_the_build_is_told_what_platform_it_is_for(folders):
    packages, to, work = folders
    write_package(packages, build='echo "$PLATFORM" >$PREFIX/platform')
    path = build(find(packages, "tiny"), to, work, "baremetal-arch", test=False).file.path
    with tarfile.open(path) as opened:
        assert opened.extractfile("platform").read() == b"baremetal-arch\n"


def test_a_version_is_chosen_by_its_numbers_and_a_missing_one_named_with_the_others(folders):
    packages = folders[0]
    for version in ("1.9.0", "1.10.0", "1.10.0-beta"):
        write_package(packages, version=version)
    assert find(packages, "tiny").version == "1.10.0"
    assert find(packages, "tiny=1.9.0").version == "1.9.0"
    with pytest.raises(PackageUnknown) as raised:
        find(packages, "tiny=2.0.0")
    assert "tiny=1.9.0" in raised.value.values["known"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.json", "{}"),
        ("metadata.json", '{"language": "../x", "version": "1.0.0"}'),
        ("metadata.json", '{"language": "x", "version": "new"}'),
        ("build.sh", "PREFIX=$(realpath $(dirname $0))"),
    ],
)
def test_a_package_that_piston_could_not_take_is_refused_before_it_is_built(folders, name, content):
    write_package(folders[0])
    (folders[0] / "tiny" / "1.0.0" / name).write_text(content)
    with pytest.raises(PackageUnfit):
        build(find(folders[0], "tiny"), folders[1], folders[2], test=False)


@pytest.mark.parametrize("name", ["run", "environment", "test.tiny", "build.sh"])
def test_a_package_must_be_complete(folders, name):
    write_package(folders[0])
    (folders[0] / "tiny" / "1.0.0" / name).unlink()
    with pytest.raises(PackageUnfit):
        build(find(folders[0], "tiny"), folders[1], folders[2], test=False)


def test_an_archive_is_readable_to_its_end(folders):
    with gzip.open(made(folders).file.path) as opened:
        assert len(opened.read()) % 512 == 0
