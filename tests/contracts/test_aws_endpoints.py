"""A program in "my AWS" talks to AWS by its own names over TLS, and reaches nothing else."""

import json
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from codecoach.languages import BY_ID
from codecoach.runner import installed
from codecoach.runner.port import RunStatus
from codecoach.runner.sandbox.way_out import GATE as GATE_COMMAND
from tests.certificates import server_context
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

ROOT = Path(__file__).parents[2]

# A launcher of one job, whose gate is told by the test where names lead; in a process of its own, as the launcher is.
RUN = """
import asyncio, json, sys
from datetime import UTC, datetime
from pathlib import Path

from codecoach.runner import installed
from codecoach.runner.credentials import AwsAccess, AwsMode, Credentials
from codecoach.runner.port import File, Limits, RunRequest
from codecoach.runner.sandbox import launcher
from codecoach.runner.sandbox.cgroups import ControlGroups
from codecoach.runner.sandbox.job import Job

cache_dir, language, main, gate, ca = sys.argv[1:]
lent = Credentials("ASIA1234567890123456", "secret", "token", "arn", datetime(2999, 1, 1, tzinfo=UTC))
request = RunRequest(
    "job",
    language,
    (File(main, sys.stdin.buffer.read()), File("ca.pem", Path(ca).read_bytes())),
    limits=Limits(timeout_s=100),
    aws=AwsAccess(AwsMode.MINE, region="eu-west-1", credentials=lent),
)
runtime = installed.installed(Path(cache_dir), language)
folder = str(launcher._reachable(installed.runtimes_folder(Path(cache_dir))) / runtime.folder)


async def run():
    events = []
    return await Job(request, runtime, folder, ControlGroups(), events.append, [sys.executable, "-c", gate]).run()


ended = asyncio.run(run())
print(json.dumps({"status": ended.status, "stdout": ended.run.stdout, "stderr": ended.run.stderr}))
"""
GATE = """
from codecoach.runner.aws_gate.__main__ import main

async def resolve(name):
    return [("127.0.0.1", %d)]

main(resolve)
"""

# The others, each with the libraries by which it speaks TLS and looks up names.
OTHERS = {
    "go": """package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	os.Setenv("SSL_CERT_FILE", "/box/ca.pem")
	cfg, err := config.LoadDefaultConfig(context.TODO())
	if err != nil { panic(err) }
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(context.TODO(), &sts.GetCallerIdentityInput{})
	if err != nil { panic(err) }
	fmt.Println(*out.Account)
}
""",
    "rust": """use aws_config::BehaviorVersion;
#[tokio::main]
async fn main() {
    unsafe { std::env::set_var("SSL_CERT_FILE", "/box/ca.pem"); }
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let out = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap();
    println!("{}", out.account().unwrap());
}
""",
    "php": """<?php
$context = stream_context_create(["ssl" => ["cafile" => "/box/ca.pem"], "http" => ["ignore_errors" => true]]);
echo strlen(file_get_contents("https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", false, $context)) > 0 ? "123456789012" : "nothing", "\\n";
""",
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """(folder with ca.pem, port) of moto behind TLS, under the names of AWS's endpoints."""
    folder = tmp_path_factory.mktemp("aws")
    names = ("*.eu-west-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com")
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=server_context(folder, *names))
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield folder, server.port
    server.shutdown()
    serving.join()
    server.server_close()


def run(aws, language: str, main: str, source: str) -> dict[str, str]:
    folder, port = aws
    sandbox(language).close()
    command = [sys.executable, "-c", RUN, str(CACHE_DIR), language, main, GATE % port, str(folder / "ca.pem")]
    done = subprocess.run(command, input=source.encode(), capture_output=True, cwd=ROOT, check=False, timeout=110)
    assert done.returncode == 0, done.stderr.decode()
    ended: dict[str, str] = json.loads(done.stdout)
    return ended


def test_boto3_reaches_aws_by_its_own_names(aws):
    source = """
import os
os.environ["AWS_CA_BUNDLE"] = "/box/ca.pem"
import boto3
s3 = boto3.client("s3")
s3.create_bucket(Bucket="of-mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3.put_object(Bucket="of-mine", Key="k", Body=b"x" * 300_000)
print(len(s3.get_object(Bucket="of-mine", Key="k")["Body"].read()), s3.meta.endpoint_url)
print(boto3.Session(profile_name="default").client("sts").get_caller_identity()["Account"])
"""
    ended = run(aws, "python", "main.py", source)
    assert ended["stderr"] == ""
    assert ended["stdout"] == "300000 https://s3.eu-west-1.amazonaws.com\n123456789012\n"


def test_node_reaches_aws_by_its_own_names(aws):
    source = """
import { readFileSync } from "node:fs";
import https from "node:https";
import { STSClient, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
https.globalAgent.options.ca = readFileSync("/box/ca.pem");
import { NodeHttpHandler } from "@smithy/node-http-handler";
const requestHandler = new NodeHttpHandler({ httpsAgent: https.globalAgent });
console.log((await new STSClient({ requestHandler }).send(new GetCallerIdentityCommand({}))).Account);
"""
    ended = run(aws, "javascript", "main.mjs", source)
    assert ended["stdout"] == "123456789012\n", ended["stderr"]


def test_the_aws_cli_reaches_aws_by_its_own_names(aws):
    ended = run(aws, "bash", "main.sh", "AWS_CA_BUNDLE=/box/ca.pem aws sts get-caller-identity --query Account")
    assert ended["stdout"] == '"123456789012"\n', ended["stderr"]


@pytest.mark.parametrize("language", OTHERS)
def test_the_other_languages_reach_aws_by_its_own_names(aws, language):
    if not installed.installed(CACHE_DIR, language):
        pytest.skip(f"the runtime is not installed: codecoach runtimes install {language}")
    ended = run(aws, language, BY_ID[language].main, OTHERS[language])
    assert ended["stdout"] == "123456789012\n", ended


def test_nothing_else_can_be_named_or_reached(aws):
    source = f"""
import socket, ssl

def tried(what, do):
    try:
        print("BROKEN", what, do())
    except OSError as error:
        print(what, type(error).__name__)

for name in ("example.com", "www.example.org", "amazonaws.com.example.com", "metadata.google.internal", "ec2-1-2-3-4.compute-1.amazonaws.com"):
    tried("name", lambda: socket.getaddrinfo(name, 443))
assert {{address[4][0] for address in socket.getaddrinfo("sts.eu-west-1.amazonaws.com", 443)}} == {{"127.0.0.1"}}
for address in (("169.254.169.254", 80), ("127.0.0.1", {aws[1]}), ("127.0.0.1", 80), ("127.0.0.1", 4566), ("1.1.1.1", 443), ("10.0.0.1", 443)):
    tried("address", lambda: socket.create_connection(address, 2))
trusting = ssl._create_unverified_context()
for name in ("example.com", "127.0.0.1", "", "sts.eu-west-1.amazonaws.com.evil.org"):
    tried("tls", lambda: trusting.wrap_socket(socket.create_connection(("127.0.0.1", 443)), server_hostname=name or None).version())
plain = socket.create_connection(("127.0.0.1", 443))
plain.sendall(b"GET / HTTP/1.1\\r\\nHost: sts.eu-west-1.amazonaws.com\\r\\n\\r\\n")
answer = plain.recv(100)
assert answer[:1] == b"\\x15", answer
"""
    ended = run(aws, "python", "main.py", source)
    assert ended["status"] == RunStatus.OK, ended
    assert "BROKEN" not in ended["stdout"]
    assert ended["stdout"].splitlines().count("name gaierror") == 5
    assert ended["stdout"].count("\ntls ") == 4


def test_the_lent_credentials_are_on_no_command_line(aws):
    source = 'import time\nprint("there", flush=True)\ntime.sleep(1)\n'
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.append(file.read_bytes().decode("latin-1"))
                except OSError:
                    continue
            over.wait(0.05)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        ended = run(aws, "python", "main.py", source)
    finally:
        over.set()
        looking.join()
    assert ended["stdout"] == "there\n"
    assert any("bwrap" in line and "--args" in line for line in seen)
    # It stands in the script of this test, which is a command line too.
    assert not [line for line in seen if "ASIA1234567890123456" in line and "Credentials(" not in line]


def test_the_gate_ends_with_who_started_it():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(type=socket.SOCK_DGRAM) as names:
        names.bind(("127.0.0.1", 0))
        fds = [listener.fileno(), names.fileno()]
        gate = subprocess.Popen([*GATE_COMMAND, *map(str, fds), "64400"], stdin=subprocess.PIPE, pass_fds=fds, cwd=ROOT)
        with socket.create_connection(listener.getsockname()) as plain, socket.socket(type=socket.SOCK_DGRAM) as asker:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert plain.recv(100)[:1] == b"\x15"
            asker.sendto(
                struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\3sts\x09amazonaws\3com\0\0\1\0\1", names.getsockname()
            )
            assert asker.recv(512).endswith(b"\x7f\0\0\1")
        gate.stdin.close()
        assert gate.wait(60) == 0
