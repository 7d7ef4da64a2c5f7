"""How the toolkit's commands speak: options that several have, what they print, and how they end.

What a person reads goes to standard output, progress and errors to standard error; with --json, standard output is one
JSON object.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from codecoach.console import OURS_FAILED, fail, say, told_as
from codecoach.errors import CodeCoachError
from piston.errors import ToolkitError
from piston.index import Entry

IN_PART = 4
INTERRUPTED = 130
SERVED_AT = "http://127.0.0.1:2001"
"""Where `serve` is found unless it is told otherwise."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Folder = Annotated[Path, typer.Argument(help="Folder of .pkg.tar.gz files and their index.")]
BaseUrl = Annotated[str, typer.Option(help="Address below which Piston will find the folder's files.")]


@contextmanager
def told(as_json: bool) -> Iterator[None]:
    """Faults end the command with what happened and what to do, as JSON where that was asked for."""
    try:
        yield
    except KeyboardInterrupt:
        # At once, though threads may wait for a silent connection: whatever is unfinished can be gone on with.
        sys.stdout.flush()
        os._exit(INTERRUPTED)
    except OSError as error:
        _fail(ToolkitError("files_failed", detail=str(error)), as_json)
    except CodeCoachError as error:
        _fail(error, as_json)


def _fail(error: CodeCoachError, as_json: bool) -> None:
    if as_json:
        print_json({"error": error.key, "what": told_as(error.what), "hint": told_as(error.hint)})
        raise typer.Exit(OURS_FAILED) from error
    fail(error)


def print_json(result: object) -> None:
    print(json.dumps(result, ensure_ascii=False, default=str), flush=True)


def tell(quiet: bool, key: str, /, **values: object) -> None:
    if not quiet:
        say(key, **values)


def size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


def packages_of(entries: Sequence[Entry]) -> list[str]:
    return [entry.package for entry in entries]
