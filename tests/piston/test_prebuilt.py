"""What `python -m piston build` made on one machine is a runtime of the sandbox on another, where it is of the same package."""

import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codecoach.errors import RuntimeBroken
from codecoach.runner import installed, packages, prebuilt
from codecoach.runner.installed import Package
from codecoach.runner.sandbox import probing
from piston.build import build
from piston.cli import app
from tests.piston.packages import BUILD, write_package

pytestmark = pytest.mark.skipif(bool(probing.problem()), reason=str(probing.problem()))


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """The folder of packages that there are."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setattr(installed, "PACKAGES", folder)
    for cached in (installed.versions, installed.known, installed._hash):
        cached.cache_clear()
    yield folder
    for cached in (installed.versions, installed.known, installed._hash):
        cached.cache_clear()


@pytest.fixture
def tiny(sources) -> Path:
    # Readable for the sandbox's user at once: what is built in its place is not packed.
    return write_package(sources, build=BUILD.replace("chmod 700", "chmod 755").replace("chmod 600", "chmod 644"))


@pytest.fixture
def made(tiny, tmp_path) -> Path:
    """A folder with its archive."""
    folder = tmp_path / "dist"
    build(Package("tiny", "1.0.0", tiny), folder, tmp_path / "work")
    return folder


def as_one_file(folder: Path) -> Path:
    bundle = folder.with_suffix(".tar")
    with tarfile.open(bundle, "w") as archive:
        archive.add(folder, "dist")
    return bundle


@pytest.mark.parametrize("form", [lambda folder: folder, as_one_file], ids=["folder", "file"])
def test_what_is_there_is_not_built_and_works(made, tmp_path, form):
    said = []
    runtime = packages.install("tiny", tmp_path / "cache", said.append, form(made))
    assert said == []
    assert runtime.environment["TINY"] == "/piston/packages/tiny/1.0.0"
    place = packages.runtimes_folder(tmp_path / "cache") / runtime.folder
    assert (place / "lib" / "again").read_text() == "word\n"
    assert packages.install("tiny", tmp_path / "cache") == runtime


def test_the_archive_of_another_state_of_the_package_is_as_if_it_were_not_there(tiny, made, tmp_path):
    (tiny / "build.sh").write_text((tiny / "build.sh").read_text() + "echo built anew\n")
    installed._hash.cache_clear()
    said = []
    packages.install("tiny", tmp_path / "cache", said.append, made)
    assert said == ["built anew"]


def test_one_that_does_not_work_here_is_told_of_and_built(made, tmp_path):
    whole = next(made.glob("*.pkg.tar.gz"))
    whole.write_bytes(whole.read_bytes()[:-200])
    said = []
    packages.install("tiny", tmp_path / "cache", said.append, made)
    assert len(said) == 1
    assert str(made) in said[0]


def test_it_never_writes_outside_of_its_folder(made, tmp_path):
    whole = next(made.glob("*.pkg.tar.gz"))
    with tarfile.open(whole) as archive:
        info = archive.extractfile(archive.next()).read()
    evil = made / "evil.pkg.tar.gz"
    whole.unlink()
    with tarfile.open(evil, "w:gz") as archive:
        for name, content in (("pkg-info.json", info), ("../../../outside", b"x")):
            path = tmp_path / "content"
            path.write_bytes(content)
            archive.add(path, name)
    packages.install("tiny", tmp_path / "cache", None, made)  # built
    assert not list(tmp_path.rglob("outside"))


def test_without_any_the_build_says_what_is_wrong(sources, tmp_path):
    write_package(sources, build="echo no compiler; exit 1")
    with pytest.raises(RuntimeBroken, match="no compiler"):
        packages.install("tiny", tmp_path / "cache", None, tmp_path)


def test_archives_of_other_states_are_sifted_out_and_those_of_other_packages_stay(tiny, made, tmp_path, sources):
    other = made / "other-1.0.0.pkg.tar.gz"
    elsewhere = write_package(tmp_path / "elsewhere", "other")
    build(Package("other", "1.0.0", elsewhere), made, tmp_path / "work")
    (made / "broken-1.0.0.pkg.tar.gz").write_bytes(b"no archive")
    assert [path.name for path in prebuilt.outdated(made)] == ["broken-1.0.0.pkg.tar.gz"]
    (tiny / "build.sh").write_text((tiny / "build.sh").read_text() + "# changed\n")
    installed._hash.cache_clear()
    CliRunner().invoke(app, ["sift", str(made)], catch_exceptions=False)
    assert sorted(path.name for path in made.glob("*.pkg.tar.gz")) == [other.name]
