"""`codecoach user ...`: accounts and invitations, from adding to ending, and what cannot be done."""

import json

import pytest
from click.testing import Result
from typer.testing import CliRunner

from codecoach.cli import app
from codecoach.services import Services
from codecoach.settings import Settings

ANN, CARL = "ann@example.com", "carl@example.com"


@pytest.fixture
def user(tmp_path, monkeypatch):
    """`user(*words)` runs `codecoach user ...` with a store of its own; in this process, which is much quicker."""

    def run(*words: str, lang: str = "C.UTF-8", typed: str = "") -> Result:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CODECOACH_DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("LC_ALL", lang)
        return CliRunner().invoke(app, ["user", *words], input=typed)

    return run


@pytest.fixture
def services(tmp_path):
    made = Services(Settings(data_dir=tmp_path / "data", cache_dir=tmp_path))
    yield made
    made.close()


def done(result: Result) -> str:
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_an_account_is_added_changed_and_closed(user, services):
    password = done(user("add", "Ann@Example.com")).split()[-1]
    assert done(user("reset", ANN)).split()[-1] != password
    done(user("role", ANN, "admin"))
    assert services.accounts.get(ANN).roles == ("admin",)
    done(user("add", CARL, "--admin"))
    done(user("role", ANN, "admin", "--take"))
    assert services.accounts.get(ANN).roles == ()

    sid = services.sign_ins.open(ANN)
    done(user("sign-out", ANN))
    assert services.sign_ins.all_of(ANN) == ()
    assert sid
    for _ in range(12):
        services.failures.begin(ANN, "")
    assert services.failures.wait_s(ANN, "") > 0
    done(user("unlock", ANN))
    assert services.failures.wait_s(ANN, "") == 0

    done(user("disable", ANN))
    assert services.accounts.get(ANN).disabled
    done(user("enable", ANN))
    assert not services.accounts.get(ANN).disabled


def test_an_invitation_names_the_address_of_the_settings(user, monkeypatch):
    monkeypatch.setenv("CODECOACH_PUBLIC_URL", "https://coach.example.com/app")
    assert "https://coach.example.com/app/?invitation=" in done(user("invite", CARL))


def test_an_account_is_deleted_when_its_address_is_typed(user, services):
    services.accounts.create(ANN, "hash")
    services.preferences.change(ANN, language="zh")
    refused = user("delete", ANN, typed="ann\n")
    assert refused.exit_code == 2
    assert "Nothing was deleted" in refused.stderr
    assert services.accounts.get(ANN)
    done(user("delete", ANN, typed=f"{ANN}\n"))
    assert services.accounts.get(ANN) is None
    assert services.preferences.get(ANN).language == ""
    assert user("delete", ANN, "--yes").exit_code == 2


def test_somebody_is_invited_and_listed(user, services):
    services.accounts.create(ANN, "hash", ("admin",))
    services.last_sign_ins.note(ANN)
    told = done(user("invite", CARL))
    code = told.split("/?invitation=")[1].strip()
    assert services.invitations.find(code).username == CARL

    ann, carl = json.loads(done(user("list", "--json")))
    assert (ann["username"], ann["standing"], ann["roles"], ann["expires_at"]) == (ANN, "active", ["admin"], None)
    assert ann["last_sign_in_at"] >= ann["created_at"]
    assert (carl["username"], carl["standing"], carl["last_sign_in_at"]) == (CARL, "invited", None)
    first, second = done(user("list")).splitlines()
    assert first.split()[0] == ANN
    assert first.split()[-1] == "admin"
    assert second.split()[:2] == [CARL, "Invited"]

    done(user("withdraw", CARL))
    assert services.invitations.find(code) is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "nonsense"), "e-mail address"),
        (("add", "root@example.com"), "already is an account root@example.com"),
        (("invite", "root@example.com"), "already is an account root@example.com"),
        (("withdraw", ANN), "no open invitation for ann@example.com"),
        (("reset", ANN), "no account ann@example.com"),
        (("sign-out", ANN), "no account ann@example.com"),
        (("role", "root@example.com", "king"), "The roles are: admin, my_aws"),
        (("role", "root@example.com", "admin", "--take"), "only administrator"),
        (("disable", "root@example.com"), "only administrator"),
    ],
)
def test_what_cannot_be_done_is_said_and_is_the_callers_fault(user, services, words, said):
    services.accounts.create("root@example.com", "hash", ("admin",))
    before = services.accounts.all()
    result = user(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert services.accounts.all() == before


def test_it_speaks_chinese_where_the_machine_does(user):
    assert "没有账户 ann@example.com。" in user("unlock", ANN, lang="zh_CN.UTF-8").stderr
