"""`codecoach lab`: a prompt from a file, shown as it would travel, sent, or tried on test cases."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from codecoach.coach.evaluator import CLOSE_S, EvaluationJob, check
from codecoach.errors import InputRefused
from codecoach.lab.cases import Check, CheckKind, from_csv
from codecoach.lab.evaluation import Plan, Variant
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.lab.template import Style
from codecoach.local.ask import endpoint
from codecoach.local.lab_results import ResultsFile
from codecoach.models import payloads
from codecoach.models.payloads import Payload
from codecoach.models.port import TextDelta, Waiting
from codecoach.services import build
from codecoach.settings import Settings

# What checks are called on the command line.
CHECKS: Final[dict[str, tuple[CheckKind, bool]]] = {
    "contains": ("contains", False),
    "equals": ("contains", True),
    "regex": ("regex", False),
    "json_schema": ("json_schema", False),
    "judge": ("judge", False),
    "code": ("code", False),
    "prints": ("code", True),
}


@dataclass(frozen=True)
class Wanted:
    """What the command line says. `values` are its `name=value`s; the file `-` is standard input."""

    file: Path
    model_id: str
    format: str = ""
    system: str = ""
    prefill: str = ""
    values: tuple[str, ...] = ()
    style: Style = "single"
    parameters: Parameters = field(default_factory=Parameters)


def payload(wanted: Wanted) -> Payload:
    """The request. Raises `InputRefused` for what cannot be used, variables without a value among it."""
    sheet = sheet_of(wanted)
    missing = [name for name in sheet.variables if name not in sheet.values]
    if missing:
        raise InputRefused("lab_unfilled", names=", ".join(missing))
    return payloads.build(sheet.filled())


def sheet_of(wanted: Wanted) -> Sheet:
    """What the command line describes, not filled in yet."""
    return Sheet(
        text=_read(wanted.file),
        system=wanted.system,
        prefill=wanted.prefill,
        style=wanted.style,
        format=wanted.format,
        model_id=wanted.model_id,
        parameters=wanted.parameters,
        values=dict(_pair(given) for given in wanted.values),
    )


def answer(settings: Settings, sent: Payload) -> Iterator[TextDelta | Waiting]:
    """The answer as it streams. Raises `ModelError`s."""
    with endpoint(settings) as url:
        services = build(settings.model_copy(update={"bedrock_endpoint_url": url}))
        for event in services.laboratory.submit(sent):
            if isinstance(event, TextDelta | Waiting):
                yield event


def plan(csv: Path, prompts: tuple[Wanted, ...], checks: tuple[str, ...], judge: str, cap: float | None) -> Plan:
    """What `lab test` tries: every prompt on every row. Raises `InputRefused` for what cannot be used."""
    variants = tuple(Variant(f"{wanted.file.name} · {wanted.model_id}", sheet_of(wanted)) for wanted in prompts)
    cases = replace(from_csv(_bytes(csv)), checks=tuple(_check(given, judge) for given in checks))
    return Plan(cases, variants, cap)


@contextmanager
def evaluation(settings: Settings, wanted: Plan, results: Path | None) -> Iterator[EvaluationJob]:
    """The evaluation, begun or gone on with where the file `results` ends; leaving the block stops it."""
    check(wanted)
    kept = ResultsFile(results, wanted)
    with (
        endpoint(settings) as url,
        closing(build(settings.model_copy(update={"bedrock_endpoint_url": url}))) as services,
    ):
        job = EvaluationJob(services.trials, kept, kept.head, wanted, kept.outcomes)
        threading.Thread(target=job.work, daemon=True).start()
        try:
            yield job
        finally:
            job.stop()
            job.join(CLOSE_S)


def _check(given: str, judge: str) -> Check:
    name, equals, expected = given.partition("=")
    if name not in CHECKS:
        raise InputRefused("lab_check", given=given)
    kind, whole = CHECKS[name]
    if name == "json_schema" and expected.startswith("@"):
        expected = _read(Path(expected[1:]))
    return Check(kind, expected if equals else Check.expected, whole, judge if kind == "judge" else "")


def _bytes(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise InputRefused("lab_file", file=str(file), why=error.strerror or str(error)) from error


def _read(file: Path) -> str:
    try:
        text = _bytes(file).decode()
    except UnicodeDecodeError as error:
        raise InputRefused("lab_file", file=str(file), why="not UTF-8") from error
    return text.removeprefix("\ufeff").removesuffix("\n")


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not name.strip().isidentifier():
        raise InputRefused("lab_value", given=given)
    return name.strip(), value
