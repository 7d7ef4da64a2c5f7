"""`codecoach table`: the DynamoDB table, made with all that belongs to it, or shown as a deployment template makes it."""

import typer

from codecoach.console import OURS_FAILED, loaded, say, told
from codecoach.settings import Backend

table = typer.Typer(no_args_is_help=True, help="The DynamoDB table.")


@table.command("create", help="Create the table unless it is there, and switch on what it lacks.")
def table_create() -> None:
    from codecoach.store import dynamodb, dynamodb_table

    chosen = loaded()
    if chosen.backend is not Backend.AWS and not chosen.dynamodb_endpoint_url:
        say("cli.table.not_used")
        raise typer.Exit(2)
    with told():
        client = dynamodb.client(chosen.region, chosen.dynamodb_endpoint_url or None)
        lacking = dynamodb_table.ensure(client, chosen.table)
        say("cli.table.ready", store=dynamodb.DynamoTable(client, chosen.table).ping())
    if lacking:
        say("cli.table.lacking", features=", ".join(lacking))
        raise typer.Exit(OURS_FAILED)


@table.command("template", help="Print the same table as a CloudFormation template in JSON.")
def table_template() -> None:
    from codecoach.store import dynamodb_table

    print(dynamodb_table.template(loaded().table))
