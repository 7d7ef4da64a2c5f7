"""Have a program repaired or explained by a model. Nothing is applied here: the corrected program is offered."""

import difflib
import re
from datetime import UTC, datetime

from codecoach import languages
from codecoach.chat.fences import segments
from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach import evidence, history
from codecoach.coach.assistants import prompt
from codecoach.coach.generation import Generation, Generations
from codecoach.errors import ModelInputTooLong
from codecoach.i18n import Language
from codecoach.models.port import ModelRequest, Payer, Turn
from codecoach.settings import Settings
from codecoach.store import keys
from codecoach.store.conversations import Conversations
from codecoach.store.programs import Program, RunRecord

# Repairs want no invention; models that take no temperature are not sent one.
TEMPERATURE = 0.2
# A block this much shorter than the longest, or than the broken program, is an excerpt: applied, it would be a loss.
EXCERPT = 0.5

_ENGLISH_NAMES = {Language.EN: "English", Language.ZH: "Chinese"}


class Fixer:
    """Asks a model about a program of the Editor.

    A repair is written into the thread of the program's id, an explanation into `explanation_thread`, so that a block in it
    is never taken for a corrected program. Both raise `InputRefused` where a reply is being written there or a budget leaves
    no room for it, `ModelInputTooLong` and `StoreError`.
    """

    def __init__(self, conversations: Conversations, generations: Generations, settings: Settings) -> None:
        self._conversations = conversations
        self._generations = generations
        self._settings = settings

    def fix(self, program: Program, record: RunRecord, language: Language, model_id: str) -> Generation:
        """Ask for the corrected program. `record` is its last run, whole (`Programs.run`)."""
        return self._ask(program, program.id, prompt("fix"), question(program, record, language), model_id)

    def explain(self, program: Program, language: Language, model_id: str) -> Generation:
        """Ask what the program does."""
        thread, system = explanation_thread(program.id), _in_language("explain", language)
        return self._ask(program, thread, system, _code(program), model_id)

    def _ask(self, program: Program, thread: str, system: str, text: str, model_id: str) -> Generation:
        room = history.limits(model_id, self._settings.local_context_tokens)
        if history.tokens(system) + history.tokens(text) + history.TURN_TOKENS > room.input:
            raise ModelInputTooLong()
        request = ModelRequest(
            model_id,
            (Turn(Role.USER, text),),
            system,
            max_tokens=room.reply,
            temperature=TEMPERATURE,
            payer=Payer(program.owner),
        )
        message = Message(
            self._conversations.new_message_id(),
            Role.ASSISTANT,
            "",
            datetime.now(UTC),
            MessageState.STREAMING,
            model_id,
        )
        return self._generations.start(thread, request, message)


def explanation_thread(program_id: str) -> str:
    """Where explanations of a program are written."""
    return keys.explanations(program_id)


def question(program: Program, record: RunRecord, language: Language, *, grounded: bool = True) -> str:
    """What a model is asked about a failed program; `grounded`: with what AWS's API models say of it.

    What is wanted comes last: small models forget what stands before a program. Without facts they must think first, that is
    explain; with facts the explanation follows, for now and then they end after it and leave the program out. (The 1.5B
    model, `benchmarks/repair.py`: program first was right in 30 of 30 tries with facts, in 0 of 5 without.)
    """
    parts = [_code(program), evidence.ending(record)]
    parts += [
        f"{name}:\n{_fenced('text', text)}"
        for name, text in evidence.outputs(record, [file.name for file in program.files])
    ]
    checked = grounded and program.language == "python"
    facts = evidence.findings(program.files[0].text, record) if checked else ()
    if facts:
        told = "\n".join(f"- Line {fact.line}: {fact.sentence}" for fact in facts)
        parts.append(f"Facts about the API, from AWS's own model:\n{told}")
    wanted = _in_language("fix_by_facts" if facts else "fix_by_thought", language).replace("{code}", program.language)
    return "\n\n".join((*parts, wanted))


def corrected(reply: str, language_id: str, broken: str = "") -> str | None:
    """The corrected program in a reply, or None where there is no whole one.

    It is the last complete block in the program's language that is no mere excerpt, beside the longest block and the
    broken program; a block that names no language counts where none names the right one.
    """
    blocks = [segment for segment in segments(reply) if segment.kind == "code" and segment.closed]
    language = languages.BY_ID[language_id]
    right = [block.text for block in blocks if languages.from_fence(block.info) == language]
    candidates = right or [block.text for block in blocks if not block.info.strip()]
    longest = max(len(broken.strip()), *map(len, candidates), 0)
    whole = [text for text in candidates if text.strip() and len(text) >= EXCERPT * longest]
    return whole[-1] if whole else None


def difference(old: str, new: str) -> str:
    """What changes from one program to another, as a unified diff without file names; empty where nothing does."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3)
    return "\n".join(list(lines)[2:])


def _in_language(name: str, language: Language) -> str:
    """The prompt `name`, asking for an answer in a language of the interface."""
    return prompt(name).replace("{language}", _ENGLISH_NAMES[language])


def _code(program: Program) -> str:
    """The entry point, and the names of the other files."""
    main = program.files[0]
    others = ", ".join(file.name for file in program.files[1:])
    beside = f"\nBeside it are the files {others}." if others else ""
    return f"{_fenced(program.language, main.text.rstrip())}{beside}"


def _fenced(info: str, text: str) -> str:
    """A text in a fence that it cannot close: what a program prints may be anything, and is data."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{info}\n{text}\n{fence}"
