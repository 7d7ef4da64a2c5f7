"""`codecoach lab`: prompts from files; what travels, what comes back, and how they do on test cases."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from codecoach.console import language, loaded, told, told_as
from codecoach.errors import CodeCoachError
from codecoach.i18n import text

if TYPE_CHECKING:
    from codecoach.coach.evaluator import EvaluationJob
    from codecoach.lab.sheet import Parameters
    from codecoach.models.payloads import Payload

# As a shell says of what Ctrl-C ended.
STOPPED: Final = 130

lab = typer.Typer(no_args_is_help=True, help="Prompts: what travels, and what comes back.")

_Template = Annotated[Path, typer.Argument(help="A text file with {variables}; - reads standard input.")]
_Model = Annotated[str, typer.Option("--model", help="Model id or inference profile id.")]
_Format = Annotated[str, typer.Option("--format", help="claude_messages, claude_text, mistral_text or converse.")]
_System = Annotated[str, typer.Option(help="The system text; may hold variables.")]
_Prefill = Annotated[str, typer.Option(help="What the reply begins with.")]
_Var = Annotated[list[str] | None, typer.Option(help="name=value of a variable; repeat for more.")]
_Double = Annotated[bool, typer.Option("--double-braces", help="Variables are written {{name}}.")]
_MaxTokens = Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")]
_Temperature = Annotated[float | None, typer.Option(min=0, max=1)]
_TopP = Annotated[float | None, typer.Option(min=0, max=1)]
_TopK = Annotated[int | None, typer.Option(min=0)]
_Stop = Annotated[list[str] | None, typer.Option(help="Text at which the reply ends; repeat for more.")]


@lab.command("payload", help="Print the operation and the body that would leave, as JSON. Nothing is sent.")
def lab_payload(
    template: _Template,
    model: _Model,
    format_id: _Format = "",
    system: _System = "",
    prefill: _Prefill = "",
    var: _Var = None,
    double_braces: _Double = False,
    max_tokens: _MaxTokens = 1024,
    temperature: _Temperature = None,
    top_p: _TopP = None,
    top_k: _TopK = None,
    stop: _Stop = None,
) -> None:
    from codecoach.lab.sheet import Parameters

    parameters = Parameters(max_tokens, temperature, top_p, top_k, tuple(stop or ()))
    sent = _payload(template, model, format_id, system, prefill, var, double_braces, parameters)
    print(json.dumps(sent.json(), ensure_ascii=False, indent=2))


@lab.command("run", help="Send the prompt; the answer streams to standard output.")
def lab_run(
    template: _Template,
    model: _Model = "",
    format_id: _Format = "",
    system: _System = "",
    prefill: _Prefill = "",
    var: _Var = None,
    double_braces: _Double = False,
    max_tokens: _MaxTokens = 1024,
    temperature: _Temperature = None,
    top_p: _TopP = None,
    top_k: _TopK = None,
    stop: _Stop = None,
) -> None:
    from codecoach.lab.sheet import Parameters
    from codecoach.local.lab import answer
    from codecoach.models.catalogue import LOCAL_MODEL
    from codecoach.models.port import Waiting

    parameters = Parameters(max_tokens, temperature, top_p, top_k, tuple(stop or ()))
    sent = _payload(template, model or LOCAL_MODEL, format_id, system, prefill, var, double_braces, parameters)
    with told():
        for event in answer(loaded(), sent):
            if isinstance(event, Waiting):
                words = text(language(), "chat.throttled", seconds=int(event.seconds) + 1, attempt=event.attempt)
                print(f"\r{words}", end="" if event.seconds > 1 else "\n", file=sys.stderr, flush=True)
            else:
                print(event.text, end="", flush=True)
    print()


@lab.command("test", help="Try prompts and models on the rows of a CSV file, whose first line names the columns.")
def lab_test(
    rows: Annotated[
        Path, typer.Argument(metavar="CSV", help="A column for each variable, and `expected`; - reads standard input.")
    ],
    template: Annotated[list[Path], typer.Option(help="A text file with {variables}; repeat to compare prompts.")],
    model: Annotated[list[str] | None, typer.Option(help="Model id; repeat to compare models.")] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(
            help="contains, equals, regex, json_schema, judge, code (runs) or prints; with =text where something else than the "
            "column `expected` is; json_schema=@file reads a file. Repeat for more."
        ),
    ] = None,
    judge: Annotated[str, typer.Option(help="Model id of the judge.")] = "",
    cap: Annotated[float | None, typer.Option(min=0, help="The most that all of it may cost, in US dollars.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="File for every answer, as JSON lines. Where it is there, the test goes on.")
    ] = None,
    format_id: _Format = "",
    system: _System = "",
    prefill: _Prefill = "",
    var: _Var = None,
    double_braces: _Double = False,
    max_tokens: _MaxTokens = 1024,
    temperature: _Temperature = None,
    top_p: _TopP = None,
    top_k: _TopK = None,
    stop: _Stop = None,
) -> None:
    from codecoach.errors import InputRefused
    from codecoach.lab.sheet import Parameters
    from codecoach.local import lab as local_lab
    from codecoach.local.lab import Wanted
    from codecoach.models.catalogue import LOCAL_MODEL

    parameters = Parameters(max_tokens, temperature, top_p, top_k, tuple(stop or ()))
    style = "double" if double_braces else "single"
    models = model or [LOCAL_MODEL]
    wanted = tuple(
        Wanted(file, model_id, format_id, system, prefill, tuple(var or ()), style, parameters)  # type: ignore[arg-type]
        for file in template
        for model_id in models
    )
    with told():
        try:
            plan = local_lab.plan(rows, wanted, tuple(check or ()), judge or models[0], cap)
            with local_lab.evaluation(loaded(), plan, results) as job:
                raise typer.Exit(_followed(job))
        except InputRefused as error:
            _refuse(error)


def _followed(job: "EvaluationJob") -> int:
    """Show how far it comes, then what came of it; returns the exit code."""
    version = -1
    try:
        done = False
        while not done:
            done = job.done  # asked before the look at how far it is, so that the last look shows the end
            version = version if done else job.wait(version, 1.0)
            head, wait_s = job.head, job.waiting_s
            words = text(language(), "cli.lab.progress", done=head.done, total=head.total, passed=head.passed)
            paused = text(language(), "cli.lab.paused", seconds=int(wait_s) + 1) if wait_s else ""
            print(f"\r{words} {paused}".ljust(78), end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        job.stop()
        job.join(10)
    print(file=sys.stderr)
    return _concluded(job)


def _concluded(job: "EvaluationJob") -> int:
    from codecoach.lab.evaluation import EvaluationState, summaries

    found, said = summaries(job.plan, job.outcomes), language()
    for summary in found:
        price = "?" if summary.dollars is None else f"{summary.dollars:.6f}"
        values = {"label": summary.label, "passed": summary.passed, "made": summary.made, "dollars": price}
        ms = "–" if summary.median_ms is None else f"{summary.median_ms:,.0f}"
        print(text(said, "cli.lab.summary", **values, failed=summary.failed_calls, ms=ms))
    if job.unsaved:
        print(told_as(job.unsaved.what), file=sys.stderr)
    state = job.head.state
    if state is not EvaluationState.COMPLETE:
        print(text(said, f"cli.lab.{state}"), file=sys.stderr)
        return STOPPED if state is EvaluationState.STOPPED else 1
    checked = bool(job.plan.cases.checks)
    bad = sum(one.failed + one.failed_calls + (one.unclear if checked else 0) for one in found)
    return 1 if bad else 0


def _payload(
    template: Path,
    model: str,
    format_id: str,
    system: str,
    prefill: str,
    var: list[str] | None,
    double_braces: bool,
    parameters: "Parameters",
) -> "Payload":
    """The request that the options make; what was changed on the way is told on standard error. Bad input exits with 2."""
    from codecoach.errors import InputRefused
    from codecoach.local.lab import Wanted, payload

    style = "double" if double_braces else "single"
    wanted = Wanted(template, model, format_id, system, prefill, tuple(var or ()), style, parameters)  # type: ignore[arg-type]
    try:
        sent = payload(wanted)
    except InputRefused as error:
        _refuse(error)
    for note in sent.notes:
        print(told_as(note), file=sys.stderr)
    return sent


def _refuse(error: CodeCoachError) -> NoReturn:
    """What was given cannot be used: exit code 2, as for the command line's own errors."""
    print(f"{told_as(error.what)}\n{told_as(error.hint)}", file=sys.stderr)
    raise typer.Exit(2) from error
