"""The command line: `python -m piston build | index | mirror | publish | serve | list | install | uninstall`.

What a person reads goes to standard output, progress and errors to standard error; with --json, standard output is one
JSON object. Exit code 0: done; 2: wrong usage; 3: it could not be done, and why; 4: done in part; 130: Ctrl-C.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from codecoach.cli import OURS_FAILED, fail, language, loaded, say, told_as
from codecoach.errors import CodeCoachError
from codecoach.i18n import text
from codecoach.runner.installed import PACKAGES
from piston import build as building
from piston import index as indexes
from piston import mirror as mirroring
from piston import publish as publishing
from piston.errors import TokenMissing, ToolkitError
from piston.github import API, GitHub
from piston.progress import Bars
from piston.transfer import Patience, shown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Packages of languages for a Piston of your own: build, index, mirror, publish, serve and install them.",
    epilog="Exit code 0: done. 2: wrong usage. 3: could not be done. 4: done in part. 130: Ctrl-C.",
)

IN_PART = 4
INTERRUPTED = 130
SERVED_AT = "http://127.0.0.1:2001"
"""Where `serve` is found unless it is told otherwise."""

_MOST_LIMIT_WAIT_S = 900

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Folder = Annotated[Path, typer.Argument(help="Folder of .pkg.tar.gz files and their index.")]
BaseUrl = Annotated[str, typer.Option(help="Address below which Piston will find the folder's files.")]
Api = Annotated[str, typer.Option("--api-url", envvar="GITHUB_API_URL", help="For GitHub Enterprise.")]
Pace = Annotated[float, typer.Option(min=0, help="Seconds between changes; GitHub asks for one.")]


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
        _print_json({"error": error.key, "what": told_as(error.what), "hint": told_as(error.hint)})
        raise typer.Exit(OURS_FAILED) from error
    fail(error)


def _print_json(result: object) -> None:
    print(json.dumps(result, ensure_ascii=False, default=str), flush=True)


@app.command(help="Build packages as Piston's builder does, test them in the sandbox, pack them reproducibly.")
def build(
    names: Annotated[list[str], typer.Argument(metavar="NAME[=VERSION]...", help="Without a version: the newest.")],
    to: Annotated[Path, typer.Option(help="Folder for the .pkg.tar.gz files.")] = Path("dist/packages"),
    packages: Annotated[Path, typer.Option(help="Folder of <language>/<version>/build.sh.")] = PACKAGES,
    platform: Annotated[str, typer.Option(help="What the package is for, as Piston calls it.")] = building.OFFICIAL,
    test: Annotated[bool, typer.Option(help="Run the package's test in the sandbox.")] = True,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    results = []
    with told(as_json):
        chosen = [building.find(packages, name) for name in names]
        for package in chosen:
            target = to / indexes.file_name(package.language, package.version)
            if dry_run:
                results.append({"package": f"{package.language}={package.version}", "file": target})
                _tell(as_json, "toolkit.would_build", folder=package.folder, file=target)
                continue
            _tell(as_json, "toolkit.building", package=f"{package.language}={package.version}", platform=platform)
            work = loaded().cache_dir / "piston"
            built = building.build(package, to, work, platform, _log, test)
            results.append(_built(built))
            _tell_built(built, as_json)
    if as_json:
        _print_json({"dry_run": dry_run, "built": results})


def _log(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _tell(quiet: bool, key: str, /, **values: object) -> None:
    if not quiet:
        say(key, **values)


def _built(built: building.Built) -> dict[str, object]:
    return _file(built.file) | {
        "platform": built.platform,
        "tested": built.tested,
        "glibc": built.findings.glibc,
        "outside": built.findings.outside,
        "stuck": built.findings.stuck,
    }


def _file(file: indexes.PackageFile) -> dict[str, object]:
    return {
        "package": f"{file.language}={file.version}",
        "file": file.path,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
    }


def _tell_built(built: building.Built, as_json: bool) -> None:
    if as_json:
        return
    say("toolkit.built", file=built.file.path, size=_size(built.file.size_bytes), sha256=built.file.sha256)
    if not built.tested:
        say("toolkit.untested")
    if built.findings.glibc:
        say("toolkit.needs_glibc", version=built.findings.glibc)
    if built.findings.outside:
        say("toolkit.needs_outside", paths=_few(built.findings.outside))
    if built.findings.stuck:
        say("toolkit.stuck", files=_few(built.findings.stuck))


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... ({len(names)})"


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


@app.command(help="Write or update a folder's index: all its packages, and what it named at other addresses.")
def index(
    folder: Folder,
    base_url: BaseUrl = SERVED_AT,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    with told(as_json):
        entries = indexes.updated(folder, base_url)
        before = {entry.package: entry for entry in indexes.read(folder)}
        after = {entry.package: entry for entry in entries}
        if not dry_run:
            indexes.write(folder, entries)
    changed = sorted(name for name, entry in after.items() if before.get(name) != entry)
    removed = sorted(before.keys() - after.keys())
    if as_json:
        named = [vars(entry) for entry in entries]
        _print_json({"dry_run": dry_run, "index": named, "changed": changed, "removed": removed})
        return
    for name in changed:
        say("toolkit.index_changed", package=name)
    for name in removed:
        say("toolkit.index_removed", package=name)
    say("toolkit.index_would_be" if dry_run else "toolkit.index_written", count=len(entries), file=folder / "index")


@app.command(help="Bring the packages of another index into a folder; run again, it goes on where it stopped.")
def mirror(
    folder: Folder,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME[=VERSION]...]", help="Default: all.")] = None,
    source: Annotated[
        str, typer.Option("--from", envvar="PISTON_UPSTREAM", help="Address of the index.")
    ] = mirroring.UPSTREAM,
    base_url: BaseUrl = SERVED_AT,
    publish_to: Annotated[str, typer.Option("--publish", metavar="OWNER/NAME", help="Publish all of it then.")] = "",
    api: Api = API,
    pace: Pace = 1,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="Packages fetched at the same time.")] = 4,
    tries: Annotated[int, typer.Option(min=1, help="Tries in a row without progress, per package.")] = 5,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    patience = Patience(tries)
    published = None
    with told(as_json):
        github = _github(publish_to, api, pace) if publish_to else None
        entries = mirroring.wanted(source, names or [], patience)
        if dry_run:
            _tell_missing(mirroring.missing(entries, folder), as_json)
            return
        _tell(as_json, "toolkit.mirroring", count=len(entries), address=shown(source), folder=folder)
        with Bars(len(entries)) as bars:
            mirrored = mirroring.mirror(entries, folder, base_url, bars, patience, jobs)
        if not as_json:
            _tell_mirrored(mirrored)
        if github and not mirrored.failed:
            published = _published(github, folder, exactly=False)
    if as_json:
        _print_json(_mirrored(mirrored) | (_told_published(published) if published else {}))
    elif published:
        _tell_published(published, publish_to)
    if mirrored.failed:
        raise typer.Exit(IN_PART)


def _tell_missing(entries: Sequence[indexes.Entry], as_json: bool) -> None:
    if as_json:
        _print_json({"dry_run": True, "missing": [vars(entry) for entry in entries]})
        return
    for entry in entries:
        say("toolkit.would_mirror", package=entry.package, address=shown(entry.url))


def _mirrored(mirrored: mirroring.Mirrored) -> dict[str, object]:
    return {
        "fetched": _packages(mirrored.fetched),
        "kept": _packages(mirrored.kept),
        "failed": [{"package": entry.package, "what": told_as(error.what)} for entry, error in mirrored.failed],
        "fetched_bytes": mirrored.fetched_bytes,
    }


def _tell_mirrored(mirrored: mirroring.Mirrored) -> None:
    if mirrored.kept:
        say("toolkit.kept", count=len(mirrored.kept))
    say("toolkit.fetched", count=len(mirrored.fetched), size=_size(mirrored.fetched_bytes))
    if mirrored.failed:
        print(text(language(), "toolkit.failed", count=len(mirrored.failed)), file=sys.stderr)
        for entry, error in mirrored.failed:
            line = text(language(), "toolkit.not_fetched", package=entry.package, detail=told_as(error.what))
            print(line, file=sys.stderr)


def _packages(entries: Sequence[indexes.Entry]) -> list[str]:
    return [entry.package for entry in entries]


@app.command(help="Serve a folder's packages and their index from this machine, for PISTON_REPO_URL.")
def serve(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 2001,
) -> None:
    import uvicorn

    from piston.serve import application, listening

    with told(as_json=False):
        _packages_in(folder)
        with listening(host, port) as socket:
            say("toolkit.serving", folder=folder, address=f"http://{host}:{socket.getsockname()[1]}/index")
            if host == "127.0.0.1":
                say("toolkit.serving_here_only")
            uvicorn.Server(uvicorn.Config(application(folder), log_level="warning")).run(sockets=[socket])


@app.command(help="Publish a folder's packages as a GitHub release that becomes the latest at once, with its index.")
def publish(
    folder: Folder,
    repository: Annotated[str, typer.Option("--repo", metavar="OWNER/NAME", help="A public repository.")],
    exactly: Annotated[
        bool, typer.Option("--exactly", help="Leave out what is published and not in the folder.")
    ] = False,
    api: Api = API,
    pace: Pace = 1,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    with told(as_json):
        github = _github(repository, api, pace)
        if dry_run:
            _tell_plan(publishing.plan(github, _packages_in(folder), exactly), as_json)
            return
        published = _published(github, folder, exactly)
    if as_json:
        _print_json(_told_published(published))
    else:
        _tell_published(published, repository)


def _packages_in(folder: Path) -> Sequence[indexes.PackageFile]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    return indexes.scan(folder)


def _github(repository: str, api: str, pace: float) -> GitHub:
    return GitHub(repository, _token(), Patience(most_wait_s=_MOST_LIMIT_WAIT_S), api, pace)


def _published(github: GitHub, folder: Path, exactly: bool) -> publishing.Published:
    files = _packages_in(folder)
    with Bars(len(files)) as bars:
        return publishing.publish(github, files, bars, exactly)


def _told_published(published: publishing.Published) -> dict[str, object]:
    return _plan(published.plan) | {"repo_url": published.repo_url}


def _tell_published(published: publishing.Published, repository: str) -> None:
    if published.plan.nothing:
        say("toolkit.nothing_to_publish", repository=repository)
    else:
        say("toolkit.published", count=published.plan.count, tag=published.release.tag)
    say("toolkit.repo_url", address=published.repo_url)


def _token() -> str:
    """From the environment only: an argument would be seen in the list of processes and in the shell's history."""
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN") or ""
    if not token.strip():
        raise TokenMissing
    return token.strip()


def _tell_plan(plan: publishing.Plan, as_json: bool) -> None:
    if as_json:
        _print_json(_plan(plan) | {"dry_run": True})
        return
    for file in plan.uploads:
        say("toolkit.would_upload", file=file.path, size=_size(file.size_bytes))
    say("toolkit.would_publish", count=plan.count, tag=plan.tag)


def _plan(plan: publishing.Plan) -> dict[str, object]:
    uploads = [f"{file.language}={file.version}" for file in plan.uploads]
    return {"tag": plan.tag, "changed": not plan.nothing, "uploads": uploads, "carried": _packages(plan.carried)}
