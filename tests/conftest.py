"""Tests run closed: no AWS variables, nothing of the user's own settings, loopback only."""

import os
import socket
from collections.abc import Iterator

import boto3
import pytest
from hypothesis import settings

from codecoach.store import owned

# No timed assertions, here neither: a busy machine proves nothing.
settings.register_profile("tests", settings(), deadline=None)
settings.load_profile("tests")

for _name in [name for name in os.environ if name.startswith(("AWS_", "CODECOACH_")) and name != "AWS_CA_BUNDLE"]:
    del os.environ[_name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

_connect = socket.socket.connect


def _loopback_only(self: socket.socket, address: object) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        assert isinstance(address, tuple)
        assert address[0] in ("127.0.0.1", "::1", "localhost"), f"a test tried to reach {address[0]}"
    _connect(self, address)  # type: ignore[arg-type]


@pytest.fixture(autouse=True, scope="session")
def _closed() -> Iterator[None]:
    socket.socket.connect = _loopback_only  # type: ignore[method-assign, assignment]
    yield
    socket.socket.connect = _connect  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _as_in_a_new_process() -> Iterator[None]:
    """Nothing of the test before: who acts is a variable of the thread, and boto3 keeps the credentials it once found."""
    owned.act_as(None)
    boto3.DEFAULT_SESSION = None
    yield
    owned.act_as(None)
    boto3.DEFAULT_SESSION = None
