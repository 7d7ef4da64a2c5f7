"""What pages ask of the store: a table that notes each read, a user with little or much, and what is looked at."""

import itertools
import threading
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from streamlit.testing.v1 import AppTest

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.lab.cases import Cases, Check
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.services import Services
from codecoach.store import keys
from codecoach.store.case_sets import CaseSet
from codecoach.store.port import Delete, Item, Key, Page, Put, Table
from codecoach.store.programs import RunRecord, SourceFile
from codecoach.store.templates import Draft, Template

ROOT: Final = Path(__file__).parents[1]
MODEL: Final = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
# Who is signed in, in which language, with which model and budget, is asked in one place for all pages: it is counted apart.
_SESSION: Final = ("accounts", "sign-in#", "revocations", "layout", "preferences", "usage#")
# What goes on without the page.
_BACKGROUND: Final = ("reply-", "run-", "evaluation-", "check ")
_SECONDS: Final = itertools.count()


@dataclass
class Noted:
    """What script runs asked of a table: (what, partition's kind, sort key's kind) of each call; and their writes."""

    reads: list[tuple[str, str, str]] = field(default_factory=list)
    writes: int = 0

    @property
    def of_page(self) -> int:
        """The reads of the page itself."""
        return sum(not {partition, sort}.intersection(_SESSION) for _, partition, sort in self.reads)

    @property
    def of_session(self) -> int:
        """The reads that tell who is signed in, and what they may use."""
        return len(self.reads) - self.of_page

    def __str__(self) -> str:
        counted = Counter(f"{what} {partition} {sort}" for what, partition, sort in self.reads)
        return ", ".join(f"{number} × {name}" for name, number in counted.items()) or "nothing"


class Watched:
    """A table whose use by script runs is noted."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.noted = Noted()

    def begin(self) -> Noted:
        """Note anew from now on."""
        self.noted = Noted()
        return self.noted

    def get(self, key: Key) -> Item | None:
        self._read("get", key.partition, key.sort)
        return self.table.get(key)

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys[::100]:  # DynamoDB is asked once for each hundred
            self._read("batch_get", key.partition, key.sort)
        return self.table.batch_get(keys)

    def query(self, partition: str, sort_prefix: str = "", **options: Any) -> Page:  # noqa: ANN401 - as the port has them
        self._read("query", partition, sort_prefix)
        return self.table.query(partition, sort_prefix, **options)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        self._write()
        return self.table.put(item, expected_version)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        self._write()
        self.table.delete(key, expected_version)

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        self._write()
        self.table.transact(operations)

    def scan(self) -> Generator[Item, None, None]:
        self._read("scan", "", "")
        return self.table.scan()

    def restore(self, items: Sequence[Item]) -> None:
        self._write()
        self.table.restore(items)

    def ping(self) -> str:
        return self.table.ping()

    def _read(self, what: str, partition: str, sort: str) -> None:
        if not _in_background():
            self.noted.reads.append((what, _kind(partition), _kind(sort)))

    def _write(self) -> None:
        if not _in_background():
            self.noted.writes += 1


def _in_background() -> bool:
    return threading.current_thread().name.startswith(_BACKGROUND)


def _kind(key: str) -> str:
    head, mark, _ = key.partition("#")
    return head + mark


@dataclass(frozen=True)
class Amount:
    """How much a user has; of each conversation and program, as many messages and runs."""

    conversations: int
    messages: int
    runs: int


LITTLE: Final = Amount(conversations=3, messages=4, runs=2)
MUCH: Final = Amount(conversations=500, messages=300, runs=50)


@dataclass(frozen=True)
class Furnished:
    """What was made for a user."""

    user: str
    conversation_id: str
    program_id: str


def furnish(services: Services, user: str, amount: Amount) -> Furnished:
    """Give a user as much as `amount` says, of every kind that a page shows."""
    for number in range(amount.conversations - 1):
        services.conversations.create(user, "code_coach", title=f"Talk {number}")
    talk = services.conversations.create(user, "code_coach", title="Earlier")
    _talk(services, talk.id, amount)
    program = services.programs.create(user, "python", (SourceFile("main.py", "print(6 * 7)\n"),), name="Answer")
    for _ in range(amount.runs):
        services.programs.add_run(program.id, _ran())
    for thread in (program.id, keys.explanations(program.id)):
        services.conversations.save(thread, _said(services, "It prints the answer."))
    template = services.templates.save(Template("", user, "Greeting", Sheet("Say {word}.", model_id=MODEL)))
    services.templates.save(template)
    services.templates.keep_draft(user, Draft(template.sheet, template.id))
    for place in ("prompt", *(f"column-{number}" for number in range(4))):
        services.conversations.save(keys.bench(user, place), _said(services, "Hello."))
    _try_out(services, user, amount)
    return Furnished(user, talk.id, program.id)


def _talk(services: Services, thread: str, amount: Amount) -> None:
    """Questions, and answers of two programs each; the newest of them have run."""
    answers = []
    for number in range(amount.messages // 2):
        services.conversations.save(thread, _said(services, f"Question {number}?", Role.USER))
        program = f"```python\nprint({number})\n```"
        answers.append(_said(services, f"So:\n\n{program}\n\nOr:\n\n{program}\n"))
        services.conversations.save(thread, answers[-1])
    for answer, block in itertools.product(answers[-amount.runs // 2 :], range(2)):
        services.programs.add_run(keys.block(thread, answer.id, block), _ran())


def _said(services: Services, text: str, role: Role = Role.ASSISTANT) -> Message:
    return Message(services.conversations.new_message_id(), role, text, datetime.now(UTC), MessageState.COMPLETE, MODEL)


def _ran() -> RunRecord:
    """A run that printed more than a list holds; apart by seconds, as the page's own list tells runs apart."""
    at = datetime.now(UTC) + timedelta(seconds=next(_SECONDS))
    return RunRecord(keys.time_ordered_id(), at, "python", "ok", 0, None, "42\n" * 1000, "", False, 0.1)


def _try_out(services: Services, user: str, amount: Amount) -> None:
    rows = tuple((f"word {number}", "word") for number in range(amount.messages))
    cases = Cases(("word", "expected"), rows, (Check("contains"),))
    services.case_sets.save(CaseSet("", user, "Words", cases))
    plan = Plan(cases, (Variant("this", Sheet("Say {word}.", model_id=MODEL)),), None)
    head = services.evaluations.create(user, "Words", plan)
    for row in range(amount.messages):
        services.evaluations.add(head, Outcome(row, 0, f"word {row}", MessageState.COMPLETE))
    services.evaluations.save(replace(head, state=EvaluationState.COMPLETE, done=amount.messages))


@dataclass(frozen=True)
class Scene:
    """A page, or what is clicked on it.

    opening  the reads that the page may take, or the click; a script run that changes nothing takes none
    address  of the page: name of the query parameter, and of the field of `Furnished` with its value
    click    kind, key and value of the widget; the key of a button is the beginning of it
    """

    file: str
    opening: int
    address: tuple[str, str] | None = None
    click: tuple[str, str, str] | None = None


_CHAT, _EDITOR, _LAB, _SETTINGS = (f"pages/{name}.py" for name in ("1_Chat", "2_Editor", "3_Prompt_Lab", "4_Settings"))

SCENES: Final[dict[str, Scene]] = {
    "Home": Scene("Home.py", 0),
    "Chat": Scene(_CHAT, 2),
    "Chat, a conversation with runs": Scene(_CHAT, 4, ("c", "conversation_id")),
    "Chat, a click on a conversation": Scene(_CHAT, 3, click=("button", "open.{conversation_id}", "")),
    "Editor": Scene(_EDITOR, 1),
    "Editor, a program with runs": Scene(_EDITOR, 6, ("p", "program_id")),
    "Prompt Lab": Scene(_LAB, 3),
    "Prompt Lab, compare": Scene(_LAB, 3, click=("segmented_control", "lab:mode", "compare")),
    "Prompt Lab, test set": Scene(_LAB, 5, click=("segmented_control", "lab:mode", "test")),
    **{
        f"Settings, {section}": Scene(_SETTINGS, 0, click=("pills", "settings-section", section))
        for section in ("account", "state", "runtimes")
    },
    "Settings, model": Scene(_SETTINGS, 0),
}


def opened(scene: Scene, sid: str, furnished: Furnished, watched: Watched) -> tuple[AppTest, Noted]:
    """A new browser session with the page of a scene, after what is clicked on it, and what that has read."""
    test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=120)
    test.session_state["codecoach.sid"] = sid
    if scene.address:
        name, of = scene.address
        test.query_params[name] = getattr(furnished, of)
    if scene.file != "Home.py":
        test.switch_page(scene.file)
    noted = watched.begin()
    test.run()
    if scene.click:
        kind, key, value = scene.click
        noted = watched.begin()
        widget = getattr(test, kind)(key=key.format(**vars(furnished)))
        (widget.set_value(value) if value else widget.click()).run()
    return test, noted


def again(test: AppTest, watched: Watched) -> Noted:
    """What a script run reads that changes nothing."""
    noted = watched.begin()
    test.run()
    return noted
