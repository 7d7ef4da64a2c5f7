"""Programs get credentials of their own from STS, narrowed and short-lived, and nobody else learns them."""

import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import boto3
import pytest

from codecoach.aws.run_role import session_name
from codecoach.aws.simulated import SimulatedAws
from codecoach.coach import runs as runs_module
from codecoach.coach.my_aws import MyAwsGate
from codecoach.coach.runs import Runs
from codecoach.errors import AwsRefused
from codecoach.runner.credentials import AwsAccess, AwsMode, environment
from codecoach.runner.port import File, OutputChunk, RunRequest, RunResult, RunStatus, StageChanged, StageResult
from codecoach.settings import MyAws, RunnerKind, Settings
from codecoach.store.accounts import ROLE_ADMIN, ROLE_MY_AWS, Accounts
from codecoach.store.programs import Programs
from codecoach.store.sqlite import SqliteTable
from tests.contracts.sts_servers import ROLE, answering, lent, refusal, run_role

LATER = "2999-01-01T00:00:00Z"


def test_a_run_gets_credentials_for_a_quarter_of_an_hour_that_aws_knows(moto_url):
    began = datetime.now(UTC)
    given = run_role(moto_url).lend("Ann@Example.com")
    assert timedelta(minutes=14) < given.expires_at - began < timedelta(minutes=16)
    assert not given.expired
    assert given.arn == f"arn:aws:sts::123456789012:assumed-role/programs/{session_name('ann@example.com')}"
    variables = environment(AwsAccess(AwsMode.MINE, region="eu-west-1", credentials=given), "")
    sts = boto3.client(
        "sts",
        endpoint_url=moto_url,
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=variables["AWS_SESSION_TOKEN"],
    )
    assert sts.get_caller_identity()["Arn"] == given.arn


def test_the_name_of_the_session_says_who_only_to_who_knows_the_username():
    assert "ann" not in session_name("ann@example.com")
    assert session_name("ann@example.com") == session_name(" Ann@Example.com")
    assert session_name("ann@example.com") != session_name("bob@example.com")
    assert len(session_name("a" * 300 + "@example.com")) <= 64


@pytest.mark.parametrize(
    ("setting", "sent"),
    [
        ({}, {"PolicyArns.member.1.arn": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
        (
            {"run_role_policy": "job-function/ViewOnlyAccess, arn:aws:iam::123456789012:policy/own"},
            {
                "PolicyArns.member.1.arn": ["arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"],
                "PolicyArns.member.2.arn": ["arn:aws:iam::123456789012:policy/own"],
            },
        ),
        ({"run_role_policy": '{"Version": "2012-10-17"}'}, {"Policy": ['{"Version": "2012-10-17"}']}),
        ({"run_role_policy": "role"}, {}),
        (
            {"run_role_arn": "arn:aws-cn:iam::123456789012:role/programs"},
            {"PolicyArns.member.1.arn": ["arn:aws-cn:iam::aws:policy/ReadOnlyAccess"]},
        ),
    ],
)
def test_a_session_policy_cuts_the_role_down_to_reading_unless_the_settings_say_otherwise(setting, sent):
    asked = []
    with answering(200, lent("a", LATER), asked) as url:
        role = run_role(url)
        role._settings = role._settings.model_copy(update=setting)
        role.lend("ann@example.com")
    fields = parse_qs(asked[0])
    assert fields["DurationSeconds"] == ["900"]
    assert {name: value for name, value in fields.items() if name.startswith("Policy")} == sent


@pytest.mark.parametrize(
    ("code", "key"),
    [
        ("AccessDenied", "aws_denied"),
        ("ExpiredToken", "aws_expired"),
        ("InvalidClientTokenId", "aws_expired"),
        ("PackedPolicyTooLarge", "aws_policy_refused"),
        ("RegionDisabledException", "aws_unreachable"),
    ],
)
def test_what_sts_refuses_is_told_apart(code, key):
    with answering(403, refusal(code)) as url, pytest.raises(AwsRefused) as caught:
        run_role(url).lend("ann@example.com")
    assert caught.value.key == key
    assert "so it is" in str(caught.value.values["detail"])


def test_an_sts_that_does_not_answer_is_told():
    with pytest.raises(AwsRefused) as caught:
        run_role("http://127.0.0.1:9").lend("ann@example.com")
    assert caught.value.key == "aws_unreachable"


@pytest.fixture
def table(tmp_path):
    made = SqliteTable(tmp_path / "store.sqlite")
    yield made
    made.close()


@pytest.fixture
def accounts(table):
    made = Accounts(table)
    made.create("root@example.com", "x", (ROLE_ADMIN,))
    made.create("ann@example.com", "x", (ROLE_MY_AWS,))
    made.create("bob@example.com", "x")
    return made


class Giving:
    """Lends to whoever asks."""

    def lend(self, username):
        return username


def gate(accounts, **settings) -> MyAwsGate:
    return MyAwsGate(Settings(**{"run_role_arn": ROLE} | settings), lambda: accounts, Giving())


@pytest.mark.parametrize(
    ("who", "may"),
    [(MyAws.NOBODY, []), (MyAws.CHOSEN, ["root", "ann"]), (MyAws.EVERYBODY, ["root", "ann", "bob"])],
)
def test_the_settings_and_the_administrator_decide_who_may(accounts, who, may):
    made = gate(accounts, my_aws=who)
    for name in ("root", "ann", "bob"):
        assert made.allows(accounts.get(f"{name}@example.com")) is (name in may)
        if name in may:
            assert made.lend(f"{name}@example.com")
        else:
            with pytest.raises(AwsRefused, match="aws_not_allowed"):
                made.lend(f"{name}@example.com")


def test_a_closed_account_and_an_unknown_one_get_nothing(accounts):
    accounts.set_disabled("ann@example.com", True)
    for name in ("ann@example.com", "nobody@example.com"):
        with pytest.raises(AwsRefused, match="aws_not_allowed"):
            gate(accounts, my_aws=MyAws.EVERYBODY).lend(name)


def test_an_account_is_allowed_and_refused_again(accounts):
    accounts.set_role("bob@example.com", ROLE_MY_AWS, True)
    accounts.set_role("bob@example.com", ROLE_MY_AWS, True)
    assert accounts.get("bob@example.com").roles == (ROLE_MY_AWS,)
    accounts.set_role("bob@example.com", ROLE_MY_AWS, False)
    accounts.set_role("root@example.com", ROLE_MY_AWS, False)
    assert accounts.get("bob@example.com").roles == ()
    assert accounts.get("root@example.com").roles == (ROLE_ADMIN,)


def test_without_a_role_and_on_piston_there_is_nothing_to_lend(accounts):
    for settings, key in (({"run_role_arn": ""}, "aws_no_role"), ({"runner": RunnerKind.PISTON}, "aws_not_on_piston")):
        made = gate(accounts, my_aws=MyAws.EVERYBODY, **settings)
        assert not made.exists
        assert not made.allows(accounts.get("root@example.com"))
        for lend in (made.lend, made.lend_to_operator):
            with pytest.raises(AwsRefused, match=key):
                lend("root@example.com")


class Watching:
    """A runner that notes what it is asked to run, and whose programs print what is lent to them."""

    def __init__(self):
        self.requests = []
        self.ended = threading.Event()

    def runtimes(self):
        return ()

    def run(self, request):
        self.requests.append(request)
        try:
            yield StageChanged("run")
            secret, token = request.aws.credentials.secret_access_key, request.aws.credentials.session_token
            yield OutputChunk("stdout", f"{secret} {token[:6]}")
            yield OutputChunk("stdout", token[6:])
            yield RunResult(RunStatus.OK, StageResult(0, None, f"{secret} {token}", token, False, 0.1))
        finally:
            self.ended.set()

    def cancel(self, job_id):
        """It is over soon."""


@pytest.fixture
def started(table):
    """Starts a run in the user's own AWS and waits for its end: (job, runner, programs)."""

    def start(lends):
        runner, programs = Watching(), Programs(table)
        asked = RunRequest("", "python", (File("main.py", b"print(1)"),), aws=AwsAccess(AwsMode.MINE))
        job = Runs(runner, SimulatedAws(), programs, lends).start("p", asked, "ann@example.com")
        assert job.join(60)
        return job, runner, programs

    yield start
    runs_module._jobs.clear()


def test_only_the_runner_gets_the_credentials_and_they_are_neither_logged_nor_stored(started, table, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    with answering(200, lent("hidden", LATER)) as url:
        job, runner, programs = started(run_role(url))
    (sent,) = runner.requests
    assert sent.aws.credentials.session_token == "token-hidden"
    assert job.identity == ("arn:aws:sts::123456789012:assumed-role/programs/me", datetime(2999, 1, 1, tzinfo=UTC))
    logged = [record.getMessage() for record in caplog.records]
    assert (job.stdout, job.record.stdout, job.record.stderr) == ("*** ***", "*** ***", "***")
    kept = [*logged, repr(sent), repr(job.request), repr(programs.run("p", job.id))]
    kept += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*.sqlite*")]
    assert any("lent until 2999" in line for line in logged)
    assert not [text for text in kept if "hidden" in text]


def test_a_refusal_is_the_jobs_error_and_nothing_runs(started, accounts):
    accounts.set_role("ann@example.com", ROLE_MY_AWS, False)
    job, runner, _ = started(gate(accounts))
    assert job.error.key == "aws_not_allowed"
    assert runner.requests == []
    job, runner, _ = started(None)
    assert job.error.key == "aws_no_role"


def test_a_program_whose_turn_comes_too_late_does_not_run_with_expired_credentials(started):
    with answering(200, lent("a", "2020-01-01T00:00:00Z")) as url:
        job, runner, _ = started(run_role(url))
    assert job.error.key == "aws_expired_waiting"
    assert job.result is None
    assert runner.ended.wait(10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"run_role_arn": "programs"},
        {"run_role_arn": "arn:aws:iam::123456789012:user/ann"},
        {"run_role_policy": "{not json"},
        {"run_role_policy": ""},
        {"run_role_policy": ",".join("abcdefghijk")},
    ],
)
def test_a_setting_that_cannot_work_is_refused_at_the_start(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_a_policy_in_json_is_taken_whole():
    policy = json.dumps({"Statement": [{"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}]})
    assert Settings(run_role_policy=policy).run_role_policy == policy
