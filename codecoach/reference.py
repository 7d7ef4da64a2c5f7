"""The reference under which a person and whoever runs the place speak of the same event.

It is set where work begins: for a browser session, an HTTP request, a command. All that is logged in the course of it, in
threads that go on with it too, carries it, and so does every error that is shown.
"""

import secrets
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("reference", default="")


def begin(reference: str = "") -> str:
    """Use this reference from here on, or a new one; returns it."""
    made = reference or secrets.token_hex(4)
    _current.set(made)
    return made


def current() -> str:
    """The reference of the work under way; empty where none was begun."""
    return _current.get()


def of_an_event() -> str:
    """A new reference for one event in the course of it: `3f9a01bc-7d2e`, or eight digits of its own."""
    return f"{current()}-{secrets.token_hex(2)}" if current() else secrets.token_hex(4)
