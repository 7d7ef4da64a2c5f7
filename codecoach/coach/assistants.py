"""The assistants one can talk to; their system prompts are Markdown files in `prompts/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from codecoach.coach import idioms


@dataclass(frozen=True)
class Assistant:
    """An assistant.

    name_key, description_key  its texts in the locale tables
    system                     its system prompt, sent with every request
    writes_programs            True: it is also told how a language's SDK is set up
    """

    id: str
    name_key: str
    description_key: str
    system: str
    writes_programs: bool = False

    def told(self, said: Sequence[str]) -> str:
        """The system prompt where a user has said this, oldest first: with the idiom of the language that was named last."""
        language = idioms.named(said) if self.writes_programs else None
        return f"{self.system}\n\n{idioms.idiom(language)}".strip() if language else self.system


def prompt(name: str) -> str:
    """The text of `prompts/<name>.md`."""
    return resources.files("codecoach.coach").joinpath("prompts", f"{name}.md").read_text("utf-8").strip()


def _built_in(assistant_id: str, writes_programs: bool = False) -> Assistant:
    texts = f"assistants.{assistant_id}"
    return Assistant(assistant_id, f"{texts}.name", f"{texts}.description", prompt(assistant_id), writes_programs)


# The first one is the default. Their prompts are short, because the embedded model reads only some 70 tokens a second.
BUILT_IN = (_built_in("code_coach", writes_programs=True), _built_in("aws_cli"), _built_in("plain"))
DEFAULT = BUILT_IN[0]
_BY_ID = {assistant.id: assistant for assistant in BUILT_IN}


def get(assistant_id: str) -> Assistant:
    """The assistant, or the default one where there is none of that id (any more)."""
    return _BY_ID.get(assistant_id, DEFAULT)
