"""How programs of a language set up its AWS SDK; told to the model where a conversation names the language.

boto3 every model knows. Of the other SDKs small models mix up the versions, and each such mistake is a program that does not
compile. One short program in the system prompt shows the model how clients, pages and values are written today; those of
all languages together would be too much to read.
"""

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final

# How people name a language. "go" and "rust" are words of English too; what is told in vain does no harm but takes time.
NAMES: Final = {
    "python": r"\b(?:[Pp]ython|boto3)\b",
    "javascript": r"\b(?:[Jj]ava[Ss]cript|JS|[Nn]ode(?:\.?js)?)\b",
    "typescript": r"\b[Tt]ype[Ss]cript\b",
    "go": r"\b(?:Go|GO|[Gg]olang)\b|\b(?:in|with|using) go\b|(?<=[用写]) ?go\b|\bgo (?:sdk|SDK|program|code)\b",
    "rust": r"\b[Rr]ust\b",
    "php": r"\b(?:PHP|php)\b",
    "bash": r"\b(?:[Bb]ash|[Ss]hell|AWS CLI|aws cli)\b",
    "sql": r"\b(?:SQL|sql)\b",
    "lua": r"\b[Ll]ua\b",
}
_LOOKED_AT_CHARS: Final = 10_000
_ANY: Final = re.compile("|".join(f"(?P<{language}>{names})" for language, names in NAMES.items()), re.ASCII)


def named(said: Sequence[str]) -> str | None:
    """The id of the language named last in what a user said, oldest first; None where none is named."""
    for text in reversed(said):
        # Who pastes a long file says before or after it what for; all of ten megabytes would take as many seconds.
        told = text if len(text) <= 2 * _LOOKED_AT_CHARS else f"{text[:_LOOKED_AT_CHARS]}\n{text[-_LOOKED_AT_CHARS:]}"
        if found := list(_ANY.finditer(told)):
            return found[-1].lastgroup
    return None


@cache
def idiom(language: str) -> str:
    """The text of `prompts/idioms/<language>.md`, empty where there is none."""
    file = resources.files("codecoach.coach").joinpath("prompts", "idioms", f"{language}.md")
    return file.read_text("utf-8").strip() if file.is_file() else ""
