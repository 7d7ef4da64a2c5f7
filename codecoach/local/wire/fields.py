"""Checks the fields of InvokeModel's bodies, which no service model describes, in the words of the families' servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codecoach.local.wire.faults import invalid


@dataclass(frozen=True)
class Field:
    """What a field may hold; `at_least` and `at_most` bound numbers."""

    kinds: tuple[type, ...]
    required: bool = False
    at_least: float | None = None
    at_most: float | None = None


TEXT = Field((str,))
NUMBER = Field((int, float), at_least=0, at_most=1)
LIST = Field((list,))
OBJECT = Field((dict,))
ANY_COUNT = Field((int,), at_least=0)
REQUIRED_TEXT = Field((str,), required=True)
REQUIRED_COUNT = Field((int,), required=True, at_least=1)
COUNT = Field((int,), at_least=1)


def check(body: Mapping[str, Any], fields: Mapping[str, Field]) -> None:
    """Raises a ValidationException that names each field that is missing, unknown or malformed."""
    problems = [
        f"required key [{name}] not found" for name, field in fields.items() if field.required and name not in body
    ]
    problems += [f"extraneous key [{name}] is not permitted" for name in body if name not in fields]
    for name, value in body.items():
        if name in fields and value is not None:
            problems += _problems(name, value, fields[name])
    if problems:
        listed = ", ".join(f"#: {problem}" for problem in problems)
        raise invalid(f"Malformed input request: {listed}, please reformat your input and try again.")


def _problems(name: str, value: object, field: Field) -> list[str]:
    if not isinstance(value, field.kinds) or (isinstance(value, bool) and bool not in field.kinds):
        return [f"/{name}: expected type: {field.kinds[0].__name__}, found: {type(value).__name__}"]
    if isinstance(value, int | float):
        if field.at_least is not None and value < field.at_least:
            return [f"/{name}: {value} is not greater or equal to {field.at_least}"]
        if field.at_most is not None and value > field.at_most:
            return [f"/{name}: {value} is not less or equal to {field.at_most}"]
    return []


def strings(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A list of strings, empty where it is not given. Raises a ValidationException."""
    values = body.get(name) or []
    if not all(isinstance(value, str) for value in values):
        raise invalid(f"Malformed input request: #/{name}: expected strings, please reformat your input and try again.")
    return tuple(values)
