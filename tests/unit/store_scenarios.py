"""What people do with the stores, each with what is there before and afterwards, as they would see it.

`view` tells nothing that differs from one try to the next: no ids, no times. Where a repetition may do a thing twice after
an answer that got lost, `twice` says so: what is made anew each time has no name by which the store could know it again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.store import keys
from codecoach.store.accounts import Accounts
from codecoach.store.case_sets import CaseSet, CaseSets
from codecoach.store.conversations import Conversations
from codecoach.store.evaluations import Evaluations
from codecoach.store.port import Table
from codecoach.store.preferences import Preferences
from codecoach.store.programs import Programs, ResultFile, RunRecord, SourceFile
from codecoach.store.sign_ins import SignIns
from codecoach.store.templates import Draft, Template, Templates

ANN = "ann@example.com"
AT = datetime(2026, 11, 29, tzinfo=UTC)
LONG = "long " * 60_000  # some parts


@dataclass(frozen=True)
class Scenario:
    """One thing that is done.

    prepare  makes what is there before; what it returns is given to the others
    act      does it
    view     tells what a reader sees
    between  whether a reader may see this too while it is half done, such as a thread that is deleted from its end
    twice    True: repeated after a lost answer it may be there twice
    """

    name: str
    prepare: Callable[[Table], Any]
    act: Callable[[Table, Any], object]
    view: Callable[[Table, Any], Any]
    between: Callable[[Any], bool] = field(default=lambda _view: False)
    twice: bool = False


def _message(number: int, text: str, role: Role = Role.USER, state: MessageState = MessageState.COMPLETE) -> Message:
    return Message(f"{number:020x}", role, text, AT, state)


def _thread(table: Table) -> str:
    """A conversation of four messages, the second long, a code block of it with a run."""
    conversations = Conversations(table)
    thread = conversations.create(ANN, "plain", "Buckets").id
    for number, text in enumerate(("one", LONG, "three", "four"), 1):
        conversations.save(thread, _message(number, text))
    Programs(table).add_run(keys.block(thread, _message(2, "").id, 0), _run(1))
    return thread


def _said(table: Table, thread: str) -> list[tuple[str, str]]:
    """The conversations in the list with what is said in them; runs of a block too."""
    conversations = Conversations(table)
    listed = conversations.list(ANN).conversations
    assert all(conversations.get(ANN, one.id) == one for one in listed), "the list says what the head says"
    seen = [(one.title, one.assistant_id) for one in listed]
    if any(one.id == thread for one in listed):
        seen += [(message.id, message.text) for message in conversations.messages(thread).messages]
    return seen


def _run(number: int) -> RunRecord:
    files = (ResultFile("plot.png", 3, b"\x89PN"),)
    return RunRecord(f"{number:020x}", AT, "python", "ok", 0, None, "out\n" * 20_000, "", False, 0.5, files=files)


def _program(table: Table) -> Any:
    programs = Programs(table)
    program = programs.create(ANN, "python", (SourceFile("main.py", "print(1)"),), name="Hello")
    programs.add_run(program.id, _run(1))
    return program


def _programs(table: Table, _made: object) -> list[Any]:
    programs, seen = Programs(table), []
    for entry in programs.list(ANN):
        program = programs.get(ANN, entry.id)
        assert program
        assert (program.name, program.language) == (entry.name, entry.language), "the list says what the program says"
        runs = [programs.run(entry.id, one.id) for one in programs.runs(entry.id)]
        seen.append((program.name, program.files, [(run.id, run.stdout, run.files) for run in runs if run]))
    return seen


def _template(table: Table) -> Template:
    templates = Templates(table)
    first = templates.save(Template("", ANN, "Summary", Sheet("Say {text}")))
    return templates.save(replace(first, sheet=Sheet(LONG)))


def _templates(table: Table, _made: object) -> list[Any]:
    templates = Templates(table)
    return [
        (one.name, one.sheet, one.copilot, [(was.number, was.sheet) for was in templates.versions(ANN, one.id)])
        for one in templates.list(ANN)
    ]


def _draft(table: Table, _made: object) -> Any:
    draft = Templates(table).draft(ANN)
    return draft and draft.sheet.text


def _case_set(table: Table) -> CaseSet:
    return CaseSets(table).save(CaseSet("", ANN, "Words", Cases(("text",), (("a",),))))


def _case_sets(table: Table, _made: object) -> list[Any]:
    return [(one.name, one.cases) for one in CaseSets(table).list(ANN)]


_PLAN = Plan(Cases(("n",), (("1",), ("2",))), (Variant("v", Sheet("Say {n}" + LONG)),))


def _evaluation(table: Table) -> Any:
    return Evaluations(table).create(ANN, "Numbers", _PLAN)


def _evaluations(table: Table, _made: object) -> list[Any]:
    store, seen = Evaluations(table), []
    for one in store.list(ANN):
        assert store.plan(one) == _PLAN, "what is listed has its plan"
        seen.append((one.name, one.state, one.done, [outcome.text for outcome in store.outcomes(one)]))
    return seen


def _outcome(text: str) -> Outcome:
    return Outcome(0, 0, text, MessageState.COMPLETE)


def _nothing(_table: Table) -> None:
    return None


def _is_beginning(view: Any) -> bool:
    """Whether a thread of four messages lacks some at its end, and no other."""
    said = view[1:]
    return said == [(f"{n:020x}", text) for n, text in enumerate(("one", LONG, "three", "four"), 1)][: len(said)]


CONVERSATIONS = (
    Scenario("begin", _nothing, lambda t, _: Conversations(t).create(ANN, "plain", "New"), _said, twice=True),
    Scenario("rename", _thread, lambda t, c: Conversations(t).rename(ANN, c, "Queues"), _said),
    Scenario("choose the assistant", _thread, lambda t, c: Conversations(t).set_assistant(ANN, c, "aws_cli"), _said),
    Scenario("delete", _thread, lambda t, c: Conversations(t).delete(ANN, c), _said),
    Scenario("say", _thread, lambda t, c: Conversations(t).save(c, _message(5, "five")), _said),
    Scenario("say at length", _thread, lambda t, c: Conversations(t).save(c, _message(5, LONG)), _said),
    Scenario("make it longer", _thread, lambda t, c: Conversations(t).save(c, _message(2, LONG + LONG)), _said),
    Scenario("make it shorter", _thread, lambda t, c: Conversations(t).save(c, _message(2, "two")), _said),
    Scenario("delete a message", _thread, lambda t, c: Conversations(t).delete_message(c, _message(2, "").id), _said),
    Scenario(
        "delete from a message",
        _thread,
        lambda t, c: Conversations(t).delete_from(c, _message(2, "").id),
        _said,
        between=_is_beginning,
    ),
)
PROGRAMS = (
    Scenario(
        "begin a program",
        _nothing,
        lambda t, _: Programs(t).create(ANN, "python", (SourceFile("main.py", "print(1)"),)),
        _programs,
        twice=True,
    ),
    Scenario(
        "change a program",
        _program,
        lambda t, p: Programs(t).save(replace(p, name="Bye", files=(SourceFile("main.py", "print(2)"),))),
        _programs,
    ),
    Scenario("delete a program", _program, lambda t, p: Programs(t).delete(ANN, p.id), _programs),
    Scenario("keep a run", _program, lambda t, p: Programs(t).add_run(p.id, _run(2)), _programs),
)
LAB = (
    Scenario(
        "save a new template",
        _nothing,
        lambda t, _: Templates(t).save(Template("", ANN, "New")),
        _templates,
        twice=True,
    ),
    Scenario(
        "save a template",
        _template,
        lambda t, one: Templates(t).save(replace(one, sheet=Sheet(f"{LONG}!"))),
        _templates,
    ),
    Scenario("rename a template", _template, lambda t, one: Templates(t).rename(ANN, one.id, "Short"), _templates),
    Scenario("make a copilot", _template, lambda t, one: Templates(t).set_copilot(ANN, one.id, True), _templates),
    Scenario("delete a template", _template, lambda t, one: Templates(t).delete(ANN, one.id), _templates),
    Scenario("keep the draft", _nothing, lambda t, _: Templates(t).keep_draft(ANN, Draft(Sheet(LONG))), _draft),
    Scenario(
        "save a new set",
        _nothing,
        lambda t, _: CaseSets(t).save(CaseSet("", ANN, "New", Cases(("text",), ((LONG,),)))),
        _case_sets,
        twice=True,
    ),
    Scenario(
        "save a set",
        _case_set,
        lambda t, one: CaseSets(t).save(replace(one, name="Long", cases=Cases(("text",), ((LONG,),)))),
        _case_sets,
    ),
    Scenario("delete a set", _case_set, lambda t, one: CaseSets(t).delete(ANN, one.id), _case_sets),
    Scenario("begin an evaluation", _nothing, lambda t, _: _evaluation(t), _evaluations, twice=True),
    Scenario("count a trial", _evaluation, lambda t, e: Evaluations(t).save(replace(e, done=1)), _evaluations),
    Scenario("keep an outcome", _evaluation, lambda t, e: Evaluations(t).add(e, _outcome(LONG)), _evaluations),
    Scenario("delete an evaluation", _evaluation, lambda t, e: Evaluations(t).delete(ANN, e.id), _evaluations),
)
CHOICES = (
    Scenario(
        "choose a language",
        _nothing,
        lambda t, _: Preferences(t).change(ANN, language="zh"),
        lambda t, _: Preferences(t).get(ANN),
    ),
    Scenario(
        "note a good test",
        _nothing,
        lambda t, _: Preferences(t).record_test(ANN, "m"),
        lambda t, _: list(Preferences(t).tested_models(ANN)),
    ),
)


# --- accounts and sign-ins ---


def _account(table: Table) -> str:
    return Accounts(table).create(ANN, "hash", ("admin",)).username


def _accounts(table: Table, _made: object) -> list[Any]:
    return [(one.username, one.password_hash, one.roles, one.disabled) for one in Accounts(table).all()]


def _signed_in(table: Table) -> list[str]:
    sign_ins = SignIns(table, 3600, 3600)
    return [sign_ins.open(ANN), sign_ins.open(ANN)]


def _open(table: Table, sids: list[str]) -> list[str | None]:
    return [SignIns(table, 3600, 3600).find(sid) for sid in sids]


def _close_one(table: Table, sids: list[str]) -> None:
    SignIns(table, 3600, 3600).close(sids[0])


ACCOUNTS = (
    Scenario("add an account", _nothing, lambda t, _: Accounts(t).create(ANN, "hash"), _accounts),
    Scenario("set a password", _account, lambda t, name: Accounts(t).set_password(name, "new"), _accounts),
    Scenario("disable an account", _account, lambda t, name: Accounts(t).set_disabled(name, True), _accounts),
    Scenario("give a role", _account, lambda t, name: Accounts(t).set_role(name, "my_aws", True), _accounts),
    Scenario("sign out", _signed_in, _close_one, _open),
    Scenario("sign out everywhere", _signed_in, lambda t, _: SignIns(t, 3600, 3600).close_all(ANN), _open),
)
