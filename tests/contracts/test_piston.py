"""The Piston adapter keeps the runner's contract over a stand-in that really runs our packages, or over a real Piston.

PISTON_TEST_URL=http://host:2000 runs the contract against that Piston, which must have CodeCoach's package for Python.
"""

import os
import shutil
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from codecoach.aws.gateway import Gateway
from codecoach.aws.simulated import SimulatedAws
from codecoach.errors import InputRefused, RunnerFull, RunnerUnavailable, RuntimeMissing
from codecoach.languages import BY_ID
from codecoach.runner import packages
from codecoach.runner.credentials import AwsAccess, AwsMode, Credentials
from codecoach.runner.piston import Piston
from codecoach.runner.port import File, Limits, OutputChunk, Queued, RunRequest, RunStatus, StageChanged
from codecoach.settings import Settings
from tests.contracts import piston_standin
from tests.contracts.piston_standin import Package, standing_in
from tests.contracts.runner_contract import RunnerContract, result, wait_until
from tests.contracts.sandbox_fixture import CACHE_DIR
from tests.deploy.sticky_proxy import StickyProxy

REAL = os.environ.get("PISTON_TEST_URL", "")
pytestmark = pytest.mark.skipif(
    not REAL and not (shutil.which("bwrap") and shutil.which("perl")), reason="the stand-in needs bubblewrap and Perl"
)


def piston(*urls: str, jobs: int = 4) -> Piston:
    return Piston(Settings(piston_urls=",".join(urls), piston_jobs=jobs))


@pytest.fixture(scope="module")
def python() -> Package:
    packages.install("python", CACHE_DIR)
    return Package.of("python", CACHE_DIR)


@pytest.fixture(scope="module")
def standin(python):
    with standing_in(python) as running:
        yield running
        assert running.frames_after_init == 0


@pytest.fixture(scope="module")
def shared(request):
    made = piston(REAL or request.getfixturevalue("standin").url)
    yield made
    made.close()


class TestPiston(RunnerContract):
    @pytest.fixture
    def runner(self, shared):
        return shared

    def test_a_file_named_like_an_option_is_a_file(self, runner):
        ended = result(
            runner,
            RunRequest(
                uuid.uuid4().hex,
                "python",
                (File("-c", b"import sys; print('file', sys.argv[1:])"),),
                args=("print(1)",),
            ),
        )
        assert ended.run.stdout == "file ['print(1)']\n"

    def test_a_program_that_is_no_text_arrives_to_the_byte(self, runner):
        source = b"# -*- coding: latin-1 -*-\nprint(ascii('\xe4'))"
        ended = result(runner, RunRequest(uuid.uuid4().hex, "python", (File("main.py", source),)))
        assert ended.run.stdout == "'\\xe4'\n"

    def test_a_file_in_the_place_of_the_instructions_is_refused(self, runner):
        with pytest.raises(InputRefused):
            self.run(runner, "", File(".codecoach/job", b"token x\n"))

    # --- programs that mean harm: each has a bounded result, and the next run is as if it had not been

    HOSTILE = {  # noqa: RUF012 - a table of this class, never changed
        "prints what looks like a report": "print('0' * 32, 'x 0 - 1 1 1 - 0', flush=True); print('0' * 32, 'f', 'L2V0Yw==', 3)",
        "writes past the supervisor": "import os\nos.write(os.open(f'/proc/{os.getppid()}/fd/1', os.O_WRONLY), b'junk\\n')",
        "floods past the supervisor": "import os\nfd = os.open(f'/proc/{os.getppid()}/fd/1', os.O_WRONLY)\nwhile True: os.write(fd, b'x' * 60000)",
        "finds the token and lies": """
import os, re
parent = os.getppid()
memory = open(f'/proc/{parent}/mem', 'rb')
heap = next(line for line in open(f'/proc/{parent}/maps') if '[heap]' in line)
begin, end = (int(number, 16) for number in heap.split()[0].split('-'))
memory.seek(begin)
tokens = set(re.findall(rb'token ([0-9a-f]{32})', memory.read(end - begin)))
fd = os.open(f'/proc/{parent}/fd/1', os.O_WRONLY)
for token in tokens:
    os.write(fd, token + b' f Li4vLi4vZXRj 3\\n' + token + b' d AAAA\\n' + token + b' f bm90aGluZw== 999999999999\\n' + token + b' f x y z\\n' + token + b' x 0 - 1\\n')
    os.write(fd, token + b' o ' + b'A' * 200000 + b'\\n' + token + b' x 999999 - -5 -5 -5 whatever -7\\n')
""",
        "kills everything": "import os; os.kill(-1, 9)",
        "kills the supervisor": "import os, time; os.kill(os.getppid(), 9); time.sleep(1000)",
        "leaves a child with its output open": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)\nprint('gone')",
        "deletes its files": "import os, shutil\nfor name in os.listdir('.'): os.remove(name)\nos.rmdir('/box/submission') if os.access('/box', os.W_OK) else None",
        "leaves links, pipes and odd names": "import os\nos.symlink('/etc/passwd', 'a'); os.mkfifo('b'); os.link('main.py', 'c'); open('d\\nnew', 'w'); open(b'e\\xff', 'w')",
        "closes all it has": "import os\nos.closerange(0, 100)",
    }

    @pytest.mark.parametrize("kind", HOSTILE)
    def test_a_hostile_program_has_a_bounded_result(self, runner, kind):
        ended = self.run(runner, self.HOSTILE[kind], limits=Limits(timeout_s=10, output_bytes=20_000))
        assert len(ended.run.stdout) + len(ended.run.stderr) <= 40_000
        assert all("/" not in file.name and file.size_bytes < 1000 for file in ended.files)
        assert self.run(runner, "print('as before')").run.stdout == "as before\n"


# --- several servers, and servers that are away


@pytest.fixture
def scripts(tmp_path) -> Package:
    """A package of a compiled language: `compile` checks the program and leaves a file for `run`."""
    (tmp_path / "compile").write_text('echo "compiling $*"; bash -n "$1" && cp "$1" made && sleep 0.1')
    (tmp_path / "run").write_text('shift; exec bash made "$@"')
    return Package.of_scripts("rust", tmp_path)


def asking(source: str, language: str = "rust", **fields) -> RunRequest:
    fields.setdefault("limits", Limits(timeout_s=20))
    return RunRequest(uuid.uuid4().hex, language, (File("main.rs", source.encode()),), **fields)


def test_behind_a_load_balancer_stop_reaches_the_server_that_runs_the_program(scripts):
    """As with several Pistons behind the one of cf-template.yaml, which keeps clients to theirs by cookies."""
    with standing_in(scripts) as one, standing_in(scripts) as other:
        balancer = StickyProxy([int(standin.url.rpartition(":")[2]) for standin in (one, other)])
        runner = piston(balancer.url)
        try:
            for _ in range(3):  # by chance it would go to the right one now and then
                request = asking("echo begun; sleep 300", limits=Limits(timeout_s=300))
                events = runner.run(request)
                wait_until(lambda events=events: isinstance(next(events), OutputChunk))
                runner.cancel(request.job_id)
                *_, ended = events
                assert ended.status is RunStatus.CANCELLED
            assert wait_until(lambda: not (one.boxes | other.boxes))
        finally:
            runner.close()
            balancer.close()


def test_a_compiled_program_has_two_stages_and_the_compilers_words_apart(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        events = list(runner.run(asking("echo ran $1; cat", args=("a b",), stdin=b"in")))
        runner.close()
    assert [event.stage for event in events if isinstance(event, StageChanged)] == ["compile", "run"]
    last = events[-1]
    assert (last.status, last.compile.stdout, last.run.stdout) == (RunStatus.OK, "compiling main.rs\n", "ran a b\nin")
    assert last.files == ()


def test_a_compiler_is_given_the_names_of_all_text_files_as_in_the_sandbox(scripts):
    more = (File("lib/b.rs", b"b"), File("-x.rs", b"x"), File("data.bin", b"\0\xff"), File("c.txt", "ü".encode()))
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        asked = asking("cat lib/b.rs; cat ./-x.rs; cat c.txt")
        last = result(runner, replace(asked, files=(*asked.files, *more)))
        runner.close()
    assert last.compile.stdout == "compiling main.rs lib/b.rs c.txt\n"
    assert (last.run.stdout, last.files) == ("bxü", ())


def test_a_compiler_that_refuses_is_told_apart_and_nothing_runs(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        last = result(runner, asking("echo never; if"))
        runner.close()
    assert last.status is RunStatus.COMPILE_FAILED
    assert "syntax error" in last.compile.stderr
    assert (last.run.stdout, last.run.exit_code) == ("", None)


def test_a_compiler_that_takes_too_long_is_a_time_out(tmp_path):
    (tmp_path / "compile").write_text("sleep 1000")
    (tmp_path / "run").write_text("exit")
    with standing_in(Package.of_scripts("rust", tmp_path)) as standin:
        runner = piston(standin.url)
        last = result(runner, asking("", limits=Limits(compile_timeout_s=0.5)))
        runner.close()
    assert last.status is RunStatus.TIMEOUT
    assert last.compile.exit_code is None
    assert last.reason.key == "run.compile_timeout"


def test_stop_frees_the_worker_while_compiling_and_while_running(tmp_path):
    for slow in ("compile", "run"):
        for script in ("compile", "run"):
            (tmp_path / script).write_text("echo here; sleep 1000" if script == slow else "exit 0")
        with standing_in(Package.of_scripts("rust", tmp_path), limits=piston_standin.Limits(jobs=2)) as standin:
            runner = piston(standin.url)
            asked = asking("", limits=Limits(timeout_s=55, compile_timeout_s=55))
            for event in runner.run(asked):
                if isinstance(event, OutputChunk):
                    runner.cancel(asked.job_id)
            assert event.status is RunStatus.CANCELLED
            assert wait_until(lambda standin=standin: not standin.boxes)
            runner.close()


def test_leaving_a_run_frees_the_worker_too(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        events = runner.run(asking("sleep 1000", limits=Limits(timeout_s=55)))
        while next(events) != StageChanged("run"):
            pass
        events.close()
        assert wait_until(lambda: not standin.boxes)
        runner.close()


def test_waiting_runs_are_told_their_position_and_take_the_free_place(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url, jobs=1)
        asked = [asking("sleep 1000", limits=Limits(timeout_s=55)), asking("echo second"), asking("echo third")]
        first, second, third = (runner.run(each) for each in asked)
        assert next(first) == StageChanged("compile")
        assert next(second) == Queued(1)
        assert next(third) == Queued(2)
        runner.cancel(asked[1].job_id)
        assert list(second)[-1].status is RunStatus.CANCELLED
        assert next(third) == Queued(1)
        runner.cancel(asked[0].job_id)
        assert list(first)[-1].status is RunStatus.CANCELLED
        assert list(third)[-1].run.stdout == "third\n"
        assert standin.jobs.count("rust") <= 3 + 5, "jobs and those that stop them; the second never began"
        runner.close()


def test_up_to_the_configured_length_of_the_queue_nothing_is_refused_and_then_it_is_said(scripts):
    with standing_in(scripts) as standin:
        runner = Piston(Settings(piston_urls=standin.url, piston_jobs=1, run_queue=2))
        asked = [asking("sleep 1000", limits=Limits(timeout_s=55)) for _ in range(4)]
        running = [runner.run(each) for each in asked]
        assert [next(each) for each in running[:3]] == [StageChanged("compile"), Queued(1), Queued(2)]
        with pytest.raises(RunnerFull) as refused:
            next(running[3])
        assert refused.value.values == {"waiting": 2}
        runner.close()


def test_however_runs_end_they_leave_no_thread_and_no_place_taken(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url, jobs=1)
        for source in (
            "exit 0",
            "exit 3",
            "kill -9 $$",
            "kill -9 $PPID; sleep 5",
            "if",
            "while :; do echo $RANDOM; done",
        ):
            result(runner, asking(source, limits=Limits(timeout_s=10, output_bytes=2000)))
        left = runner.run(asking("sleep 1000"))
        next(left)
        left.close()
        events = list(runner.run(asking("echo last")))
        assert events[-1].run.stdout == "last\n"
        runner.close()
        assert wait_until(lambda: not [one.name for one in threading.enumerate() if one.name.startswith("piston-")], 30)


def test_two_servers_share_the_runs(scripts):
    with standing_in(scripts) as one, standing_in(scripts) as two:
        runner = piston(one.url, two.url, jobs=1)
        ended: list[RunStatus] = []
        threads = [
            threading.Thread(target=lambda: ended.append(result(runner, asking("sleep 0.5")).status)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        runner.close()
        assert ended == [RunStatus.OK] * 4
        assert len(one.jobs) + len(two.jobs) == 4
        assert min(len(one.jobs), len(two.jobs)) >= 1


def test_a_server_that_is_away_is_passed_over_and_used_again_when_it_is_back(scripts):
    with standing_in(scripts) as gone:
        pass
    with standing_in(scripts) as there:
        runner = piston(gone.url, there.url)
        assert result(runner, asking("echo 1")).run.stdout == "1\n"
        assert {item.language for item in runner.runtimes() if item.installed} == {"rust"}
        runner.close()


def test_where_no_server_answers_that_is_said_by_the_run_and_by_the_list():
    with standing_in() as gone:
        pass
    runner = piston(gone.url)
    with pytest.raises(RunnerUnavailable):
        result(runner, asking("echo 1"))
    assert all(item.problem and not item.installed for item in runner.runtimes())
    runner.close()


def test_the_only_server_is_found_again_as_soon_as_it_is_back(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        assert result(runner, asking("echo 1")).run.stdout == "1\n"
    with pytest.raises(RunnerUnavailable):
        result(runner, asking("echo 2"))
    with standing_in(scripts, port=int(standin.url.rpartition(":")[2])):
        assert result(runner, asking("echo 3")).run.stdout == "3\n"
    runner.close()


def test_a_language_that_no_server_has_is_named(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        with pytest.raises(RuntimeMissing, match="Go"):
            result(runner, asking("", language="go"))
        runner.close()


def test_a_server_that_dies_in_mid_run_is_an_error_and_the_program_does_not_run_again(scripts):
    with standing_in(scripts) as second:
        with standing_in(scripts) as first:
            runner = piston(first.url, second.url)
            events = runner.run(asking("echo here; sleep 3", limits=Limits(timeout_s=55)))
            while not isinstance(next(events), OutputChunk):
                pass
        with pytest.raises(RunnerUnavailable):
            list(events)
        assert second.jobs == []
        assert result(runner, asking("echo 1")).run.stdout == "1\n"
        runner.close()


def test_limits_that_the_server_sets_lower_are_kept_and_named(scripts):
    with standing_in(scripts, limits=piston_standin.Limits(run_timeout=3000, compile_timeout=3000)) as standin:
        runner = piston(standin.url)
        last = result(runner, asking("sleep 1000"))
        runner.close()
    assert last.status is RunStatus.TIMEOUT
    assert float(last.reason.values["seconds"]) < 3


def test_packages_without_the_supervisor_run_over_http(tmp_path):
    (tmp_path / "run").write_text('exec bash "$@"')
    package = Package.of_scripts("bash", tmp_path)
    plain = {"run": package.contents["program/run"]}
    with standing_in(Package("bash", "5.2.15", package.mount, {}, plain)) as standin:
        runner = piston(standin.url)
        last = result(runner, asking("cat; echo $1; echo e >&2; exit 3", language="bash", args=("a",), stdin=b"in"))
        assert runner.runtimes()[6].sdk == ""
        runner.close()
    assert (last.status, last.run.exit_code) == (RunStatus.FAILED, 3)
    assert (last.run.stdout, last.run.stderr) == ("in\na\n", "e\n")


def test_stop_of_a_package_without_the_supervisor_ends_the_run_here(tmp_path):
    (tmp_path / "run").write_text('exec bash "$@"')
    plain = {"run": str(tmp_path / "run")}
    with standing_in(Package("bash", "5.2.15", "/piston/packages/bash/5.2.15", {}, plain)) as standin:
        runner = piston(standin.url)
        asked = asking("sleep 2", language="bash")
        events = runner.run(asked)
        assert next(events) == StageChanged("run")
        runner.cancel(asked.job_id)
        assert list(events)[-1].status is RunStatus.CANCELLED
        assert wait_until(lambda: not standin.boxes)
        runner.close()


def test_where_a_proxy_lets_no_websocket_through_the_output_comes_at_the_end(scripts):
    with standing_in(scripts, websocket=False) as standin:
        runner = piston(standin.url)
        last = result(runner, asking("cat; echo ü > file", stdin=b"in"))
        runner.close()
    assert (last.status, last.run.stdout, last.compile.stdout) == (RunStatus.OK, "in", "compiling main.rs\n")
    assert last.files == (File("file", "ü\n".encode()),)


# --- the simulated AWS, through the gateway

AWS_PROGRAMS = {
    "python": """
import boto3
s3 = boto3.client("s3"); s3.create_bucket(Bucket="mine")
url = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
boto3.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
print("mine" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]])
print(boto3.Session(profile_name="default").client("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"])
""",
    "javascript": """
import { S3Client, CreateBucketCommand, ListBucketsCommand } from "@aws-sdk/client-s3";
import { SQSClient, CreateQueueCommand, SendMessageCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
const s3 = new S3Client({}), sqs = new SQSClient({});
await s3.send(new CreateBucketCommand({ Bucket: "mine" }));
const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "q" }));
await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: "hello" }));
console.log((await s3.send(new ListBucketsCommand({}))).Buckets.some((bucket) => bucket.Name === "mine") ? "True" : "False");
console.log((await sqs.send(new ReceiveMessageCommand({ QueueUrl }))).Messages[0].Body);
""",
    "bash": """
aws s3 mb s3://mine >/dev/null
url=$(aws sqs create-queue --queue-name q --query QueueUrl --output text)
aws sqs send-message --queue-url "$url" --message-body hello >/dev/null
[ -n "$(aws s3 ls | grep mine)" ] && echo True
aws sqs receive-message --queue-url "$url" --query 'Messages[0].Body' --output text
""",
}


@pytest.fixture(scope="module")
def networked():
    """A stand-in whose jobs have a network, a gateway before a simulated AWS, and the address of that."""
    for language in AWS_PROGRAMS:
        packages.install(language, CACHE_DIR)
    limits = piston_standin.Limits(networking=True)
    simulated, gateway = SimulatedAws(), Gateway("127.0.0.1:0")
    with standing_in(*(Package.of(language, CACHE_DIR) for language in AWS_PROGRAMS), limits=limits) as standin:
        runner = Piston(Settings(piston_urls=standin.url), gateway)
        yield runner, simulated
        runner.close()
    gateway.close()
    simulated.close()


@pytest.mark.skipif(bool(REAL), reason="the gateway listens on loopback alone")
@pytest.mark.parametrize("language", AWS_PROGRAMS)
def test_programs_reach_their_simulated_aws_through_the_gateway(networked, language):
    runner, simulated = networked
    address = simulated.endpoint(f"session-of-{language}")
    aws = AwsAccess(AwsMode.SIMULATED, address.host, address.port)
    files = (File(BY_ID[language].main, AWS_PROGRAMS[language].encode()),)
    last = result(runner, RunRequest(uuid.uuid4().hex, language, files, limits=Limits(timeout_s=60), aws=aws))
    assert (last.run.stdout, last.run.stderr) == ("True\nhello\n", "")
    assert last.files == ()


def test_lent_credentials_reach_the_program_and_stay_out_of_everything_else(scripts, caplog):
    lent = Credentials("AKIALENT", "the-secret", "the-token", "arn:aws:iam::1:role/r", datetime.now(UTC))
    aws = AwsAccess(AwsMode.MINE, region="eu-west-1", credentials=lent)
    source = "env | grep ^AWS_ | sort; cat ~/.aws/config ~/.aws/credentials; grep -rl 'the-secre[t]' . || echo nowhere"
    with standing_in(scripts) as standin, caplog.at_level("DEBUG"):
        runner = piston(standin.url)
        last = result(runner, asking(source, aws=aws))
        runner.close()
    for words in ("AWS_ACCESS_KEY_ID=AKIALENT", "AWS_SESSION_TOKEN=the-token", "AWS_DEFAULT_REGION=eu-west-1"):
        assert words in last.run.stdout
    for line in (
        "region = eu-west-1",
        "aws_secret_access_key = the-secret",
        "aws_session_token = the-token",
        "nowhere",
    ):
        assert line in last.run.stdout.splitlines()
    assert "endpoint" not in last.run.stdout.lower()
    assert last.files == ()
    assert "the-secret" not in caplog.text


def test_without_a_gateway_the_simulated_aws_is_refused_before_anything_runs(scripts):
    with standing_in(scripts) as standin:
        runner = piston(standin.url)
        with pytest.raises(InputRefused):
            runner.run(asking("", aws=AwsAccess(AwsMode.SIMULATED, "127.0.0.1", 1)))
        assert standin.jobs == []
        runner.close()
