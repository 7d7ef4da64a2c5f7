"""What a run costs in each language against its bare toolchain with warm caches, and how many run side by side."""

import itertools
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import bare
from benchmarks.rows import Row
from benchmarks.timing import alternating
from codecoach import languages
from codecoach.aws.simulated import SimulatedAws
from codecoach.errors import RuntimeBroken, RuntimeMissing
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

RUNS: Final = 30
COMPILED_RUNS: Final = 10
CLIENTS_RUNS: Final = 64
# Runs of one print in a second, by how many clients ask at once, as the real engine gives them on two cores.
PISTON: Final = {1: 17.6, 4: 38.0, 16: 31.0}

GO_HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'
GO_BUCKETS = """package main

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	cfg, err := config.LoadDefaultConfig(context.TODO())
	if err != nil {
		log.Fatal(err)
	}
	found, err := s3.NewFromConfig(cfg).ListBuckets(context.TODO(), &s3.ListBucketsInput{})
	if err != nil {
		log.Fatal(err)
	}
	for _, bucket := range found.Buckets {
		fmt.Println(aws.ToString(bucket.Name))
	}
}
"""
RUST_HELLO = 'fn main() { println!("hello"); }\n'
RUST_BUCKETS = """#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = aws_config::load_from_env().await;
    for bucket in aws_sdk_s3::Client::new(&config).list_buckets().send().await?.buckets() {
        println!("{}", bucket.name().unwrap_or_default());
    }
    Ok(())
}
"""


@dataclass(frozen=True)
class Program:
    """A program that is measured.

    at_bare  what the bare toolchain is given in its place, where that is not the same
    times    how many times the bare time it may take; 0 where `added_ms` is the aim
    aws      whether it has the simulated AWS, as programs have unless somebody chooses otherwise
    """

    language: str
    name: str
    source: str
    at_bare: str = ""
    times: float = 0
    added_ms: float = 25
    aws: bool = True
    comment: str = "//"
    runs: int = RUNS


PROGRAMS: Final = (
    Program("python", "one print", "print(1)", aws=False, comment="#"),
    Program("javascript", "one print", "console.log(1)", aws=False),
    Program("php", "one print", "<?php echo 1;", aws=False),
    Program("bash", "one print", "echo 1", aws=False, comment="#"),
    Program(
        "typescript",
        "hello",
        'const who: string = "you";\nconsole.log(`hello ${who}`);',
        'const who = "you";\nconsole.log(`hello ${who}`);',
        times=2,
    ),
    Program("go", "hello, changed code", GO_HELLO, times=1.5, runs=COMPILED_RUNS),
    Program("go", "S3 list with the SDK, changed code", GO_BUCKETS, times=1.5, runs=COMPILED_RUNS),
    Program("rust", "hello, changed code", RUST_HELLO, times=1.5, runs=COMPILED_RUNS),
    Program("rust", "S3 list with the SDK, changed code", RUST_BUCKETS, times=1.5, runs=COMPILED_RUNS),
)
_changes = itertools.count()


def run() -> list[Row]:
    settings = Settings()
    rows: list[Row] = []
    with (
        closing(Sandbox(settings)) as sandbox,
        closing(SimulatedAws()) as simulated,
        tempfile.TemporaryDirectory() as place,
    ):
        address = simulated.endpoint("benchmark")
        aws = AwsAccess(AwsMode.SIMULATED, address.host, address.port)
        for language, programs in itertools.groupby(PROGRAMS, lambda program: program.language):
            try:
                toolchain = bare.toolchain(language, settings.cache_dir, Path(place, language), aws)
            except (RuntimeMissing, RuntimeBroken) as error:
                print(f"{language} is left out: {error}", flush=True)
                continue
            for program in programs:
                rows += _compared(program, toolchain, sandbox, aws)
        rows += [_reaching_aws(sandbox, aws)]
        rows += [_throughput(sandbox, clients) for clients in PISTON]
    return rows


def _compared(program: Program, toolchain: bare.Bare, sandbox: Sandbox, aws: AwsAccess) -> Iterator[Row]:
    without, within = alternating(
        program.runs,
        lambda: toolchain.run(_changed(program, program.at_bare or program.source)),
        lambda: _in(sandbox, program.language, _changed(program, program.source), aws if program.aws else None),
    )
    what = f"{program.language}, {program.name}"
    yield Row(f"{what}: bare", without, "ms")
    yield Row(f"{what}: in the sandbox", within, "ms")
    if program.times:
        times = within / without
        yield Row(f"{what}: times the bare time", times, "", f"at most {program.times:g}", times <= program.times)
    else:
        added, most = within - without, program.added_ms
        yield Row(f"{what}: what the sandbox adds", added, "ms", f"at most +{most:g} ms", added <= most)


def _changed(program: Program, source: str) -> bytes:
    """The program with something new in it, as somebody would run it again."""
    return f"{source}\n{program.comment} change {next(_changes)}\n".encode()


def _in(sandbox: Sandbox, language: str, source: bytes, aws: AwsAccess | None = None) -> None:
    files = (File(languages.BY_ID[language].main, source),)
    request = RunRequest(uuid.uuid4().hex, language, files, limits=Limits(timeout_s=120), aws=aws or AwsAccess())
    *_, ended = sandbox.run(request)
    if not isinstance(ended, RunResult) or ended.status is not RunStatus.OK:
        raise SystemExit(f"the program failed: {ended}")


def _reaching_aws(sandbox: Sandbox, aws: AwsAccess) -> Row:
    without, within = alternating(
        RUNS,
        lambda: _in(sandbox, "python", b"print(1)"),
        lambda: _in(sandbox, "python", b"print(1)", aws),
    )
    return Row("python, one print: what the way to the simulated AWS adds", within - without, "ms")


def _throughput(sandbox: Sandbox, clients: int) -> Row:
    work = partial(_in, sandbox, "python", b"print(1)")
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(work) for _ in range(CLIENTS_RUNS)]:
            done.result()
    rate, least = CLIENTS_RUNS / (time.perf_counter() - began), 1.5 * PISTON[clients]
    aim = f"at least {least:.3g} (1.5 × Piston)"
    return Row(f"python, one print, {clients} at a time", rate, "runs/s", aim, rate >= least)
