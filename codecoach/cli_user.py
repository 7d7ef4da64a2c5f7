"""`codecoach user ...`: accounts and invitations on the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from codecoach.console import loaded, say, told, told_as
from codecoach.errors import InputRefused
from codecoach.i18n import Notice

if TYPE_CHECKING:
    from datetime import datetime

    from codecoach.services import Services
    from codecoach.ui.administration import Administration
    from codecoach.ui.roster import Entry

user = typer.Typer(no_args_is_help=True, help="Accounts and invitations.")

INPUT_REFUSED = 2
"""Exit code for what cannot be done as it was asked for; the same as for words that are no command."""

Admin = Annotated[bool, typer.Option(help="May manage accounts.")]


@user.command("add", help="Add an account; prints its one-time password.")
def add(email: str, admin: Admin = False) -> None:
    with administration() as accounts:
        say("cli.user.added", user=email, password=accounts.add(email, admin=admin))


@user.command("invite", help="Invite somebody to make an account; prints the code to hand over.")
def invite(email: str, admin: Admin = False) -> None:
    from codecoach.store.invitations import KEPT_DAYS

    with administration() as accounts:
        code, address = accounts.invite(email, admin=admin), loaded().public_url
        say("cli.user.invited", user=email, code=code, address=address, days=KEPT_DAYS)


@user.command("withdraw", help="Withdraw an invitation.")
def withdraw(email: str) -> None:
    with administration() as accounts:
        accounts.withdraw(email)
        say("cli.user.withdrawn", user=email)


@user.command("reset", help="Give an account a new one-time password and end its sign-ins.")
def reset(email: str) -> None:
    with administration() as accounts:
        say("cli.user.reset", user=email, password=accounts.reset(email))


@user.command("disable", help="Close an account and end its sign-ins; what it owns is kept.")
def disable(email: str) -> None:
    with administration() as accounts:
        accounts.disable(email)
        say("cli.user.disabled", user=email)


@user.command("enable", help="Open a closed account again.")
def enable(email: str) -> None:
    with administration() as accounts:
        accounts.enable(email)
        say("cli.user.enabled", user=email)


@user.command("delete", help="Delete an account with everything it owns, for good.")
def delete(email: str, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    with administration() as accounts:
        if not yes and typer.prompt(told_as(Notice("cli.user.delete_question", {"user": email}))) != email:
            raise InputRefused("not_confirmed")
        accounts.delete(email)
        say("cli.user.deleted", user=email)


@user.command("role", help="Give an account a role, admin or my_aws, or take it.")
def role(email: str, role: str, give: Annotated[bool, typer.Option("--give/--take")] = True) -> None:
    from codecoach.ui.administration import ROLE_ADMIN
    from codecoach.ui.roster import ROLES

    with administration() as accounts:
        if role not in ROLES:
            raise InputRefused("role_unknown", role=role, roles=", ".join(ROLES))
        (accounts.make_admin if role == ROLE_ADMIN else accounts.allow_my_aws)(email, give)
        say("cli.user.role_given" if give else "cli.user.role_taken", user=email, role=role)


@user.command("my-aws", help='Let an account\'s programs use "my AWS", or no longer.')
def my_aws(email: str, allow: Annotated[bool, typer.Option("--allow/--refuse")] = True) -> None:
    with administration() as accounts:
        accounts.allow_my_aws(email, allow)
        say("cli.user.my_aws_allowed" if allow else "cli.user.my_aws_refused", user=email)


@user.command("unlock", help="Forget the failed sign-ins of an account, so that it can be tried again at once.")
def unlock(email: str) -> None:
    with administration() as accounts:
        accounts.unlock(email)
        say("cli.user.unlocked", user=email)


@user.command("sign-out", help="End all sign-ins of an account.")
def sign_out(email: str) -> None:
    with administration() as accounts:
        accounts.sign_out(email)
        say("cli.user.signed_out", user=email)


@user.command("list", help="Every account and every open invitation.")
def list_accounts(as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False) -> None:
    from codecoach.ui.roster import roster

    with opened() as services:
        everybody = roster(services)
        last = services.last_sign_ins.of([one.username for one in everybody])
    rows = [_row(one, last.get(one.username)) for one in everybody]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        standing = told_as(Notice(f"accounts.{row['standing']}"))
        seen = str(row["last_sign_in_at"] or "-")[:16].replace("T", " ")
        print(f"{row['username']:<40} {standing:<24} {seen:<16}  {', '.join(row['roles'])}".rstrip())


def _row(entry: "Entry", last_sign_in_at: "datetime | None") -> dict[str, Any]:
    """{"username", "standing", "roles": [role], "created_at", "last_sign_in_at": ISO 8601|null, "expires_at": ISO 8601|null}"""
    return {
        "username": entry.username,
        "standing": entry.standing.value,
        "roles": list(entry.roles),
        "created_at": entry.created_at.isoformat(),
        "last_sign_in_at": last_sign_in_at.isoformat() if last_sign_in_at else None,
        "expires_at": entry.expires_at.isoformat() if entry.expires_at else None,
    }


@contextmanager
def administration() -> "Iterator[Administration]":
    from codecoach.ui import bare

    bare.silence()
    from codecoach.ui.administration import OPERATOR, Administration

    with opened() as services:
        yield Administration(services, by=OPERATOR)


@contextmanager
def opened() -> "Iterator[Services]":
    """The services; what is refused, or goes wrong, is told and ends the command."""
    from codecoach.services import build

    with told(), closing(build(loaded())) as services:
        try:
            yield services
        except InputRefused as error:
            print(f"{told_as(error.what)}\n{told_as(error.hint)}", file=sys.stderr)
            raise typer.Exit(INPUT_REFUSED) from error
