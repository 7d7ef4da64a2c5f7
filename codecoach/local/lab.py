"""`codecoach lab`: a prompt from a file, shown as it would travel, or sent."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from codecoach.errors import InputRefused
from codecoach.lab.sheet import Parameters, Sheet
from codecoach.lab.template import Style
from codecoach.local.ask import endpoint
from codecoach.models import payloads
from codecoach.models.payloads import Payload
from codecoach.models.port import TextDelta, Waiting
from codecoach.services import build
from codecoach.settings import Settings


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
    sheet = Sheet(
        text=_read(wanted.file),
        system=wanted.system,
        prefill=wanted.prefill,
        style=wanted.style,
        format=wanted.format,
        model_id=wanted.model_id,
        parameters=wanted.parameters,
        values=dict(_pair(given) for given in wanted.values),
    )
    missing = [name for name in sheet.variables if name not in sheet.values]
    if missing:
        raise InputRefused("lab_unfilled", names=", ".join(missing))
    return payloads.build(sheet.filled())


def answer(settings: Settings, sent: Payload) -> Iterator[TextDelta | Waiting]:
    """The answer as it streams. Raises `ModelError`s."""
    with endpoint(settings) as url:
        services = build(settings.model_copy(update={"bedrock_endpoint_url": url}))
        for event in services.laboratory.submit(sent):
            if isinstance(event, TextDelta | Waiting):
                yield event


def _read(file: Path) -> str:
    try:
        text = sys.stdin.buffer.read().decode() if str(file) == "-" else file.read_bytes().decode()
    except OSError as error:
        raise InputRefused("lab_file", file=str(file), why=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise InputRefused("lab_file", file=str(file), why="not UTF-8") from error
    return text.removeprefix("\ufeff").removesuffix("\n")


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not name.strip().isidentifier():
        raise InputRefused("lab_value", given=given)
    return name.strip(), value
