"""The command line: `codecoach up | setup | ask | run | runtimes | user | lab | table | export | import`.

Modules are imported where they are used: a command starts in a fraction of the time that all of them take.
"""

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from codecoach import cli_backup, logs, reference
from codecoach.cli_lab import lab
from codecoach.cli_table import table
from codecoach.cli_user import user
from codecoach.console import OURS_FAILED, language, loaded, say, told, told_as
from codecoach.errors import CodeCoachError
from codecoach.runner.credentials import AwsMode
from codecoach.runner.port import Runtime
from codecoach.settings import RunnerKind

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
runtimes = typer.Typer()
app.add_typer(runtimes, name="runtimes")
app.add_typer(user, name="user")
app.add_typer(lab, name="lab")
app.add_typer(table, name="table")
cli_backup.register(app)


@app.command(help="Start CodeCoach on this machine; Ctrl-C stops all of it.")
def up(prepared: Annotated[bool, typer.Option("--prepared", help="`setup` has just been run.")] = False) -> None:
    from codecoach.local import up as starter
    from codecoach.local.setup import prepare

    chosen = loaded()

    def one_time_password() -> str | None:
        from codecoach.services import build
        from codecoach.ui import bare

        bare.silence()
        from codecoach.ui.first_admin import ensure_first_admin

        with closing(build(chosen)) as services:
            given = chosen.admin_password.get_secret_value()
            return ensure_first_admin(services.accounts, chosen.admin_email, given=given)

    with told():
        chosen.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not prepared:
            prepare(chosen, say, language())
        raise typer.Exit(starter.up(chosen, say, one_time_password))


@app.command(help="Fetch and build what is needed, without starting anything.")
def setup(
    for_tests: Annotated[bool, typer.Option("--for-tests", help="Also what the tests need.")] = False,
) -> None:
    from codecoach.local.setup import prepare, prepare_tests

    with told():
        (prepare_tests if for_tests else prepare)(loaded(), say, language())


@app.command(help="Ask the model; the answer streams to standard output.")
def ask(
    question: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.")],
    assistant: Annotated[str, typer.Option(help="code_coach, aws_cli or plain.")] = "code_coach",
    model: Annotated[str, typer.Option(help="Model id or inference profile id.")] = "",
) -> None:
    from codecoach.local.ask import answer

    asked = sys.stdin.read() if question == "-" else question
    with told():
        for piece in answer(loaded(), asked.strip(), assistant, model):
            print(piece, end="", flush=True)
    print()


@app.command(help="Run a program in the sandbox or on a Piston; output as it comes, the program's own exit code.")
def run(
    files: Annotated[list[Path], typer.Argument(help="Source files and data; the first is the entry point.")],
    language_id: Annotated[str, typer.Option("--language", help="Default: by the first file's extension.")] = "",
    aws: Annotated[AwsMode, typer.Option(help="The AWS that the program sees.")] = AwsMode.NONE,
    region: Annotated[str, typer.Option(help="AWS region that the program sees. Default: CODECOACH_REGION.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="With --aws mine: do not ask before deleting and the like.")
    ] = False,
    runner: Annotated[RunnerKind | None, typer.Option(help="Where it runs. Default: CODECOACH_RUNNER.")] = None,
    stdin_file: Annotated[Path | None, typer.Option(help="What the program reads on standard input.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0.1, help="Seconds of wall clock.")] = None,
    arg: Annotated[list[str] | None, typer.Option(help="An argument for the program; repeat for more.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one RunResult object at the end.")] = False,
) -> None:
    from codecoach.local import program
    from codecoach.services import build

    wanted = program.Program(tuple(files), language_id, stdin_file, tuple(arg or ()), timeout, aws, region)
    chosen = loaded()
    if runner:
        chosen = chosen.model_copy(update={"runner": runner})
    with told(), closing(build(chosen)) as services:
        request = program.request(wanted, services.limits, chosen.region)
        program.confirm(request, yes, told_as)
        request = program.with_access(request, services, told_as)
        raise typer.Exit(program.run(services.runner, request, told_as, as_json))


@runtimes.callback(invoke_without_command=True, help="What can run here, and why the rest cannot.")
def list_runtimes(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False
) -> None:
    if context.invoked_subcommand:
        return
    from codecoach.services import build

    with told(), closing(build(loaded())) as services:
        known = services.runner.runtimes()
    if as_json:
        print(json.dumps([_runtime(item) for item in known], ensure_ascii=False))
        return
    for item in known:
        about = [item.sdk if item.installed else "", told_as(item.problem) if item.problem else ""]
        print(f"{item.language:<12} {item.version or '-':<10} {'. '.join(filter(None, about))}")


@runtimes.command("install", help="Build the runtimes of these languages.")
def install_runtimes(
    names: Annotated[
        list[str], typer.Argument(help="Languages, or a package as LANGUAGE=VERSION; all for every language.")
    ],
    prebuilt: Annotated[
        Path | None,
        typer.Option(
            "--from", exists=True, help="Folder or .tar of built packages (python -m piston build), tried first."
        ),
    ] = None,
) -> None:
    from codecoach.runner import packages

    chosen = loaded()
    failed: CodeCoachError | None = None
    for name in packages.known() if names == ["all"] else names:
        say("cli.setup.runtime", language=name)
        try:
            packages.install(name, chosen.cache_dir, lambda line: print("  " + line, flush=True), prebuilt)
            say("cli.setup.runtime_done", language=name)
        except CodeCoachError as error:  # the others are still wanted
            failed = error
            print(told_as(error.what), file=sys.stderr)
    if failed:
        print(told_as(failed.hint), file=sys.stderr)
        raise typer.Exit(OURS_FAILED)


def _runtime(item: Runtime) -> dict[str, object]:
    """{"language", "version", "installed", "sdk", "problem": sentence|null}"""
    return {
        "language": item.language,
        "version": item.version,
        "installed": item.installed,
        "sdk": item.sdk,
        "problem": told_as(item.problem) if item.problem else None,
    }


def main() -> None:
    reference.begin()
    # By the variables themselves: what is wrong with a setting is told by the command that uses it.
    level, form = os.environ.get("CODECOACH_LOG_LEVEL", ""), os.environ.get("CODECOACH_LOG_FORMAT")
    known = level if level in ("DEBUG", "INFO", "WARNING", "ERROR") else "WARNING"
    logs.configure(known, "json" if form == "json" else "text")
    app()
