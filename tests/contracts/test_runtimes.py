"""The runtimes that are installed at once: found, complete, and fit for programs as people write them."""

import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from codecoach.errors import RuntimeBroken, RuntimeMissing
from codecoach.i18n import Language, tell
from codecoach.languages import LANGUAGES
from codecoach.runner import installed, packages
from codecoach.runner.port import File, Limits, RunRequest, RunStatus
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import sandbox


@pytest.fixture(scope="module")
def runner():
    made = sandbox(*packages.AT_ONCE)
    yield made
    made.close()


def run(runner, language, main, source, *more):
    files = (File(main, source.encode()), *more)
    return result(runner, RunRequest(uuid.uuid4().hex, language, files, limits=Limits(timeout_s=60)))


def test_every_language_is_listed_installed_or_with_the_reason_why_not(runner):
    runtimes = runner.runtimes()
    assert [runtime.language for runtime in runtimes] == [language.id for language in LANGUAGES]
    assert {runtime.language for runtime in runtimes if runtime.installed} >= set(packages.AT_ONCE)
    assert all(runtime.installed or runtime.problem for runtime in runtimes)
    assert all(runtime.sdk and runtime.version for runtime in runtimes if runtime.language in packages.AT_ONCE)


@pytest.mark.parametrize("package", list(installed.PACKAGES.glob("*/*")), ids=lambda path: path.parent.name)
def test_a_package_has_pistons_form_and_names_no_address_of_a_registry(package):
    assert {"metadata.json", "build.sh", "environment", "run"} <= {file.name for file in package.iterdir()}
    assert len(list(package.glob("test.*"))) == 1
    for file in package.iterdir():
        words = file.read_text("utf-8")
        assert not re.search(r'"resolved"|--(extra-)?index-url|--registry', words), file


def test_python_programs_find_the_sdk_and_the_usual_packages(runner):
    source = "import boto3, pandas, numpy, matplotlib, requests, pydantic\nprint(boto3.client('ec2', region_name='eu-west-1').meta.region_name)"
    assert run(runner, "python", "main.py", source).run.stdout == "eu-west-1\n"


def test_a_python_program_begins_with_nothing_loaded_that_it_did_not_ask_for(runner):
    source = "import sys\nprint([name for name in ('re', 'glob', 'enum', 'matplotlib') if name in sys.modules])"
    assert run(runner, "python", "main.py", source).run.stdout == "[]\n"


def test_a_plot_that_is_shown_becomes_a_picture_among_the_results(runner):
    source = "import matplotlib.pyplot as plt\nfor n in (1, 2):\n    plt.figure(); plt.plot([n, 2])\nplt.show()\nplt.plot([3]); plt.show()"
    ended = run(runner, "python", "main.py", source)
    assert ended.run.stderr == ""
    assert [file.name for file in ended.files] == ["plot-1.png", "plot-2.png", "plot-3.png"]
    assert all(file.content.startswith(b"\x89PNG") for file in ended.files)


MODULES = {
    "ES module": "import { S3Client } from '@aws-sdk/client-s3';\nimport { word } from './other.mjs';\nconsole.log(typeof S3Client, word, await 1);",
    "CommonJS": "const { S3Client } = require('@aws-sdk/client-s3');\nconsole.log(typeof S3Client, require('fs').existsSync(__filename) && 'ja', require.main === module ? 1 : 2);",
    "both in turn": "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);\nconst { S3Client } = require('@aws-sdk/client-s3');\nconst { word } = await import('./other.mjs');\nconsole.log(typeof S3Client, word, 1);",
}


@pytest.mark.parametrize("style", MODULES)
def test_javascript_programs_may_import_or_require(runner, style):
    ended = run(runner, "javascript", "main.mjs", MODULES[style], File("other.mjs", b"export const word = 'ja';"))
    assert (ended.run.stdout, ended.run.stderr) == ("function ja 1\n", "")


def test_a_javascript_error_names_the_programs_own_line(runner):
    ended = run(runner, "javascript", "main.mjs", "const a = 1;\nthrow new Error('as meant');")
    assert ended.status is RunStatus.FAILED
    assert "main.mjs:2" in ended.run.stderr


def test_a_missing_javascript_package_is_named_with_the_programs_file(runner):
    ended = run(runner, "javascript", "main.mjs", "import x from 'no-such-package';")
    assert "no-such-package" in ended.run.stderr
    assert "/box/main.mjs" in ended.run.stderr


def test_bash_programs_find_the_aws_cli_and_jq(runner):
    ended = run(runner, "bash", "main.sh", "aws --version\necho '{\"a\": 3}' | jq .a\necho $BASH_VERSION")
    assert ended.run.stdout.startswith("aws-cli/")
    assert "\n3\n5." in ended.run.stdout


def package(folder: Path, build: str, test: str = "echo OK") -> installed.Package:
    folder.mkdir()
    (folder / "metadata.json").write_text('{"language": "bash", "version": "1.0.0"}')
    (folder / "build.sh").write_text(build)
    (folder / "environment").write_text("export WHERE=$PWD")
    (folder / "run").write_text('exec bash "$@"')
    (folder / "test.sh").write_text(test)
    return installed.Package("bash", "1.0.0", folder)


def install(made: installed.Package, cache: Path, monkeypatch) -> installed.Installed:
    monkeypatch.setattr(packages, "versions", lambda: {"bash": (made,)})
    return packages.install("bash", cache)


def test_a_package_is_built_once_and_finds_itself_where_programs_do(tmp_path, monkeypatch):
    made = package(
        tmp_path / "p", f"echo built >>{tmp_path}/log; echo word >$PREFIX/data", 'cat "$WHERE/data"; echo OK'
    )
    first = install(made, tmp_path / "cache", monkeypatch)
    assert first.environment["WHERE"] == "/piston/packages/bash/1.0.0"
    assert install(made, tmp_path / "cache", monkeypatch) == first
    assert (tmp_path / "log").read_text() == "built\n"


@pytest.mark.parametrize(("build", "test"), [("echo no network; exit 3", "echo OK"), ("true", "echo wrong")])
def test_a_build_or_test_that_fails_says_why_and_leaves_nothing_installed(tmp_path, monkeypatch, build, test):
    made = package(tmp_path / "p", build, test)
    with pytest.raises(RuntimeBroken) as raised:
        install(made, tmp_path / "cache", monkeypatch)
    assert raised.value.values["detail"] in ("no network", "wrong")
    assert installed.read(packages.runtimes_folder(tmp_path / "cache"), made) is None
    assert [path for path in (tmp_path / "cache" / "runtimes").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("wanted", ["cobol", "bash=0.0.1"])
def test_what_there_is_no_package_of_is_missing(tmp_path, wanted):
    with pytest.raises(RuntimeMissing):
        packages.install(wanted, tmp_path)


def test_of_two_packages_of_a_language_the_newest_that_is_built_runs_and_replaces_the_other(tmp_path, monkeypatch):
    older, newer = (package(tmp_path / name, f"echo {name} >$PREFIX/data") for name in ("older", "newer"))
    newer = replace(newer, version="1.0.1")
    for module in (packages, installed):
        monkeypatch.setattr(module, "versions", lambda: {"bash": (newer, older)})
        monkeypatch.setattr(module, "known", lambda: {"bash": newer})
    packages.install("bash=1.0.0", tmp_path)
    assert installed.built(tmp_path, "bash") == older
    (told,) = (runtime for runtime in installed.runtimes(tmp_path) if runtime.language == "bash")
    assert told.installed
    assert "codecoach runtimes install bash" in tell(Language.EN, told.problem)
    assert "codecoach runtimes install bash" in tell(Language.ZH, told.problem)
    packages.install("bash", tmp_path)
    assert installed.installed(tmp_path, "bash").folder == newer.name
    assert not (installed.runtimes_folder(tmp_path) / older.name).exists()
    (told,) = (runtime for runtime in installed.runtimes(tmp_path) if runtime.language == "bash")
    assert told.problem is None
