"""The assistants one can talk to; their system prompts are Markdown files in `prompts/`."""

from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Assistant:
    """An assistant.

    name_key, description_key  its texts in the locale tables
    system                     its system prompt, sent with every request
    """

    id: str
    name_key: str
    description_key: str
    system: str


def prompt(name: str) -> str:
    """The text of `prompts/<name>.md`."""
    return resources.files("codecoach.coach").joinpath("prompts", f"{name}.md").read_text("utf-8").strip()


def _built_in(assistant_id: str) -> Assistant:
    texts = f"assistants.{assistant_id}"
    return Assistant(assistant_id, f"{texts}.name", f"{texts}.description", prompt(assistant_id))


# The first one is the default. Their prompts are short, because the embedded model reads only some 70 tokens a second.
BUILT_IN = tuple(_built_in(name) for name in ("code_coach", "aws_cli", "plain"))
DEFAULT = BUILT_IN[0]
_BY_ID = {assistant.id: assistant for assistant in BUILT_IN}


def get(assistant_id: str) -> Assistant:
    """The assistant, or the default one where there is none of that id (any more)."""
    return _BY_ID.get(assistant_id, DEFAULT)
