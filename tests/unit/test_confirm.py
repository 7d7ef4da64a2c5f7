"""`codecoach run --aws mine` says what a program would do in AWS, and asks before it does harm."""

import io
import sys

import pytest

from codecoach.errors import AwsRefused, InputRefused
from codecoach.i18n import Language, tell
from codecoach.local import program
from codecoach.runner.credentials import AwsMode
from codecoach.runner.port import Limits

HARMFUL = "aws s3 rb s3://b --force\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def english(notice):
    return tell(Language.EN, notice)


@pytest.fixture
def request_of(tmp_path):
    def request_of(script: str, mode: AwsMode = AwsMode.MINE, region: str = ""):
        file = tmp_path / "main.sh"
        file.write_text(script)
        return program.request(program.Program((file,), aws=mode, region=region), Limits(), "eu-west-1")

    return request_of


def test_harmless_actions_are_listed_and_nothing_is_asked(request_of, capsys):
    program.confirm(request_of("aws s3api list-buckets"), False, english)
    told = capsys.readouterr()
    assert told.out == ""
    assert "s3:ListBuckets" in told.err


@pytest.mark.parametrize("mode", [AwsMode.NONE, AwsMode.SIMULATED])
def test_elsewhere_nothing_is_said(request_of, capsys, mode):
    program.confirm(request_of(HARMFUL, mode), False, english)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_harm_is_refused(request_of, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(AwsRefused) as caught:
        program.confirm(request_of(HARMFUL), False, english)
    assert caught.value.key == "aws_unconfirmed"
    assert "s3:DeleteBucket" in caught.value.values["actions"]


def test_yes_on_the_command_line_is_enough(request_of, capsys):
    program.confirm(request_of(HARMFUL), True, english)
    assert "[y/N]" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "runs"), [("y\n", True), ("Yes\n", True), ("\n", False), ("n\n", False), ("", False)]
)
def test_on_a_terminal_it_is_asked(request_of, monkeypatch, capsys, typed, runs):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    if runs:
        program.confirm(request_of(HARMFUL), False, english)
    else:
        with pytest.raises(AwsRefused):
            program.confirm(request_of(HARMFUL), False, english)
    assert "[y/N]" in capsys.readouterr().err


def test_a_region_that_aws_does_not_have_is_refused(request_of):
    assert request_of("true", region="us-west-2").aws.region == "us-west-2"
    assert request_of("true").aws.region == "eu-west-1"
    with pytest.raises(InputRefused) as caught:
        request_of("true", region="cn-north-1")
    assert caught.value.key == "region_unknown"
