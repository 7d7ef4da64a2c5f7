"""Prompt templates: text with variables, everything else of it literal.

single   {topic}       a variable is one identifier in braces; every other brace is part of the text: {"input": {text}}
double   {{topic}}     for prompts full of code: only two braces make a variable
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

from codecoach.errors import InputRefused

Style = Literal["single", "double"]

_VARIABLE: Final[dict[str, re.Pattern[str]]] = {
    "single": re.compile(r"\{([^\W\d]\w*)\}"),
    "double": re.compile(r"\{\{\s*([^\W\d]\w*)\s*\}\}"),
}


def variables(*texts: str, style: Style = "single") -> tuple[str, ...]:
    """The names of the variables, in order of their first appearance."""
    return tuple(dict.fromkeys(match[1] for text in texts for match in _VARIABLE[style].finditer(text)))


def unused(values: Mapping[str, str], *texts: str, style: Style = "single") -> tuple[str, ...]:
    """The names that have a value and stand in none of the texts."""
    known = variables(*texts, style=style)
    return tuple(name for name, value in values.items() if value and name not in known)


def unfilled(values: Mapping[str, str], *texts: str, style: Style = "single") -> tuple[str, ...]:
    """The variables that have no value. An empty text is one only where nothing was given."""
    return tuple(name for name in variables(*texts, style=style) if not values.get(name))


def render(text: str, values: Mapping[str, str], style: Style = "single") -> str:
    """The text with its variables filled in. Raises `InputRefused` that names those without a value."""
    missing = [name for name in variables(text, style=style) if name not in values]
    if missing:
        raise InputRefused("lab_unfilled", names=", ".join(missing))
    return _fill(text, values, style)


def preview(text: str, values: Mapping[str, str], style: Style = "single") -> str:
    """The text as far as it can be filled in; a variable without a value stays as it is written."""
    written = {match[1]: match[0] for match in _VARIABLE[style].finditer(text)}
    return _fill(text, {**written, **{name: value for name, value in values.items() if value}}, style)


def _fill(text: str, values: Mapping[str, str], style: Style) -> str:
    from langchain_core.prompts import PromptTemplate  # half a second, and only who fills something in needs it

    parts = _VARIABLE[style].split(text)  # literal, name, literal, name, ... literal
    # Under names of our own: langchain keeps some, such as `stop` and `self`, for itself.
    inner = {name: f"v{number}" for number, name in enumerate(dict.fromkeys(parts[1::2]))}
    parts[::2] = [part.replace("{", "{{").replace("}", "}}") for part in parts[::2]]
    parts[1::2] = [f"{{{inner[name]}}}" for name in parts[1::2]]
    made = PromptTemplate(template="".join(parts), input_variables=list(inner.values()))
    return str(made.format(**{known: values[name] for name, known in inner.items()}))
