"""The command line: `python -m piston build | index | sift | mirror | publish | serve | list | install | uninstall`.

Exit code 0: done; 2: wrong usage; 3: it could not be done, and why; 4: done in part; 130: Ctrl-C.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from codecoach.console import loaded, say
from codecoach.runner import prebuilt
from codecoach.runner.installed import PACKAGES
from piston import build as building
from piston import cli_engine, cli_sharing
from piston import index as indexes
from piston.console import SERVED_AT, AsJson, BaseUrl, DryRun, Folder, print_json, size, tell, told

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Packages of languages for a Piston of your own: build, index, mirror, publish, serve and install them.",
    epilog="Exit code 0: done. 2: wrong usage. 3: could not be done. 4: done in part. 130: Ctrl-C.",
)


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
                tell(as_json, "toolkit.would_build", folder=package.folder, file=target)
                continue
            tell(as_json, "toolkit.building", package=f"{package.language}={package.version}", platform=platform)
            work = loaded().cache_dir / "piston"
            built = building.build(package, to, work, platform, _log, test)
            results.append(_built(built))
            _tell_built(built, as_json)
    if as_json:
        print_json({"dry_run": dry_run, "built": results})


def _built(built: building.Built) -> dict[str, object]:
    return file_facts(built.file) | {
        "platform": built.platform,
        "tested": built.tested,
        "glibc": built.findings.glibc,
        "outside": built.findings.outside,
        "stuck": built.findings.stuck,
    }


def file_facts(file: indexes.PackageFile) -> dict[str, object]:
    return {
        "package": f"{file.language}={file.version}",
        "file": file.path,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
    }


def _tell_built(built: building.Built, as_json: bool) -> None:
    if as_json:
        return
    say("toolkit.built", file=built.file.path, size=size(built.file.size_bytes), sha256=built.file.sha256)
    if not built.tested:
        say("toolkit.untested")
    if built.findings.glibc:
        say("toolkit.needs_glibc", version=built.findings.glibc)
    if built.findings.outside:
        say("toolkit.needs_outside", paths=_few(built.findings.outside))
    if built.findings.stuck:
        say("toolkit.stuck", files=_few(built.findings.stuck))


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
        print_json({"dry_run": dry_run, "index": named, "changed": changed, "removed": removed})
        return
    for name in changed:
        say("toolkit.index_changed", package=name)
    for name in removed:
        say("toolkit.index_removed", package=name)
    say("toolkit.index_would_be" if dry_run else "toolkit.index_written", count=len(entries), file=folder / "index")


@app.command(help="Delete a folder's archives of other states of this source's packages; those of other packages stay.")
def sift(folder: Folder) -> None:
    for path in prebuilt.outdated(folder):
        path.unlink()
        say("toolkit.sifted", file=path)


def _log(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown}, ... ({len(names)})"


app.add_typer(cli_sharing.app)
app.add_typer(cli_engine.app)
