"""Packages on a running Piston: `list`, `install`, `uninstall`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from codecoach.console import loaded, say, told_as
from piston.console import AsJson, DryRun, print_json, told
from piston.engine import Done, Engine
from piston.errors import IndexDown
from piston.mirror import UPSTREAM

app = typer.Typer()

Address = Annotated[
    str, typer.Option("--piston", help="Address of Piston. Default: the first of CODECOACH_PISTON_URLS.")
]
IndexUrl = Annotated[str, typer.Option("--index", envvar="PISTON_REPO_URL", help="The index that this Piston uses.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME[=VERSION]...")]


@app.command("list", help="What Piston has and could have; only what it has where its index cannot be used.")
def list_packages(address: Address = "", index_url: IndexUrl = UPSTREAM, as_json: AsJson = False) -> None:
    with told(as_json):
        engine = _engine(address, index_url)
        down = None
        try:
            listed = engine.packages()
        except IndexDown as error:
            listed, down = engine.installed(), error
    if as_json:
        problem = told_as(down.what) if down else None
        print_json({"packages": [vars(one) for one in listed], "index_problem": problem})
        return
    for one in listed:
        say("toolkit.listed", mark="*" if one.installed else " ", language=f"{one.language:<16}", version=one.version)
    if down:
        typer.echo(told_as(down.what), err=True)


@app.command(help="Install packages on Piston; its index is looked at first, since Piston crashes without it.")
def install(
    names: Names,
    address: Address = "",
    index_url: IndexUrl = UPSTREAM,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is installed: another build of one version.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    with told(as_json):
        engine = _engine(address, index_url, names)
        done = [] if dry_run else [_installed(engine, name, again) for name in names]
    _tell(names, done, dry_run, as_json, "install")


def _installed(engine: Engine, name: str, again: bool) -> Done:
    done = engine.install(name)
    if again and not done.changed:
        engine.uninstall(name)
        done = engine.install(name)
    return done


@app.command(help="Remove packages from Piston.")
def uninstall(
    names: Names,
    address: Address = "",
    index_url: IndexUrl = UPSTREAM,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    with told(as_json):
        engine = _engine(address, index_url, names)
        done = [] if dry_run else [engine.uninstall(name) for name in names]
    _tell(names, done, dry_run, as_json, "uninstall")


def _engine(address: str, index_url: str, names: Sequence[str] = ()) -> Engine:
    """The Piston that is meant; refuses names that its index does not have before anything is done."""
    engine = Engine(address or loaded().piston_addresses[0], index_url)
    for name in names:
        engine.named(name)
    return engine


_TEXTS = {
    "install": ("toolkit.would_install", "toolkit.installed", "toolkit.installed_before"),
    "uninstall": ("toolkit.would_uninstall", "toolkit.uninstalled", "toolkit.uninstalled_before"),
}


def _tell(names: list[str], done: list[Done], dry_run: bool, as_json: bool, what: str) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "wanted": names, "done": [vars(one) for one in done]})
        return
    would, changed, before = _TEXTS[what]
    for name in names if dry_run else []:
        say(would, package=name)
    for one in done:
        say(changed if one.changed else before, package=one.package)
