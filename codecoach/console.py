"""How the command line speaks: in the user's language, errors with what to do, and never a stack trace."""

import locale
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from codecoach import settings as settings_module
from codecoach.errors import CodeCoachError
from codecoach.i18n import Language, Notice, tell, text
from codecoach.settings import Settings

OURS_FAILED = 3
"""Exit code for a fault of ours; 2 is the command line's own; a program's own code passes through `run`."""


def language() -> Language:
    return Language.from_locale(os.environ.get("LC_ALL") or os.environ.get("LANG") or locale.getlocale()[0])


def say(key: str, /, **values: object) -> None:
    print(text(language(), key, **values), flush=True)


def told_as(notice: Notice) -> str:
    return tell(language(), notice)


def fail(error: CodeCoachError) -> NoReturn:
    print(f"{told_as(error.what)}\n{told_as(error.hint)}", file=sys.stderr)
    raise typer.Exit(OURS_FAILED)


@contextmanager
def told() -> Iterator[None]:
    """Our errors end the command with what happened and what to do, never with a stack trace."""
    try:
        yield
    except CodeCoachError as error:
        fail(error)


def loaded() -> Settings:
    with told():
        return settings_module.load()
