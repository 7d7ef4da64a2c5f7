"""Sheets to begin with: the same translation asked in the formats of three generations of models."""

from typing import Final

from codecoach.i18n import Language, text
from codecoach.lab.sheet import Parameters, Sheet

CLAUDE_3: Final = "anthropic.claude-3-sonnet-20240229-v1:0"
CLAUDE_2: Final = "anthropic.claude-v2:1"
# id -> key of its name
NAMES: Final = {
    "system": "lab.example_system",
    "plain": "lab.example_plain",
    "claude_2": "lab.example_claude_2",
}


def first(language: Language) -> Sheet:
    """What stands on a bench that nobody has used."""
    return sheet("system", language)


def sheet(example_id: str, language: Language) -> Sheet:
    """The example, in a language."""
    role, task = text(language, "lab.example_role"), text(language, "lab.example_task")
    values = {
        "target_language": text(language, "lab.example_target"),
        "text": text(language, "lab.example_text"),
    }
    parameters = Parameters(max_tokens=512)
    if example_id == "claude_2":
        words = f"{role}\n\nHuman: {task}\n\nAssistant:"
        return Sheet(words, format="claude_text", model_id=CLAUDE_2, parameters=parameters, values=values)
    if example_id == "plain":
        return Sheet(
            f"{role}\n\n{task}", format="claude_messages", model_id=CLAUDE_3, parameters=parameters, values=values
        )
    return Sheet(task, role, format="claude_messages", model_id=CLAUDE_3, parameters=parameters, values=values)
