"""The command line: `python -m deploy up | down | pack`; `make deploy` and `make destroy` call the first two.

Exit code 0: done, also where there was nothing to do; 2: wrong usage; 3: it could not be done, and why; 130: Ctrl-C.
"""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import requests
import typer

from codecoach.console import OURS_FAILED, fail, say
from codecoach.errors import CodeCoachError
from deploy.account import Account
from deploy.errors import AddressSilent, RegionUnknown
from deploy.pack import ROOT, pack
from deploy.stack import Event, Stack

TEMPLATE = ROOT / "cf-template.yaml"
ANSWERS_WITHIN_S = 600.0
INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="CodeCoach in your AWS account, by the credentials of your environment.",
)

Name = Annotated[str, typer.Option("--stack", help="Name of the stack.")]
Region = Annotated[str, typer.Option("--region", help="AWS region.")]
Body = Annotated[Path, typer.Option("--template", help="The template.", hidden=True)]
Pause = Annotated[float, typer.Option("--pause", help="Seconds between looks.", hidden=True)]


@contextmanager
def told() -> Iterator[None]:
    """Faults end the command with what happened and what to do; Ctrl-C leaves AWS to go on by itself."""
    try:
        yield
    except KeyboardInterrupt:
        say("deploy.left_alone")
        raise typer.Exit(INTERRUPTED) from None
    except CodeCoachError as error:
        fail(error)


@app.command(help="Pack the source, upload it, make or update the stack, wait until its address answers.")
def up(
    region: Region,
    stack: Name = "codecoach",
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="PARAMETER=VALUE", help="Of the template; repeat for more.")
    ] = None,
    bucket: Annotated[str, typer.Option(help="Bucket for the source. Default: one that is made.")] = "",
    template: Body = TEMPLATE,
    pause: Pause = 5.0,
) -> None:
    given = _parameters(values or [])
    _check(region)
    with told():
        body = template.read_text("utf-8")
        known = _prefix_list(body, region)
        account = Account(region)
        source = pack()
        say("deploy.uploading", size=f"{len(source.content) / 1e6:.1f} MB")
        given["SourceUrl"] = account.upload(source, bucket)
        actual = account.prefix_list()
        if actual and actual != known:
            given.setdefault("CloudFrontPrefixList", actual)
        changing = Stack(account.cloudformation, stack, _event, pause)
        say("deploy.changing", stack=stack, region=region)
        if not changing.apply(body, given):
            say("deploy.unchanged", stack=stack)
        _greet(changing.outputs(), pause)


@app.command("pack", help="Write the packed source into a file, to be uploaded by hand.")
def pack_to(file: Annotated[Path, typer.Argument(help="For example codecoach.tar.gz.")]) -> None:
    file.write_bytes(pack().content)
    say("deploy.packed", file=file)


@app.command(help="Delete the stack; what people wrote is kept unless you say otherwise.")
def down(
    region: Region,
    stack: Name = "codecoach",
    delete_data: Annotated[bool, typer.Option("--delete-data", help="Also the table, with everything in it.")] = False,
    pause: Pause = 5.0,
) -> None:
    _check(region)
    with told():
        account = Account(region)
        going = Stack(account.cloudformation, stack, _event, pause)
        table, own = going.table()
        gone = going.delete()
        if gone:
            say("deploy.deleted", stack=stack)
        else:
            say("deploy.not_there", stack=stack, region=region)
        if own and delete_data:  # also that of a stack that was deleted before, or while nobody watched
            account.delete_table(table)
            say("deploy.data_deleted", table=table)
        elif table and (gone or delete_data):
            say("deploy.data_kept", table=table)
        elif delete_data:
            say("deploy.no_data")
            raise typer.Exit(OURS_FAILED)


def _check(region: str) -> None:
    if not region:
        raise typer.BadParameter("say which, for example us-east-1", param_hint="--region (REGION=... of make)")


def _parameters(values: list[str]) -> dict[str, str]:
    given = dict(value.partition("=")[::2] for value in values)
    for value in values:
        if not re.fullmatch(r"[A-Za-z]+=.*", value, re.DOTALL):
            raise typer.BadParameter(f"{value!r}: PARAMETER=VALUE")
    return given


def _prefix_list(template: str, region: str) -> str:
    """What the template knows of CloudFront's prefix list in a region; raises `RegionUnknown`."""
    known: dict[str, str] = dict(
        re.findall(r"^    ([a-z]{2}(?:-[a-z]+)+-\d): \{CloudFront: (pl-[0-9a-f]+)", template, re.MULTILINE)
    )
    if known and region not in known:
        raise RegionUnknown(region=region, known=", ".join(sorted(known)))
    return known.get(region, "")


def _event(event: Event) -> None:
    reason = f"  {event.reason}" if event.failed else ""
    print(f"{event.at:%H:%M:%S}  {event.resource:<24} {event.status}{reason}", flush=True)


def _greet(outputs: dict[str, str], pause: float) -> None:
    address = outputs.get("Address", "")
    if not address:
        return
    say("deploy.asking", address=address)
    _answers(address, pause)
    say("deploy.ready", address=address, user=outputs.get("AdminEmail", ""))
    say("deploy.password", command=outputs.get("AdminPasswordCommand", ""))


def _answers(address: str, pause: float) -> None:
    """Wait for the health page; names and edges take a while to hear of a new one. Raises `AddressSilent`."""
    until = time.monotonic() + ANSWERS_WITHIN_S
    last = ""
    while time.monotonic() < until:
        with suppress(requests.RequestException, json.JSONDecodeError):
            answer = requests.get(f"{address}/healthz", timeout=10)
            last = f"{answer.status_code}"
            if answer.ok and answer.json().get("status") == "ok":
                return
        time.sleep(pause)
    raise AddressSilent(address=address, last=last or "-")


__all__ = ["OURS_FAILED", "app"]
