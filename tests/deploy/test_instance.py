"""The user data of an instance and deploy/instance.sh, run in a box: with stubs for what changes a machine, and no network."""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from codecoach.settings import PREFIX, Settings
from tests.deploy.template import ROOT, user_data
from tests.deploy.tools import needs, tool
from tests.piston.servers import file_server

DRIVER = Path(__file__).with_name("instance_driver.py")
HERE = "http://127.0.0.1:8100"
VALUES = {
    "SourceUrl": f"{HERE}/source.tar.gz",
    "Started": f"{HERE}/wait",
    "AWS::StackName": "coach",
    "AWS::Region": "eu-west-1",
    "Logs": "group-of-logs",
    "Languages": "python bash",
    "RuntimeBundleUrl": "",
    "PistonRepoUrl": "",
    "Runner": "piston",
    "PistonUrl": "",
    "PistonCount": "0",
    "InstanceCount": "1",
    "TableName": "codecoach-1",
    "AdminEmail": "admin@example.com",
    "AdminPassword": "arn:password",
    "CookieSecret": "arn:cookie",
    "RunRole": "",
    "WhoMayRunWithMyAws": "nobody",
    "MonthlyDollars": "0",
    "MoreSettings": "",
    "OidcSecretArn": "",
}
GOOD = json.dumps({"parts": {name: {"state": "ok"} for name in ("model", "store", "runner")}})
SETTINGS = "/etc/codecoach/app.env"


def boxed(*words: str, folder: Path) -> list[str]:
    """A command in a box: its own loopback, /etc, /var, /opt and /tmp of its own, root of nothing else."""
    etc = folder / "etc"
    (etc / "systemd" / "system").mkdir(parents=True)
    (etc / "logrotate.d").mkdir()
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\ncodecoach:x:0:0::/:/bin/sh\n", "utf-8")
    (etc / "group").write_text("root:x:0:\ncodecoach:x:0:\n", "utf-8")
    for name in ("var/lib", "var/log", "opt", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    box = ["bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--die-with-parent", "--clearenv"]
    box += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for name in ("bin", "sbin", "lib", "lib64"):
        if (Path("/") / name).is_symlink():
            box += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in ("etc", "var", "opt", "tmp"):
        box += ["--bind", str(folder / name), f"/{name}"]
    for prefix in {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])} - {"/usr"}:
        box += ["--ro-bind", prefix, prefix]
    return [*box, "--ro-bind", str(DRIVER), "/tmp/driver.py", *words]


def can_box() -> bool:
    words = ["bwrap", "--unshare-all", "--uid", "0", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib"]
    words += ["--symlink", "usr/lib64", "/lib64", "/usr/bin/true"]
    return bool(shutil.which("bwrap")) and subprocess.run(words, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.skipif(not can_box(), reason="this machine allows no box"),
    pytest.mark.skipif(not all(map(shutil.which, ("curl", "jq"))), reason="needs curl and jq"),
]


@pytest.fixture
def instance(tmp_path):
    """`instance(template, fail=..., **values)` runs the user data and returns what the driver saw."""

    def run(
        template="AppTemplate", fail="", fails=99, health=GOOD, packed=("deploy", "codecoach"), bundle=(), **values
    ):
        (tmp_path / "tmp" / "served").mkdir(parents=True)
        with tarfile.open(tmp_path / "tmp" / "served" / "source.tar.gz", "w:gz") as source:
            for name in packed:
                source.add(
                    ROOT / name,
                    f"codecoach-main/{name}",
                    filter=lambda file: None if "__pycache__" in file.name else file,
                )
            source.add(ROOT / "requirements.lock", "codecoach-main/requirements.lock")
        with tarfile.open(tmp_path / "tmp" / "served" / "bundle.tar", "w") as archive:
            for name in bundle:
                archive.add(ROOT / "LICENSE", f"somewhere/{name}")
        script = user_data(template, **{**VALUES, **values})
        orders = {"script": script, "fail": fail, "fails": fails, "health": health}
        (tmp_path / "tmp" / "orders.json").write_text(json.dumps(orders), "utf-8")
        words = boxed(sys.executable, "-B", "/tmp/driver.py", "/tmp/orders.json", folder=tmp_path)
        ran = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        return found

    return run


def environment(found, file: str) -> dict[str, str]:
    lines = found["files"][file]["text"].splitlines()
    return dict(line.split("=", 1) for line in lines if line)


def started(found) -> list[str]:
    """The units that were enabled or started, in order, each once."""
    units = [call.split()[-1] for call in found["calls"] if call.startswith("systemctl ") and "codecoach" in call]
    return list(dict.fromkeys(units))


def test_the_stack_is_told_of_success_after_the_health_page_answers(instance):
    found = instance()
    assert found["exit"] == 0
    (signal,) = found["signals"]
    assert signal["Status"] == "SUCCESS"
    group = [call for call in found["calls"] if "signal-resource" in call]
    assert len(group) == 1
    assert "--stack-name coach --logical-resource-id AppInstances --unique-id i-0abc --status SUCCESS" in group[0]
    assert found["calls"].index(group[0]) > found["calls"].index("systemctl restart codecoach.service")


def test_the_app_gets_settings_that_it_takes_and_secrets_that_nobody_else_reads(instance):
    found = instance()
    given = environment(found, SETTINGS)
    ours = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    assert ours.keys() <= {PREFIX + name.upper() for name in Settings.model_fields}
    settings = Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in ours.items()})
    assert settings.backend == "aws"
    assert settings.cookie_secure
    assert settings.table == "codecoach-1"
    assert settings.client_address_header == "CloudFront-Viewer-Address"
    assert settings.admin_password.get_secret_value() == "PassWordOfTheStack"
    assert settings.cookie_secrets == (given["STREAMLIT_SERVER_COOKIE_SECRET"],)
    assert given["STREAMLIT_SERVER_COOKIE_SECRET"].startswith("CookieSecretOfTheStack")
    assert found["files"][SETTINGS]["mode"] == "0o600"
    for secret in ("PassWordOfTheStack", "CookieSecretOfTheStack"):
        assert secret not in found["output"]
        assert not [call for call in found["calls"] if secret in call]
        elsewhere = {name for name, file in found["files"].items() if secret in (file["text"] or "")}
        assert elsewhere == {SETTINGS}


def settings_of(found) -> Settings:
    """What the app makes of its file, where of two lines with one name the later counts, as for systemd."""
    ours = {name: value for name, value in environment(found, SETTINGS).items() if name.startswith(PREFIX)}
    assert ours.keys() <= {PREFIX + name.upper() for name in Settings.model_fields}
    return Settings(**{name.removeprefix(PREFIX).lower(): value for name, value in ours.items()})


def test_limits_a_provider_and_any_other_setting_reach_the_app_and_the_log_is_for_collectors(instance):
    more = "CODECOACH_OIDC_METADATA_URL=https://id.example.com/.well-known/openid-configuration?a=1&b=2 ;"
    more += "CODECOACH_OIDC_CLIENT_ID=coach; CODECOACH_PUBLIC_URL=https://coach.example.com CODECOACH_BACKEND=embedded"
    found = instance(MonthlyDollars="12.5", MoreSettings=more, OidcSecretArn="arn:oidc")
    assert found["exit"] == 0, found["output"]
    settings = settings_of(found)
    assert (settings.budget_month_dollars, settings.log_format) == (12.5, "json")
    assert settings.oidc_metadata_url.endswith("?a=1&b=2")
    assert settings.oidc_client_secret.get_secret_value() == "CookieSecretOfTheStack-0123456789abcdef"
    assert settings.backend == "aws"  # what the template sets holds


def test_the_log_format_can_be_another(instance):
    assert settings_of(instance(MoreSettings="CODECOACH_LOG_FORMAT=text")).log_format == "text"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"MoreSettings": "CODECOACH_LOG_LEVEL=$(touch${IFS}/tmp/evil)"}, "holds something else"),
        ({"MoreSettings": "CODECOACH_LOG_LEVEL=INFO LD_PRELOAD=/tmp/evil.so"}, "holds something else"),
        ({"MoreSettings": 'CODECOACH_LOG_LEVEL="a'}, "holds something else"),
        ({"MoreSettings": "CODECOACH_LOG_LEVEL=INFO\nPATH=/tmp"}, "more than one line"),
        ({"MoreSettings": "CODECOACH_OIDC_CLIENT_SECRET=abc"}, "may hold no secret"),
        ({"MoreSettings": "CODECOACH_NO_SUCH_THING=1"}, "there is no setting CODECOACH_NO_SUCH_THING"),
        ({"MonthlyDollars": "5; reboot"}, "MonthlyDollars is no amount"),
    ],
)
def test_what_is_no_plain_setting_is_refused_and_told_although_the_template_would_have_refused_it(
    instance, values, reason
):
    found = instance(**values)
    assert found["exit"] == 1
    assert [signal["Status"] for signal in found["signals"]] == ["FAILURE"]
    assert reason in found["signals"][0]["Reason"]
    assert SETTINGS not in found["files"]


def test_piston_stands_beside_the_app_and_its_programs_reach_the_gateway_alone(instance):
    found = instance()
    piston, app = environment(found, "/etc/codecoach/piston.env"), environment(found, SETTINGS)
    assert piston["JOBS_MAY_REACH"] == app["CODECOACH_GATEWAY"] == "172.17.0.1:8700"
    assert app["CODECOACH_PISTON_URLS"] == f"http://127.0.0.1:{piston['PISTON_PORT']}"
    assert piston["PISTON_REPO_URL"] == "http://host.docker.internal:2001/index"
    assert started(found) == ["codecoach-piston.service", "codecoach-packages.service", "codecoach.service"]
    for language in ("python", "bash"):
        assert (
            f"python -m piston install {language} --piston http://127.0.0.1:2000 --index http://172.17.0.1:2001/index"
            in found["calls"]
        )
        assert [
            call
            for call in found["calls"]
            if call.startswith("docker run") and call.endswith(f"codecoach-packer {language}")
        ]


def test_languages_that_take_long_are_built_after_the_stack_is_complete(instance):
    found = instance(Languages="python,rust, go")
    assert not [call for call in found["calls"] if call.endswith(("codecoach-packer rust", "codecoach-packer go"))]
    (signal,) = found["signals"]
    assert signal["Status"] == "SUCCESS"
    begun = next(
        n for n, call in enumerate(found["calls"]) if call.startswith("systemd-run --unit codecoach-languages")
    )
    # An update takes no language away: the old instance goes when those are there, or take too long.
    assert found["calls"][begun + 1] == "systemctl --quiet is-active codecoach-languages"
    assert "signal-resource" in found["calls"][-1]


def test_what_the_bundle_has_is_not_built(instance):
    found = instance(
        RuntimeBundleUrl=f"{HERE}/bundle.tar",
        bundle=("python-3.11.0.pkg.tar.gz", "deep/bash-5.2.0.pkg.tar.gz", "passwd"),
    )
    assert found["exit"] == 0
    assert not [call for call in found["calls"] if call.startswith("docker")]
    packages = {Path(name).name for name in found["files"] if name.startswith("/var/lib/codecoach/packages/")}
    assert packages == {"python-3.11.0.pkg.tar.gz", "bash-5.2.0.pkg.tar.gz"}
    assert len([call for call in found["calls"] if call.startswith("python -m piston install")]) == 2
    assert "python -m piston sift /var/lib/codecoach/packages" in found["calls"]


def test_the_sandbox_takes_what_the_bundle_has_too(instance):
    found = instance(
        Runner="sandbox", RuntimeBundleUrl=f"{HERE}/bundle.tar", bundle=("go-1.25.0.pkg.tar.gz",), Languages="python"
    )
    assert found["exit"] == 0
    assert "/var/lib/codecoach/packages/go-1.25.0.pkg.tar.gz" in found["files"]
    (install,) = [call for call in found["calls"] if "codecoach runtimes install python" in call]
    assert install.endswith(" --from /var/lib/codecoach/packages")


def test_with_an_index_of_ones_own_nothing_is_built_or_served(instance):
    found = instance(PistonRepoUrl="https://packages.example.com/index")
    assert environment(found, "/etc/codecoach/piston.env")["PISTON_REPO_URL"] == "https://packages.example.com/index"
    assert not [call for call in found["calls"] if call.startswith("docker")]
    assert "codecoach-packages.service" not in started(found)


def test_with_pistons_elsewhere_the_app_has_none_and_their_programs_find_it(instance):
    found = instance(PistonUrl="http://internal-lb:2000", PistonCount="3", InstanceCount="2")
    app = environment(found, SETTINGS)
    assert app["CODECOACH_PISTON_URLS"] == "http://internal-lb:2000"
    assert app["CODECOACH_PISTON_JOBS"] == "12"  # of three hosts' 24, shared by two instances
    assert app["CODECOACH_GATEWAY"] == "10.80.0.5:8700"
    assert started(found) == ["codecoach.service"]
    assert "docker.io" not in found["calls"][2]


def test_a_host_of_piston_alone_has_no_secret_and_opens_its_port_for_the_load_balancer(instance):
    found = instance("PistonTemplate")
    assert found["exit"] == 0
    assert not [call for call in found["calls"] if "secretsmanager" in call]
    assert SETTINGS not in found["files"]
    piston = environment(found, "/etc/codecoach/piston.env")
    assert piston["JOBS_MAY_REACH"] == "10.80.0.0/16:8700"
    port = found["files"]["/etc/systemd/system/codecoach-piston-port.service"]["text"]
    assert f"127.0.0.1:{piston['PISTON_PORT']}" in port
    # The load balancer sends nobody to a host that has no language yet.
    assert found["calls"].index("systemctl enable --now codecoach-piston-port.socket") > max(
        number for number, call in enumerate(found["calls"]) if call.startswith("python -m piston install")
    )
    assert found["signals"] == []  # whether the stack is complete, the web app says
    assert [
        call for call in found["calls"] if "--logical-resource-id PistonInstances" in call and call.endswith("SUCCESS")
    ]


def test_in_the_sandbox_there_is_no_docker_and_my_aws_can_be_used(instance):
    role = "arn:aws:iam::123456789012:role/coach-ProgramsRole-1"
    found = instance(Runner="sandbox", RunRole=role, WhoMayRunWithMyAws="chosen")
    app = environment(found, SETTINGS)
    assert (app["CODECOACH_RUN_ROLE_ARN"], app["CODECOACH_MY_AWS"]) == (role, "chosen")
    assert "CODECOACH_GATEWAY" not in app
    assert not [call for call in found["calls"] if call.startswith("docker") or "docker.io" in call]
    assert [
        call
        for call in found["calls"]
        if call.startswith("systemd-run") and "codecoach runtimes install python" in call
    ]


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("apt-get update", "package index cannot be reached"),
        ("docker.io", "Installing Debian packages did not work"),
        ("pip install", "Installing Python packages did not work"),
        ("restart codecoach-piston", "Starting Piston did not work"),
        ("codecoach-packer python", "Installing python did not work"),
        ("aws secretsmanager", "Reading the secrets did not work"),
    ],
)
def test_a_failure_is_told_in_words(instance, fail, reason):
    found = instance(fail=fail)
    assert found["exit"] == 1
    (signal,) = found["signals"]
    assert signal["Status"] == "FAILURE"
    assert reason in signal["Reason"]
    assert len(signal["Reason"]) <= 1000


def test_the_stack_is_told_which_part_does_not_work(instance):
    found = instance(health=json.dumps({"parts": {"model": {"state": "down"}, "store": {"state": "ok"}}}))
    (signal,) = found["signals"]
    assert (signal["Status"], signal["Reason"]) == ("FAILURE", "CodeCoach started, but does not work: model: down")
    assert [call for call in found["calls"] if "signal-resource" in call and call.endswith("FAILURE")]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("http://127.0.0.1:8100/nothing.tar.gz", "SourceUrl cannot be fetched"),
        (f"{HERE}/orders", "SourceUrl cannot be fetched"),
    ],
)
def test_a_wrong_source_is_told(instance, source, reason):
    found = instance(SourceUrl=source)
    (signal,) = found["signals"]
    assert signal["Status"] == "FAILURE"
    assert signal["Reason"].startswith(reason)
    assert source in signal["Reason"]


def test_a_source_that_is_something_else_is_told(instance):
    found = instance(packed=("pages",))
    assert "there is no deploy/instance.sh" in found["signals"][0]["Reason"]
    # An update looks at its group, not at the condition.
    (signal,) = [call for call in found["calls"] if "signal-resource" in call]
    assert "--logical-resource-id AppInstances" in signal
    assert signal.endswith("--status FAILURE")


def test_a_secret_that_is_had_at_the_second_try_is_just_that(instance):
    found = instance(fail="get-secret-value", fails=1)
    assert found["exit"] == 0
    assert environment(found, SETTINGS)["CODECOACH_ADMIN_PASSWORD"] == "PassWordOfTheStack"


def test_what_fails_once_is_tried_again(instance):
    found = instance(fail="docker build", fails=1)
    assert found["signals"][0]["Status"] == "SUCCESS"
    assert len([call for call in found["calls"] if call.startswith("docker build")]) == 2


def test_without_the_agents_it_works_all_the_same(instance):
    found = instance(fail="dpkg -i")
    assert found["signals"][0]["Status"] == "SUCCESS"
    assert "WARNING: no Session Manager" in found["output"]
    assert "WARNING: no logs in CloudWatch" in found["output"]


def test_a_source_in_a_bucket_is_fetched_with_the_instances_own_rights(instance):
    found = instance(SourceUrl="s3://bucket/key/source.tar.gz")
    assert (
        "aws s3 cp --only-show-errors --region eu-west-1 s3://bucket/key/source.tar.gz /tmp/source.tar.gz"
        in found["calls"]
    )
    assert found["signals"][0]["Status"] == "SUCCESS"


def test_the_agent_of_cloudwatch_sends_what_the_template_watches(instance):
    found = instance()
    agent = json.loads(found["files"]["/etc/codecoach/cloudwatch-agent.json"]["text"])
    files = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert {file["log_group_name"] for file in files} == {"group-of-logs"}
    assert agent["metrics"]["namespace"] == "CodeCoach"
    assert agent["metrics"]["metrics_collected"]["disk"]["append_dimensions"] == {"Stack": "coach"}


@pytest.fixture
def running(tmp_path):
    """`running(url)` points the Piston of an instance, whose settings are in a folder, at another index."""
    (tmp_path / "piston.env").write_text("PISTON_REPO_URL=http://old/index\nPISTON_PORT=2000\n", "utf-8")
    (tmp_path / "deployment.env").write_text("ROLE=app\nPISTON_REPO_URL=''\n", "utf-8")
    (tmp_path / "deployment.env").chmod(0o600)
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\n', "utf-8")
    (tmp_path / "systemctl").chmod(0o755)

    def run(*words):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CONF": str(tmp_path)}
        command = ["bash", ROOT / "deploy" / "piston-repo.sh", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    return run


def test_one_command_points_a_running_piston_at_another_index(running, tmp_path):
    with file_server() as server:
        server.content["/index"] = b"bash,5.2.1,0,http://x\n"
        done = running(f"{server.address}/index")
    assert done.returncode == 0, done.stderr
    new = f"PISTON_REPO_URL='{server.address}/index'"
    assert (tmp_path / "piston.env").read_text("utf-8").splitlines() == ["PISTON_PORT=2000", new]
    assert (tmp_path / "deployment.env").read_text("utf-8").splitlines() == ["ROLE=app", new]
    assert (tmp_path / "deployment.env").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "calls").read_text("utf-8") == "restart codecoach-piston.service\n"


@pytest.mark.parametrize("words", [("http://127.0.0.1:9/index",), ("not an address",), ()])
def test_an_index_that_cannot_be_read_changes_nothing(running, tmp_path, words):
    before = (tmp_path / "piston.env").read_text("utf-8")
    assert running(*words).returncode in (2, 3)
    assert (tmp_path / "piston.env").read_text("utf-8") == before
    assert not (tmp_path / "calls").exists()


@needs("shellcheck")
def test_shellcheck_finds_nothing():
    ran = subprocess.run([tool("shellcheck"), *sorted((ROOT / "deploy").glob("*.sh"))], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")
