"""Go programs are built as people write them, from a cache that none of them can change."""

import uuid

import pytest

from codecoach.runner import installed
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from tests.contracts.runner_contract import result
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

pytestmark = pytest.mark.skipif(
    not installed.installed(CACHE_DIR, "go"), reason="the runtime is not installed: codecoach runtimes install go"
)


@pytest.fixture(scope="module")
def runner():
    made = sandbox()
    yield made
    made.close()


def run(runner, source: str, *more: File, name: str = "main.go") -> RunResult:
    files = (File(name, source.encode()), *more)
    return result(runner, RunRequest(uuid.uuid4().hex, "go", files, limits=Limits(timeout_s=120)))


def test_a_program_with_a_module_of_its_own_finds_its_packages_and_the_sdk(runner):
    source = 'package main\n\nimport (\n"example.com/mine/lib"\n"github.com/aws/aws-sdk-go-v2/service/sqs"\n)\n\nfunc main() { println(lib.Word, sqs.ServiceID) }'
    module = b"module example.com/mine\n\ngo 1.21\n\nrequire github.com/aws/aws-sdk-go-v2/service/sqs v1.0.0\n"
    ended = run(runner, source, File("lib/lib.go", b'package lib\n\nconst Word = "ja"'), File("go.mod", module))
    assert (ended.status, ended.run.stderr) == (RunStatus.OK, "ja SQS\n"), ended.compile
    assert ended.files == ()


def test_a_file_beside_it_is_built_into_it_where_it_asks_for_that(runner):
    source = 'package main\n\nimport (\n_ "embed"\n"fmt"\n)\n\n//go:embed data.txt\nvar data string\n\nfunc main() { fmt.Print(data) }'
    assert run(runner, source, File("data.txt", "grüß".encode())).run.stdout == "grüß"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            'package main\n\nimport "example.com/none/such"\n\nfunc main() { such.Do() }',
            "main.go:3:8: no required module provides package example.com/none/such",
        ),
        ("package other\n\nfunc Main() {}", "the package of a program must be called main"),
        ("package main\n\nfunc main() { x := 1 }", "main.go:3:15: declared and not used: x"),
    ],
)
def test_what_cannot_be_built_is_told_by_the_compiler(runner, source, said):
    ended = run(runner, source)
    assert ended.status is RunStatus.COMPILE_FAILED
    assert said in ended.compile.stderr


def test_a_name_without_its_extension_is_taken_for_a_go_file(runner):
    assert run(runner, "package main\n\nfunc main() { println(1) }", name="main").run.stderr == "1\n"


def test_neither_a_program_nor_its_build_can_change_what_others_are_built_from(runner):
    source = """package main

import (
	"fmt"
	"os"
)

func main() {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOROOT"} {
		fmt.Println(os.WriteFile(os.Getenv(name)+"/x", nil, 0o644) != nil)
	}
}
"""
    folder = installed.runtimes_folder(CACHE_DIR) / installed.installed(CACHE_DIR, "go").folder / "cache"
    before = sum(1 for _ in folder.rglob("*"))
    assert run(runner, source).run.stdout == "true\ntrue\ntrue\n"
    assert sum(1 for _ in folder.rglob("*")) == before
