"""Packages between folders, servers and releases: `mirror`, `publish`, `serve`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from codecoach.console import language, say, told_as
from codecoach.i18n import text
from piston import index as indexes
from piston import mirror as mirroring
from piston import publish as publishing
from piston.console import (
    IN_PART,
    SERVED_AT,
    AsJson,
    BaseUrl,
    DryRun,
    Folder,
    packages_of,
    print_json,
    size,
    tell,
    told,
)
from piston.errors import TokenMissing, ToolkitError
from piston.github import API, GitHub
from piston.progress import Bars
from piston.transfer import Patience, shown

app = typer.Typer()

_MOST_LIMIT_WAIT_S = 900

Api = Annotated[str, typer.Option("--api-url", envvar="GITHUB_API_URL", help="For GitHub Enterprise.")]
Pace = Annotated[float, typer.Option(min=0, help="Seconds between changes; GitHub asks for one.")]


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
    replace_own: Annotated[
        bool, typer.Option("--replace-own", help="Also replace packages that were built here.")
    ] = False,
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
            _tell_missing(mirroring.missing(entries, folder, replace_own), as_json)
            return
        tell(as_json, "toolkit.mirroring", count=len(entries), address=shown(source), folder=folder)
        with Bars(len(entries)) as bars:
            mirrored = mirroring.mirror(entries, folder, base_url, bars, patience, jobs, replace_own)
        if not as_json:
            _tell_mirrored(mirrored)
        if github and not mirrored.failed:
            published = _published(github, folder, exactly=False)
    if as_json:
        print_json(_mirrored(mirrored) | (_told_published(published) if published else {}))
    elif published:
        _tell_published(published, publish_to)
    if mirrored.failed:
        raise typer.Exit(IN_PART)


def _tell_missing(entries: Sequence[indexes.Entry], as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": True, "missing": [vars(entry) for entry in entries]})
        return
    for entry in entries:
        say("toolkit.would_mirror", package=entry.package, address=shown(entry.url))


def _mirrored(mirrored: mirroring.Mirrored) -> dict[str, object]:
    return {
        "fetched": packages_of(mirrored.fetched),
        "kept": packages_of(mirrored.kept),
        "own": packages_of(mirrored.own),
        "failed": [{"package": entry.package, "what": told_as(error.what)} for entry, error in mirrored.failed],
    }


def _tell_mirrored(mirrored: mirroring.Mirrored) -> None:
    if mirrored.kept:
        say("toolkit.kept", count=len(mirrored.kept))
    say("toolkit.fetched", count=len(mirrored.fetched))
    for entry in mirrored.own:
        say("toolkit.own", package=entry.package)
    if mirrored.failed:
        print(text(language(), "toolkit.failed", count=len(mirrored.failed)), file=sys.stderr)
        for entry, error in mirrored.failed:
            line = text(language(), "toolkit.not_fetched", package=entry.package, detail=told_as(error.what))
            print(line, file=sys.stderr)


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
            _tell_plan(publishing.plan(github, _some_packages_in(folder), exactly), as_json)
            return
        published = _published(github, folder, exactly)
    if as_json:
        print_json(_told_published(published))
    else:
        _tell_published(published, repository)


def _packages_in(folder: Path) -> Sequence[indexes.PackageFile]:
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    return indexes.scan(folder)


def _some_packages_in(folder: Path) -> Sequence[indexes.PackageFile]:
    """An empty folder is mostly the wrong one, and published with --exactly it would take every package away."""
    files = _packages_in(folder)
    if not files:
        raise ToolkitError("folder_empty", folder=folder)
    return files


def _github(repository: str, api: str, pace: float) -> GitHub:
    return GitHub(repository, _token(), Patience(most_wait_s=_MOST_LIMIT_WAIT_S), api, pace)


def _published(github: GitHub, folder: Path, exactly: bool) -> publishing.Published:
    files = _some_packages_in(folder)
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
        print_json(_plan(plan) | {"dry_run": True})
        return
    for file in plan.uploads:
        say("toolkit.would_upload", file=file.path, size=size(file.size_bytes))
    say("toolkit.would_publish", count=plan.count, tag=plan.tag)


def _plan(plan: publishing.Plan) -> dict[str, object]:
    uploads = [f"{file.language}={file.version}" for file in plan.uploads]
    return {"tag": plan.tag, "changed": not plan.nothing, "uploads": uploads, "carried": packages_of(plan.carried)}


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
