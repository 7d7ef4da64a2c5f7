"""A sheet: everything on the Prompt Lab's bench at one moment. It is what a version of a template keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from codecoach.lab import template
from codecoach.lab.template import Style

MAX_TOKENS: Final = 1_000_000
MAX_TOP_K: Final = 500
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


@dataclass(frozen=True)
class Parameters:
    """How a reply is drawn. None is not sent, so that the model's own default holds.

    max_tokens   at most this many tokens of reply; the bounds hold where a sheet is read from JSON
    temperature  0 to 1
    top_p        0 to 1
    top_k        a count
    """

    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 1024
    temperature: _Share | None = None
    top_p: _Share | None = None
    top_k: Annotated[int, Field(ge=0, le=MAX_TOP_K)] | None = None
    stop_sequences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """One turn given as an example (few-shot): what is asked and how it should be answered."""

    question: str
    answer: str


@dataclass(frozen=True)
class Sheet:
    """A prompt with all that goes with it.

    text, system, prefill, examples  may hold variables
    format   one of `models.payloads.FORMATS`; empty: the model's own
    prefill  what the reply begins with
    """

    text: str = ""
    system: str = ""
    prefill: str = ""
    examples: tuple[Example, ...] = ()
    style: Style = "single"
    format: str = ""
    model_id: str = ""
    parameters: Parameters = field(default_factory=Parameters)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts that may hold variables, in the order in which they are read."""
        turns = (text for example in self.examples for text in (example.question, example.answer))
        return (self.system, *turns, self.text, self.prefill)

    @property
    def variables(self) -> tuple[str, ...]:
        return template.variables(*self.texts, style=self.style)

    @property
    def unfilled(self) -> tuple[str, ...]:
        return template.unfilled(self.values, *self.texts, style=self.style)

    @property
    def unused(self) -> tuple[str, ...]:
        return template.unused(self.values, *self.texts, style=self.style)

    def filled(self, partly: bool = False) -> "Sheet":
        """The sheet with its variables filled in, and none left. Raises `InputRefused` where one has no value.

        partly  what has no value stays as it is written instead
        """
        fill = template.preview if partly else template.render

        def done(text: str) -> str:
            return fill(text, self.values, self.style)

        examples = tuple(Example(done(example.question), done(example.answer)) for example in self.examples)
        return replace(
            self,
            text=done(self.text),
            system=done(self.system),
            prefill=done(self.prefill),
            examples=examples,
            values={},
        )


def to_json(sheet: Sheet) -> dict[str, Any]:
    """A sheet as JSON; `from_json` makes it a sheet again."""
    made: dict[str, Any] = _adapter().dump_python(sheet, mode="json")
    return made


def from_json(data: object) -> Sheet:
    """The sheet that JSON from anywhere describes; what is missing has its default. Raises ValueError that says what is wrong."""
    return _adapter().validate_python(data)


@cache
def _adapter() -> TypeAdapter[Sheet]:
    return TypeAdapter(Sheet)
