"""A record of the log is one line, under a reference, and holds no secret and nothing that people wrote."""

import io
import json
import logging
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from codecoach import logs, reference
from codecoach.errors import CodeCoachError, InputRefused, ModelRefused, StoreUnavailable
from codecoach.store import owned
from codecoach.ui.references import HEADER, Referenced

log = logging.getLogger("codecoach.tests")
CANARY = "my-secret-plan"
SECRETS = (
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.dBjftJeZ4CVP",
    "$2b$12$abcdefghijklmnopqrstuuN9qo8uLOickgx2ZMRZoMyeIjZAgcfl7",
    "Zk3v0a9-_QmXh2s8LrT5wYbN1cD4eF6gH7iJ0kLmNoP",
    "ab2d-ef3h-jk4m-np5q",
)
LABELLED = (
    "Authorization: AWS4-HMAC-SHA256 Credential=x, Signature=canary",
    "X-Amz-Security-Token: canary",
    "cookie: codecoach_session=canary; other=canary",
    "password='canary with spaces'",
    '{"client_secret": "canary"}',
    "session_token=canary",
    "ticket=canary",
    "sid: canary",
)


@pytest.fixture(params=["text", "json"])
def written(request) -> Iterator[io.StringIO]:
    """What is logged from now on, in each form."""
    root, ours = logging.getLogger(), logging.getLogger("codecoach")
    before = (root.handlers[:], root.level, ours.level)
    stream = io.StringIO()
    logs.configure("DEBUG", request.param, stream)
    yield stream
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


def logged(written: io.StringIO, *said: object, **how: object) -> str:
    written.seek(0)
    written.truncate()
    root = logging.getLogger()
    all_of_them = root.handlers[:]
    # Pytest's own would put half a character into its report, which cannot be sent from one process to another.
    root.handlers[:] = [one for one in all_of_them if isinstance(one.formatter, logs.JsonLine | logs.TextLine)]
    try:
        log.warning(*said, **how)
    finally:
        root.handlers[:] = all_of_them
    return written.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "a\nb",
        "a\r\n2026-11-29 INFO codecoach: all is well",
        "\x1b[2J\x1b]8;;http://x\x07",
        "\0",
        "\u2028",
        "\u202e",
        "\x85",
        "\ud800",
    ],
)
def test_a_record_is_one_line_whatever_is_in_it(written, text):
    line = logged(written, "path %s", text)
    assert len(line.splitlines()) == 1
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert "\\" in line


@given(st.text(max_size=200))
def test_whatever_is_logged_is_one_line(text):
    assert len(logs.clean(text).splitlines()) <= 1


def test_a_record_of_a_million_characters_is_cut(written):
    assert len(logged(written, "%s", "x y" * 400_000)) < 2 * logs.LONGEST


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_left_out(written, secret):
    line = logged(written, "here: %s, there", secret)
    assert secret not in line
    assert "there" in line


@pytest.mark.parametrize("text", LABELLED)
def test_what_is_called_a_secret_is_left_out(written, text):
    line = logged(written, text)
    assert "canary" not in line
    assert "left out" in line


@pytest.mark.parametrize(
    "text",
    [
        "streamlit/runtime/scriptrunner_utils/script_run_context.py:522",
        "reply 01a224f3783bef27d86dfd257749a64ff778/01a224f4331333e4abf2 failed",
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "arn:aws:iam::123456789012:role/codecoach-programs",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "1,024 tokens: 7 in, 3 out",
    ],
)
def test_what_is_no_secret_stays(written, text):
    assert text in json.loads(json.dumps(logged(written, "%s", text)))


def refuse() -> None:
    raise ValueError(f"bad input {CANARY}")


def failed(error: Exception) -> Exception:
    """The error as it is when it was raised from another that repeats what it was given."""
    try:
        refuse()
    except ValueError as cause:
        error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"could not read {CANARY}"),
        ModelRefused(detail=f"messages.0.content: {CANARY}"),
        InputRefused("lab_no_column", names=CANARY),
        ClientError({"Error": {"Code": "ValidationException", "Message": CANARY}}, "Converse"),
    ],
)
def test_an_exception_tells_what_and_where_and_repeats_no_input(written, error):
    line = logged(written, "not done: %s", error, exc_info=failed(error))
    assert CANARY not in line
    assert "ValueError at " in line
    assert "test_logs.py:" in line
    assert len(line.splitlines()) == 1


def test_of_our_errors_the_facts_and_the_reference_stay(written):
    error = StoreUnavailable(detail="connection refused")
    line = logged(written, "shown to a user as %s", error)
    assert "connection refused" in line
    assert error.reference in line


def test_libraries_log_from_warning_on_even_where_ours_is_debug(written):
    for name in ("botocore.endpoint", "urllib3.connectionpool", "httpcore.http11", "uvicorn.error", "streamlit.web"):
        logging.getLogger(name).debug(CANARY)
        logging.getLogger(name).info(CANARY)
    log.debug("ours")
    assert CANARY not in written.getvalue()
    assert "ours" in written.getvalue()


def test_a_record_says_in_whose_session_it_came_without_naming_who(written):
    def work() -> tuple[str, str]:
        reference.begin("3f9a01bc")
        owned.act_as("ann@example.com")
        return logged(written, "done"), CodeCoachError().reference

    line, shown = copy_context().run(work)
    assert "3f9a01bc" in line
    assert logs.pseudonym("ann@example.com") in line
    assert "ann@example.com" not in line
    assert shown.startswith("3f9a01bc-")  # what a person is shown is found in the log
    assert "3f9a01bc" not in logged(written, "afterwards")


def test_security_events_are_told_alike_and_name_the_accounts(written):
    written.truncate(0)
    logs.security("disabled", "ann@example.com", by="root@example.com")
    logs.security("password refused", warning=True, address="10.0.0.7\nINFO signed in: root@example.com")
    first, second = written.getvalue().splitlines()
    assert "codecoach.security" in first
    assert "disabled: ann@example.com (by root@example.com)" in first
    assert "WARNING" in second


def test_each_request_has_a_reference_of_its_own_that_the_client_cannot_choose():
    async def tell(_request) -> PlainTextResponse:
        return PlainTextResponse(reference.current())

    client = TestClient(Referenced(Starlette(routes=[Route("/", tell)])))
    answers = [client.get("/", headers={HEADER: "chosen\r\n"[:6]}) for _ in range(2)]
    assert [answer.headers[HEADER] for answer in answers] == [answer.text for answer in answers]
    assert len({answer.text for answer in answers} | {"chosen"}) == 3


def test_json_is_json(written):
    line = logged(written, "say %s", '"hello"\n')
    if line.startswith("{"):
        told = json.loads(line)
        assert told["message"] == 'say "hello"\\n'
        assert set(told) >= {"time", "level", "logger", "message"}
