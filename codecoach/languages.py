"""The programming languages CodeCoach knows: the one table everything else asks."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProgrammingLanguage:
    """One language.

    id         our name for it, also in stored data and on the command line
    label      how people write its name
    main       the file name its entry point gets in a run
    fences     the info strings after ``` that mean it, lower case
    ace_mode   its mode in the Ace editor
    sdk        the AWS SDK that its runtime carries; empty where AWS offers none
    """

    id: str
    label: str
    main: str
    fences: tuple[str, ...]
    ace_mode: str
    sdk: str = ""

    @property
    def extension(self) -> str:
        return self.main[self.main.rindex(".") :]


LANGUAGES: tuple[ProgrammingLanguage, ...] = (
    ProgrammingLanguage("python", "Python", "main.py", ("python", "py", "python3"), "python", "boto3"),
    # Ace's "javascript" mode warns about ES6 syntax; its "typescript" mode reads JavaScript without false warnings.
    ProgrammingLanguage(
        "javascript", "JavaScript", "main.mjs", ("javascript", "js", "mjs", "node", "jsx"), "typescript", "@aws-sdk v3"
    ),
    ProgrammingLanguage("typescript", "TypeScript", "main.ts", ("typescript", "ts"), "typescript", "@aws-sdk v3"),
    ProgrammingLanguage("go", "Go", "main.go", ("go", "golang"), "golang", "aws-sdk-go-v2"),
    ProgrammingLanguage("rust", "Rust", "main.rs", ("rust", "rs"), "rust", "aws-sdk-rust"),
    ProgrammingLanguage("php", "PHP", "main.php", ("php",), "php", "aws-sdk-php"),
    ProgrammingLanguage("bash", "Bash", "main.sh", ("bash", "sh", "shell", "zsh"), "sh", "AWS CLI"),
    ProgrammingLanguage("sql", "SQL", "main.sql", ("sql", "sqlite", "sqlite3"), "sql"),
    ProgrammingLanguage("lua", "Lua", "main.lua", ("lua",), "lua"),
)

BY_ID = {language.id: language for language in LANGUAGES}
_BY_FENCE = {fence: language for language in LANGUAGES for fence in language.fences}
_BY_EXTENSION = {language.extension: language for language in LANGUAGES} | {".js": BY_ID["javascript"]}


def from_fence(info: str) -> ProgrammingLanguage | None:
    """The language that a fence's info string names (```` ```Python title=x ```` -> Python), or None."""
    word = info.strip().split(maxsplit=1)[0].lower() if info.strip() else ""
    return _BY_FENCE.get(word)


def from_file_name(name: str) -> ProgrammingLanguage | None:
    """The language of a file by its extension, or None."""
    dot = name.rfind(".")
    return _BY_EXTENSION.get(name[dot:].lower()) if dot >= 0 else None
