"""STS over HTTP: moto's own, and one that refuses in AWS's words."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore.config import Config

from codecoach.aws.run_role import RunRole
from codecoach.settings import Settings

ROLE = "arn:aws:iam::123456789012:role/programs"


def run_role(url: str, **more: str) -> RunRole:
    """The role, asked for at `url`."""
    settings = Settings(run_role_arn=ROLE, **more)
    quick = Config(connect_timeout=2, read_timeout=30, retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "of-the-server", "aws_secret_access_key": "of-the-server"}
    return RunRole(
        settings, lambda given: boto3.client("sts", endpoint_url=url, region_name=given.region, config=quick, **keys)
    )


@contextmanager
def answering(status: int, body: str, asked: list[str] | None = None) -> Iterator[str]:
    """A server that gives every request this answer; what it was asked is added to `asked`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if asked is not None:
                asked.append(sent)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def refusal(code: str, message: str = "so it is") -> str:
    """How STS says no."""
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )


def lent(token: str, expires: str) -> str:
    """How STS says yes."""
    return (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"<AccessKeyId>ASIA1234567890123456</AccessKeyId><SecretAccessKey>secret-{token}</SecretAccessKey>"
        f"<SessionToken>token-{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
        "<AssumedRoleUser><AssumedRoleId>AROA:me</AssumedRoleId>"
        "<Arn>arn:aws:sts::123456789012:assumed-role/programs/me</Arn></AssumedRoleUser></AssumeRoleResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )
