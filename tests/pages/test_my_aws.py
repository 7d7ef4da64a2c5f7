"""Programs use the user's own AWS only where an administrator allows it, and what does harm there is confirmed first."""

import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from codecoach.coach import runs as runs_module
from codecoach.coach.my_aws import MyAwsGate
from codecoach.languages import LANGUAGES
from codecoach.runner.credentials import AwsMode
from codecoach.runner.port import File, RunEvent, RunRequest, RunResult, RunStatus, Runtime, StageChanged, StageResult
from codecoach.services import Services
from codecoach.settings import Backend, MyAws, Settings
from codecoach.store.accounts import ROLE_MY_AWS
from codecoach.store.programs import Program, SourceFile
from codecoach.ui import session
from tests.contracts.sts_servers import ROLE, answering, lent, refusal, run_role
from tests.pages.conftest import ROOT, open_page, texts

HARMLESS = "import boto3\nprint(boto3.client('s3').list_buckets())\n"
HARMFUL = "import boto3\nboto3.client('ec2').terminate_instances(InstanceIds=['i-1'])\n"


class NotingRunner:
    """A runner that has every language, notes what it is asked to run and says that it went well."""

    def __init__(self) -> None:
        self.requests: list[RunRequest] = []

    def runtimes(self) -> tuple[Runtime, ...]:
        return tuple(Runtime(language.id, "1", True) for language in LANGUAGES)

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        self.requests.append(request)
        yield StageChanged("run")
        yield RunResult(RunStatus.OK, StageResult(0, None, "", "", False, 0.1))

    def cancel(self, job_id: str) -> None:
        """It is over soon."""


@pytest.fixture
def sts() -> Iterator[str]:
    with answering(200, lent("a", "2999-01-01T00:00:00Z")) as url:
        yield url


@pytest.fixture
def mine(services: Services, sts: str, tmp_path) -> Iterator[Services]:
    """Services with a role for programs."""
    settings = Settings(data_dir=tmp_path, cache_dir=tmp_path, run_role_arn=ROLE)
    made = Services(settings)
    made.__dict__ |= {name: services.__dict__[name] for name in ("model", "directory")}
    made.__dict__["runner"] = NotingRunner()
    made.__dict__["my_aws"] = MyAwsGate(settings, lambda: made.accounts, run_role(sts))
    session.install(made)
    yield made
    made.close()
    runs_module._jobs.clear()


@pytest.fixture
def allowed(mine: Services, user: str) -> str:
    mine.accounts.set_role(user, ROLE_MY_AWS, True)
    return user


def program(services: Services, user: str, code: str) -> Program:
    return services.programs.create(user, "python", (SourceFile("main.py", code),), name="It")


def editor(services: Services, opened: Program, locale: str = "en-US", mode: AwsMode | None = AwsMode.MINE) -> AppTest:
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.context = {"locale": locale}
    test.session_state["codecoach.sid"] = services.sign_ins.open(opened.owner)
    if mode:
        test.session_state["runs:aws"] = mode
    test.query_params["p"] = opened.id
    test.switch_page("pages/2_Editor.py").run()
    assert not test.exception
    return test


def words(test: AppTest) -> str:
    """What a page says, without what keeps names from being read as Markdown."""
    return re.sub(r"\\(.)", r"\1", texts(test)).replace(":small[]", "")


def press(test: AppTest, label: str) -> AppTest:
    test = next(button for button in test.button if button.label == label).click().run()
    assert not test.exception
    return test


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def ran(services: Services, opened: Program) -> list[RunRequest]:
    """What the runner was asked to run, once that is over."""
    job = services.runs.find(opened.id)
    assert job is None or job.join(60)
    requests: list[RunRequest] = services.runner.requests
    return requests


def test_only_who_is_allowed_is_offered_it(mine, user):
    opened = program(mine, user, HARMLESS)
    assert len(editor(mine, opened).radio(key="runs:aws").options) == 2
    mine.accounts.set_role(user, ROLE_MY_AWS, True)
    assert len(editor(mine, opened).radio(key="runs:aws").options) == 3


def test_a_permission_that_is_taken_back_counts_at_the_next_click(mine, allowed):
    opened = program(mine, allowed, HARMLESS)
    test = editor(mine, opened)
    mine.accounts.set_role(allowed, ROLE_MY_AWS, False)
    press(test, "Run")
    assert all(request.aws.mode is not AwsMode.MINE for request in ran(mine, opened))
    assert test.radio(key="runs:aws").value is AwsMode.SIMULATED


def test_a_harmless_program_runs_at_once_and_who_it_is_is_shown(mine, allowed):
    opened = program(mine, allowed, HARMLESS)
    test = editor(mine, opened)
    assert "s3:ListBuckets" in words(test)
    press(test, "Run")
    (request,) = ran(mine, opened)
    assert request.aws.credentials.session_token == "token-a"
    said = words(test.run())
    assert "assumed-role/programs/me" in said
    assert "token-a" not in said


def test_what_does_harm_waits_for_a_confirmation(mine, allowed):
    opened = program(mine, allowed, HARMFUL)
    test = press(editor(mine, opened), "Run")
    assert ran(mine, opened) == []
    assert ":red[ec2:TerminateInstances]" in words(test)
    test = press(test, "Do not run it")
    assert "Run it" not in labels(test)
    assert ran(mine, opened) == []
    press(press(test, "Run"), "Run it")
    (request,) = ran(mine, opened)
    assert request.files == (File("main.py", HARMFUL.encode()),)
    assert "Run it" not in labels(test.run())


def test_what_was_shown_is_what_runs(mine, allowed):
    opened = program(mine, allowed, HARMFUL)
    test = press(editor(mine, opened), "Run")
    test.session_state[f"ace.{opened.id}.0.main.py"] = HARMFUL.replace("i-1", "i-2")
    press(test.run(), "Run it")
    (request,) = ran(mine, opened)
    assert b"i-1" in request.files[0].content


@pytest.mark.parametrize("mode", [AwsMode.SIMULATED, AwsMode.NONE])
def test_elsewhere_nothing_is_asked(mine, allowed, mode):
    opened = program(mine, allowed, HARMFUL)
    test = press(editor(mine, opened, mode=mode), "Run")
    assert "Run it" not in labels(test)
    (request,) = ran(mine, opened)
    assert (request.aws.mode, request.aws.credentials) == (mode, None)


def test_a_block_in_chat_is_confirmed_in_the_same_way(mine, allowed):
    mine.model.replies.append(f"```python\n{HARMFUL}```\n")
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    test.session_state["codecoach.sid"] = mine.sign_ins.open(allowed)
    test.session_state["runs:aws"] = AwsMode.MINE
    test = test.switch_page("pages/1_Chat.py").run().chat_input[0].set_value("End it").run()
    test = press(test, "Run")
    assert mine.runner.requests == []
    test = press(test, "Run it")
    assert "assumed-role/programs/me" in words(test)
    assert len(mine.runner.requests) == 1


def test_the_region_is_chosen_from_aws_own_list(mine, allowed):
    opened = program(mine, allowed, HARMLESS)
    test = editor(mine, opened)
    regions = test.selectbox(key="runs:region")
    assert {"us-east-1", "eu-west-1", "ap-northeast-1"} <= set(regions.options)
    assert "cn-north-1" not in regions.options
    press(regions.select("eu-west-1").run(), "Run")
    (request,) = ran(mine, opened)
    assert request.aws.region == "eu-west-1"


@pytest.mark.parametrize(("who", "mode"), [(MyAws.EVERYBODY, AwsMode.MINE), (MyAws.CHOSEN, AwsMode.NONE)])
def test_in_aws_ones_own_is_the_usual_one_where_it_is_allowed(mine, user, who, mode):
    settings = mine.settings.model_copy(update={"backend": Backend.AWS, "my_aws": who})
    in_aws = Services(settings)
    in_aws.__dict__ |= {name: mine.__dict__[name] for name in ("model", "directory", "runner")} | {"table": mine.table}
    session.install(in_aws)
    test = editor(in_aws, program(in_aws, user, HARMLESS), mode=None)
    assert test.radio(key="runs:aws").value is mode


def test_sts_that_refuses_is_told_on_the_page(mine, allowed):
    opened = program(mine, allowed, HARMLESS)
    with answering(403, refusal("AccessDenied", "not authorized")) as url:
        mine.__dict__["my_aws"] = MyAwsGate(mine.settings, lambda: mine.accounts, run_role(url))
        test = press(editor(mine, opened), "Run")
        assert ran(mine, opened) == []
        assert "not authorized" in words(test.run())


def settings_page(services: Services, who: str, section: str) -> AppTest:
    test = open_page("4_Settings", services.sign_ins.open(who))
    return test.get("pills")[0].set_value(section).run()


def test_an_administrator_allows_and_refuses_it(mine, admin, user):
    test = settings_page(mine, admin, "accounts")
    assert not roles(test)[user].endswith("My AWS")
    assert roles(test)[admin].endswith("My AWS")
    test = press(test.text_input(key="accounts-search").set_value(user).run(), "Allow my AWS")
    assert mine.accounts.get(user).roles == (ROLE_MY_AWS,)
    assert roles(test)[user].endswith("My AWS")
    press(test, "Refuse my AWS")
    assert mine.accounts.get(user).roles == ()


def roles(test: AppTest) -> dict[str, str]:
    """Everybody's roles, in words."""
    shown = test.dataframe[0].value
    return dict(zip(shown["E-mail address"], shown["Role"], strict=True))


def test_without_a_role_nothing_of_it_is_on_the_page(services, admin, user):
    test = settings_page(services, admin, "accounts")
    assert not any("My AWS" in role for role in roles(test).values())
    assert "Allow my AWS" not in labels(test)
    assert "CODECOACH_RUN_ROLE_ARN" in words(settings_page(services, user, "account"))


def test_the_account_says_what_programs_may_and_tries_it(mine, allowed):
    test = settings_page(mine, allowed, "account")
    assert ROLE in words(test)
    assert "ReadOnlyAccess" in words(test)
    assert "assumed-role/programs/me" in words(press(test, "Try it"))


def test_who_may_not_is_told_so(mine, user):
    test = settings_page(mine, user, "account")
    assert "may not use" in words(test)
    assert "Try it" not in labels(test)


def test_it_reads_in_chinese_too(mine, allowed):
    opened = program(mine, allowed, HARMFUL)
    test = press(editor(mine, opened, locale="zh-CN"), "运行")
    assert "ec2:TerminateInstances" in words(test)
    assert "不运行" in labels(test)
