"""`codecoach export` and `codecoach import`: all data into a file and back, whichever store the settings name."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer

from codecoach.console import OURS_FAILED, language, loaded, say, told
from codecoach.i18n import text

# Seconds between two words about how far it has come.
_TOLD_EVERY_S: Final = 0.5


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("export", help="Write all data to a file, as JSON lines; packed where its name ends in .gz.")(export)
    app.command("import", help="Fill an empty store with what `export` wrote. Stop CodeCoach before.")(restore)


def export(path: Annotated[Path, typer.Argument(metavar="FILE", help="Written anew, for its owner alone.")]) -> None:
    from codecoach.services import build
    from codecoach.store import backup

    with told(), closing(build(loaded())) as services:
        saved = backup.save(services.table, path, _progress(lambda count: {"count": count}, "cli.backup.exporting"))
    _end_progress()
    say("cli.backup.exported", path=path, count=f"{saved.items:,}")


def restore(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete everything that is there first, also what the file does not hold.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --replace: do not ask.")] = False,
) -> None:
    from codecoach.services import build
    from codecoach.store import backup, backup_file

    with told(), closing(build(loaded())) as services:
        print(text(language(), "cli.backup.checking", path=path), file=sys.stderr)
        total = backup_file.check(path).items
        table = services.table_as_it_is
        if replace and not yes:
            _confirm(text(language(), "cli.backup.replace", path=path, store=table.ping()))
        told_of = _progress(lambda count: {"count": count, "total": f"{total:,}"}, "cli.backup.importing")
        restored = backup.restore(table, path, over=replace, progress=told_of)
    _end_progress()
    say("cli.backup.imported", path=path, count=f"{restored.items:,}")


def _confirm(question: str) -> None:
    print(question, end=" ", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "是"):
        raise typer.Exit(OURS_FAILED)


def _progress(values: Callable[[int], dict[str, object]], key: str) -> Callable[[int], None]:
    """Says on standard error how far it has come, twice a second at most."""
    said_at = time.monotonic()

    def tell(count: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _TOLD_EVERY_S:
            said_at = time.monotonic()
            print("\r" + text(language(), key, **values(count)).ljust(40), end="", file=sys.stderr, flush=True)

    return tell


def _end_progress() -> None:
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr, flush=True)
