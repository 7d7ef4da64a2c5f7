"""What the sandbox adds to changed code that has to be compiled first, against the bare toolchain with a warm cache."""

import itertools
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.rows import Row
from codecoach.aws.simulated import SimulatedAws
from codecoach.runner import credentials, packages
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.installed import Installed
from codecoach.runner.port import File, Limits, RunRequest, RunResult, RunStatus
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

RUNS = 10
HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n'
BUCKETS = """package main

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
_changes = itertools.count()


def run() -> list[Row]:
    settings = Settings()
    built = packages.install("go", settings.cache_dir)
    rows: list[Row] = []
    with closing(Sandbox(settings)) as sandbox, closing(SimulatedAws()) as simulated:
        address = simulated.endpoint("benchmark")
        aws = AwsAccess(AwsMode.SIMULATED, address.host, address.port)
        with tempfile.TemporaryDirectory() as place:
            environment = _bare(packages.runtimes_folder(settings.cache_dir) / built.folder, built, Path(place), aws)
            for name, source in {"hello": HELLO, "S3 list with the SDK": BUCKETS}.items():
                bare, within = _alternating(
                    lambda source=source: _build_and_run(source, Path(place, "program"), environment),
                    lambda source=source: _in(sandbox, source, aws),
                )
                times = within / bare
                rows.append(Row(f"go, {name}, changed code: bare", bare, "ms"))
                rows.append(Row(f"go, {name}, changed code: in the sandbox", within, "ms"))
                rows.append(Row(f"go, {name}: how many times the bare time", times, "", "at most 1.5", times <= 1.5))
    return rows


def _bare(folder: Path, built: Installed, place: Path, aws: AwsAccess) -> dict[str, str]:
    """Variables for the same toolchain outside of a sandbox, with a cache of its own that begins as warm."""
    shutil.copytree(folder / "cache", place / "cache", copy_function=os.link)
    program = place / "program"
    program.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(folder / name, program)
    own = {name: value.replace(built.mount, str(folder)) for name, value in built.environment.items()}
    given = credentials.environment(aws, f"http://{aws.host}:{aws.port}")
    return {**own, **given, "GOCACHE": str(place / "cache"), "HOME": str(place)}


def _changed(source: str) -> bytes:
    return f"{source}\n// change {next(_changes)}\n".encode()


def _build_and_run(source: str, place: Path, environment: dict[str, str]) -> None:
    (place / "main.go").write_bytes(_changed(source))
    subprocess.run(
        [f"{environment['GOROOT']}/bin/go", "build", "-o", "program"], cwd=place, env=environment, check=True
    )
    subprocess.run([place / "program"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _in(sandbox: Sandbox, source: str, aws: AwsAccess) -> None:
    files = (File("main.go", _changed(source)),)
    *_, ended = sandbox.run(RunRequest(uuid.uuid4().hex, "go", files, limits=Limits(timeout_s=120), aws=aws))
    if not isinstance(ended, RunResult) or ended.status is not RunStatus.OK:
        raise SystemExit(f"the program failed: {ended}")


def _alternating(*works: Callable[[], object]) -> list[float]:
    """Median milliseconds of each, taken in turns so that a busy moment of the machine hits all of them."""
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(RUNS):
        for work, taken in zip(works, times, strict=True):
            began = time.perf_counter()
            work()
            taken.append((time.perf_counter() - began) * 1000)
    return [statistics.median(taken) for taken in times]
