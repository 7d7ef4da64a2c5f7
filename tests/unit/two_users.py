"""Two users at one store: everything that can be done with it, done at random, with ids of one's own, of the other's and edited.

Each text that a user writes carries their mark. Right before the real table stands a spy that knows whose every item is.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from codecoach.chat.messages import Conversation, Message, MessageState, Role, Usage
from codecoach.errors import CodeCoachError
from codecoach.i18n import Language
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.models.port import Finished, ModelEvent, ModelRequest, TextDelta
from codecoach.runner.port import File, RunEvent, RunRequest, RunResult, RunStatus, StageResult
from codecoach.services import Services
from codecoach.store import keys, owned
from codecoach.store.case_sets import CaseSet
from codecoach.store.port import Delete, Item, Key, Page, Put, Table
from codecoach.store.programs import RunRecord, SourceFile
from codecoach.store.templates import Draft, Template

ANN, BOB = "ann@example.com", "bob@example.com"
MARKS = {ANN: "<mark of ann>", BOB: "<mark of bob>"}
MODEL = "anthropic.claude-haiku-5-5"
REFUSED = object()
"""What came of something that raised one of our errors."""


class Spy:
    """A table that notes every access to what belongs to another than whoever acts."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._owners = {keys.bench(user, ""): user for user in MARKS}
        self._lock = threading.Lock()
        self.crossings: list[str] = []

    def get(self, key: Key) -> Item | None:
        self._read(key.partition, key.sort)
        return self._table.get(key)

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        for key in keys:
            self._read(key.partition, key.sort)
        return self._table.batch_get(keys)

    def query(self, partition: str, sort_prefix: str = "", **options) -> Page:
        self._read(partition, sort_prefix)
        return self._table.query(partition, sort_prefix, **options)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        self._write(item.key)
        return self._table.put(item, expected_version)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        self._write(key)
        self._table.delete(key, expected_version)

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        for operation in operations:
            self._write(operation.item.key if isinstance(operation, Put) else operation.key)
        self._table.transact(operations)

    def ping(self) -> str:
        return self._table.ping()

    def close(self) -> None:
        self._table.close()

    def _read(self, partition: str, sort: str) -> None:
        self._note("read", partition, sort, self._owner(partition, sort))

    def _write(self, key: Key) -> None:
        with self._lock:
            if key.partition.startswith("thread#") and key.sort in ("program", "plan"):
                self._owners.setdefault(_root(key.partition), owned.acting() or "")
        owner = self._owner(key.partition, key.sort)
        self._note("wrote", key.partition, key.sort, "" if owner is None else owner)

    def _owner(self, partition: str, sort: str) -> str | None:
        """Whose it is; None for a thread that nobody has begun."""
        if partition.startswith("user#"):
            return partition.removeprefix("user#")
        if partition.startswith("usage#") or partition == keys.BUDGETS:
            return sort  # what all have used in a month, an item for each
        with self._lock:
            return self._owners.get(_root(partition))

    def begun(self, thread_id: str, owner: str) -> None:
        with self._lock:
            self._owners[thread_id] = owner

    def _note(self, what: str, partition: str, sort: str, owner: str | None) -> None:
        if owned.acting() is not None and owner not in (None, owned.acting()):
            self.crossings.append(f"{owned.acting()} {what} {partition} {sort}, which is {owner or 'nobody'}'s")


def _root(partition: str) -> str:
    thread_id = partition.removeprefix("thread#")
    return thread_id[:69] if thread_id.startswith("lab-") else thread_id.split(".")[0]


class MarkedModel:
    """A model that says back whose question it was."""

    def stream(self, request: ModelRequest) -> Iterator[ModelEvent]:
        yield TextDelta(f"```python\nprint('{marked(request.turns[-1].text)}')\n```")
        yield Finished("end_turn", Usage(1, 2))


class MarkedRunner:
    """A runner whose programs print whose they are."""

    def runtimes(self):
        return ()

    def run(self, request: RunRequest) -> Iterator[RunEvent]:
        said = marked(request.files[0].content.decode())
        yield RunResult(RunStatus.OK, StageResult(0, None, said, "", False, 0.1))

    def cancel(self, job_id: str) -> None:
        """It has ended."""


def marked(text: str) -> str:
    return next((mark for mark in MARKS.values() if mark in text), "no mark")


@dataclass
class View:
    """What a user must find: names by id, and of each thread the texts of its messages by their ids."""

    conversations: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, str] = field(default_factory=dict)
    threads: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: dict[str, set[str]] = field(default_factory=dict)
    model_id: str = ""
    draft: str = ""

    def ids(self) -> list[str]:
        return [
            *self.conversations,
            *self.programs,
            *self.templates,
            *self.cases,
            *self.evaluations,
            *(message_id for thread in self.threads.values() for message_id in thread),
        ]


class World:
    """Two users, what they must find, and one random thing after another that one of them does."""

    def __init__(self, services: Services, spy: Spy, seed: int) -> None:
        self.services = services
        self.spy = spy
        self.random = random.Random(seed)
        self.views = {ANN: View(), BOB: View()}
        self.history: list[str] = []
        self.user = ANN
        self.deeds: list[Callable[[], object]] = [
            value for name in dir(self) if name.startswith("do_") and callable(value := getattr(self, name))
        ]

    def step(self) -> None:
        """One of them does something; nothing of the other's may be touched or come to light."""
        self.user = self.random.choice((ANN, BOB))
        deed = self.random.choice(self.deeds)
        owned.act_as(self.user)
        result = deed()
        told = "refused" if result is REFUSED else repr(result)
        self.history.append(f"{self.user} {deed.__name__}: {told[:200]}")
        assert MARKS[self.other] not in told, self.history[-10:]
        assert self.spy.crossings == [], (self.spy.crossings, self.history[-10:])

    def compare(self) -> None:
        """Each finds what they must, and nothing else."""
        for user, view in self.views.items():
            owned.act_as(user)
            kept, service = self.services, self.history[-10:]
            assert {c.id: c.title for c in kept.conversations.list(user, 10_000).conversations} == view.conversations, (
                service
            )
            assert {p.id: p.name for p in kept.programs.list(user, 10_000)} == view.programs, service
            assert {one.id: one.name for one in kept.templates.list(user)} == view.templates, service
            assert {one.id: one.name for one in kept.case_sets.list(user)} == view.cases, service
            assert {one.id: one.name for one in kept.evaluations.list(user, 10_000)} == view.evaluations, service
            assert kept.preferences.get(user).model_id == view.model_id
            draft = kept.templates.draft(user)
            assert (draft.sheet.text if draft else "") == view.draft
            for thread, texts in view.threads.items():
                assert self._texts(thread) == texts, (thread, service)
            for thread, runs in view.runs.items():
                assert {run.id for run in kept.programs.runs(thread, 100)} == runs, (thread, service)

    # --- what is chosen at random ---

    @property
    def other(self) -> str:
        return BOB if self.user == ANN else ANN

    @property
    def view(self) -> View:
        return self.views[self.user]

    def text(self) -> str:
        return f"{MARKS[self.user]} {self.random.randrange(10**6)}"

    def owner(self) -> str:
        """Mostly oneself; else the other, as in a click on what somebody who used this browser before has left."""
        return self.user if self.random.random() < 0.85 else self.other

    def an_id(self, own: Sequence[str] | dict[str, str], theirs: Sequence[str] | dict[str, str]) -> str:
        """An id of one's own, of the other's, or one that was edited."""
        own, theirs, chance = list(own), list(theirs), self.random.random()
        if own and chance < 0.6:
            return self.random.choice(own)
        if theirs and chance < 0.85:
            return self.random.choice(theirs)
        return self._edited(self.random.choice([*own, *theirs, *self.views[self.other].ids(), keys.new_id()]))

    def _edited(self, known: str) -> str:
        place = self.random.randrange(len(known) + 1)
        return self.random.choice(
            (
                known[:place] + self.random.choice("#.0af/ %\0") + known[place:],
                known[:place],
                f"{known}#",
                f"{known}.explained",
                f"{known}.{known}.0",
                f"message#{known}",
                keys.bench(self.other, "one"),
                keys.bench(self.other, "one") + ".x",
                f"../user#{self.other}",
                "",
                known.upper(),
                f" {known}",
            )
        )

    def conversation_id(self) -> str:
        return self.an_id(self.view.conversations, self.views[self.other].conversations)

    def program_id(self) -> str:
        return self.an_id(self.view.programs, self.views[self.other].programs)

    def thread_id(self) -> str:
        """Of any kind."""
        return self.random.choice((self.conversation_id, self.program_id, self.evaluation_id))()

    def evaluation_id(self) -> str:
        return self.an_id(self.view.evaluations, self.views[self.other].evaluations)

    def message_id(self, thread_id: str) -> str:
        return self.an_id(self.view.threads.get(thread_id, {}), self.views[self.other].threads.get(thread_id, {}))

    def conversation(self) -> Conversation:
        """A value as a page may hold it, true or forged."""
        conversation_id = self.conversation_id()
        title = self.view.conversations.get(conversation_id, "forged")
        now = datetime.now(UTC)
        return Conversation(
            conversation_id, self.owner(), title, "plain", now, now, version=self.random.randrange(1, 5)
        )

    def mine(self, owner: str, item_id: str, known: dict[str, str]) -> bool:
        return owner == self.user and item_id in known

    def _texts(self, thread_id: str) -> dict[str, str]:
        return {
            message.id: message.text for message in self.services.conversations.messages(thread_id, 10_000).messages
        }

    def _take_over(self, thread_id: str) -> None:
        """After turns at the model: what is there now must be the user's, and is what they must find from now on."""
        texts = self._texts(thread_id)
        assert all(marked(text) == MARKS[self.user] for text in texts.values()), texts
        self.view.threads[thread_id] = texts

    def expect(self, done: object, allowed: bool) -> object:
        """Nothing may have come of what was not allowed; returns what came."""
        if not allowed:
            assert done is REFUSED or not done or _empty(done), (done, self.history[-5:])
        return done

    # --- conversations ---

    def do_create_conversation(self) -> object:
        owner, title = self.owner(), self.text()
        made = attempt(lambda: self.services.conversations.create(owner, "plain", title))
        if self.expect(made, owner == self.user) is not REFUSED:
            self.spy.begun(made.id, self.user)
            self.view.conversations[made.id] = title
            self.view.threads[made.id] = {}
        return made

    def do_get_conversation(self) -> object:
        owner, wanted = self.owner(), self.conversation_id()
        found = attempt(lambda: self.services.conversations.get(owner, wanted))
        allowed = self.mine(owner, wanted, self.view.conversations)
        assert bool(found) == allowed
        return found

    def do_list(self) -> object:
        owner, kept = self.owner(), self.services
        asked = self.random.choice(
            (
                lambda: kept.conversations.list(owner, 5).conversations,
                lambda: kept.conversations.search(owner, "mark").conversations,
                lambda: kept.programs.list(owner),
                lambda: kept.templates.list(owner),
                lambda: kept.templates.draft(owner),
                lambda: kept.case_sets.list(owner),
                lambda: kept.evaluations.list(owner),
                lambda: kept.copilots.list(owner),
                lambda: kept.preferences.tested_models(owner),
                lambda: kept.bench.answer(owner, "one"),
            )
        )
        return self.expect(attempt(asked), owner == self.user)

    def do_change_conversation(self) -> object:
        owner, wanted, title = self.owner(), self.conversation_id(), self.text()
        conversations = self.services.conversations
        change = self.random.choice(("rename", "set_assistant", "touch"))
        given = {"rename": (title,), "set_assistant": ("aws_cli",), "touch": ()}[change]
        done = attempt(lambda: getattr(conversations, change)(owner, wanted, *given))
        if self.mine(owner, wanted, self.view.conversations):
            assert done is not REFUSED
            if change == "rename":
                self.view.conversations[wanted] = title
        else:
            assert done is REFUSED
        return done

    def do_delete_conversation(self) -> object:
        if self.random.random() < 0.5:  # or there would soon be none
            return None
        owner, wanted = self.owner(), self.conversation_id()
        done = attempt(lambda: self.services.conversations.delete(owner, wanted))
        if self.mine(owner, wanted, self.view.conversations):
            del self.view.conversations[wanted]
            self._forget_thread(wanted)
        return done

    def _forget_thread(self, thread_id: str) -> None:
        self.view.threads[thread_id] = {}
        for thread in list(self.view.runs):
            if thread.split(".")[0] == thread_id:
                self.view.runs[thread] = set()

    def do_save_message(self) -> object:
        thread = self.conversation_id()
        message_id = self.random.choice((self.services.conversations.new_message_id(), self.message_id(thread)))
        message = Message(message_id, Role.USER, self.text(), datetime.now(UTC))
        done = attempt(lambda: self.services.conversations.save(thread, message))
        if thread in self.view.conversations and done is not REFUSED:
            self.view.threads[thread][message_id] = message.text
        elif thread in self.views[self.other].conversations:
            assert done is REFUSED
        return done

    def do_read_thread(self) -> object:
        thread = self.thread_id()
        message_id = self.message_id(thread)
        kept = self.services
        asked = self.random.choice(
            (
                lambda: kept.conversations.messages(thread).messages,
                lambda: kept.conversations.get_message(thread, message_id),
                lambda: kept.conversations.stop_requested(thread, message_id),
                lambda: kept.programs.runs(thread),
                lambda: kept.programs.runs(keys.block(thread, message_id, 0)),
                lambda: kept.programs.run(thread, message_id),
                lambda: kept.conversations.messages(keys.explanations(thread)).messages,
                lambda: kept.generations.find(thread),
                lambda: kept.runs.find(thread),
                lambda: kept.evaluator.find(thread),
            )
        )
        return self.expect(attempt(asked), self._mine_is_going(thread) or thread not in self.views[self.other].ids())

    def _mine_is_going(self, thread: str) -> bool:
        """What one has begun oneself in a thread of the other's, unsaved, is there for oneself."""
        job = self.services.runs.find(thread)
        return job is not None and job.owner == self.user

    def do_delete_message(self) -> object:
        thread = self.conversation_id()
        message_id = self.message_id(thread)
        whole = self.random.random() < 0.3
        conversations = self.services.conversations
        delete = conversations.delete_from if whole else conversations.delete_message
        done = attempt(lambda: delete(thread, message_id))
        if thread in self.view.conversations and done is not REFUSED:
            texts = self.view.threads[thread]
            gone = {one for one in texts if one == message_id or (whole and one >= message_id)}
            self.view.threads[thread] = {one: text for one, text in texts.items() if one not in gone}
            for runs in [one for one in self.view.runs if one.startswith(tuple(f"{thread}.{one}." for one in gone))]:
                self.view.runs[runs] = set()
        return done

    def do_stop(self) -> object:
        thread = self.thread_id()
        message_id = self.message_id(thread)
        kept = self.services
        asked = self.random.choice(
            (
                lambda: kept.generations.stop(thread, message_id),
                lambda: kept.conversations.request_stop(thread, message_id),
                lambda: kept.conversations.clear_stop(thread, message_id),
                lambda: kept.evaluations.request_stop(thread),
                lambda: kept.evaluations.clear_stop(thread),
                lambda: kept.evaluator.stop(thread),
            )
        )
        return attempt(asked)

    # --- turns at the model ---

    def do_ask(self) -> object:
        conversation, text = self.conversation(), self.text()
        message_id = self.message_id(conversation.id)
        coach, message = self.services.coach, Message(message_id, Role.ASSISTANT, "", datetime.now(UTC))
        asked = self.random.choice(
            (
                lambda: coach.ask(conversation, text, MODEL),
                lambda: coach.ask(conversation, text, MODEL),
                lambda: coach.resend(conversation, message_id, text, MODEL),
                lambda: coach.retry(conversation, message, MODEL),
            )
        )
        done = attempt(asked)
        if done is not REFUSED:
            assert done.join(60)
        if conversation.id in self.view.conversations:
            self._take_over(conversation.id)
        else:
            assert done is REFUSED
        return done

    def do_fix(self) -> object:
        wanted = self.program_id()
        program = attempt(lambda: self.services.programs.get(self.user, wanted))
        if not program:
            return program
        forged = replace(program, id=self.program_id(), owner=self.owner())
        fixer = self.services.fixer
        asked = self.random.choice(
            (
                lambda: fixer.explain(forged, Language.EN, MODEL),
                lambda: fixer.fix(forged, record(self.text()), Language.EN, MODEL),
            )
        )
        done = attempt(asked)
        if done is not REFUSED:
            assert done.join(60)
            assert forged.id in self.view.programs
            self._take_over(done.thread_id)
        return done

    # --- programs and runs ---

    def do_create_program(self) -> object:
        owner, text = self.owner(), self.text()
        made = attempt(
            lambda: self.services.programs.create(owner, "python", (SourceFile("main.py", text),), name=text)
        )
        if self.expect(made, owner == self.user) is not REFUSED:
            self.view.programs[made.id] = text
        return made

    def do_save_program(self) -> object:
        wanted, text = self.program_id(), self.text()
        program = attempt(lambda: self.services.programs.get(self.user, wanted))
        assert bool(program) == (wanted in self.view.programs)
        if not program:
            return program
        forged = replace(
            program,
            id=wanted if self.random.random() < 0.6 else self.program_id(),
            owner=self.owner(),
            name=text,
            version=self.random.choice((program.version, program.version, 0, 1, 2)),
        )
        done = attempt(lambda: self.services.programs.save(forged))
        if done is not REFUSED:
            assert self.mine(forged.owner, forged.id, self.view.programs)
            self.view.programs[forged.id] = text
        return done

    def do_delete_program(self) -> object:
        if self.random.random() < 0.5:
            return None
        owner, wanted = self.owner(), self.program_id()
        done = attempt(lambda: self.services.programs.delete(owner, wanted))
        if self.mine(owner, wanted, self.view.programs):
            del self.view.programs[wanted]
            self._forget_thread(wanted)
            self._forget_thread(keys.explanations(wanted))
        return done

    def do_run(self) -> object:
        thread, owner = self.thread_id(), self.owner()
        if thread in self.view.conversations and self.view.threads[thread]:
            thread = keys.block(thread, self.random.choice(list(self.view.threads[thread])), 0)
        request = RunRequest("", "python", (File("main.py", self.text().encode()),))
        job = attempt(lambda: self.services.runs.start(thread, request, session=owner))
        if job is REFUSED:
            return job
        assert self.services.runs.find(thread) is job
        assert owner == self.user
        assert job.join(60)
        if job.unsaved is None and self._keeps_runs(thread):
            self.view.runs.setdefault(thread, set()).add(job.id)
            self.view.runs[thread] = set(sorted(self.view.runs[thread])[-30:])
        return (job.record, job.unsaved)

    def _keeps_runs(self, thread: str) -> bool:
        root, *rest = thread.split(".")
        if len(rest) == 2:  # of a block, whose message must be there
            return rest[0] in self.view.threads.get(root, {})
        return root in (*self.view.programs, *self.view.evaluations, *self.view.conversations)

    # --- the Prompt Lab ---

    def do_save_template(self) -> object:
        owner, text = self.owner(), self.text()
        wanted = self.random.choice(("", self.an_id(self.view.templates, self.views[self.other].templates)))
        known = attempt(lambda: self.services.templates.get(self.user, wanted))
        version = known.version if known else 0
        template = Template(wanted, owner, text, Sheet(text), copilot=True, version=version)
        done = attempt(lambda: self.services.templates.save(template))
        if self.expect(done, owner == self.user) is not REFUSED:
            self.view.templates[done.id] = text
        if done is not REFUSED and not keys.is_id(done.id):  # no page can make such an id; nothing of it is found
            attempt(lambda: self.services.templates.delete(self.user, done.id))
            del self.view.templates[done.id]
        return done

    def do_change_template(self) -> object:
        owner, wanted = self.owner(), self.an_id(self.view.templates, self.views[self.other].templates)
        name, templates = self.text(), self.services.templates
        change = self.random.choice(("rename", "versions", "duplicate", "delete", "copilot", "voice"))
        allowed = self.mine(owner, wanted, self.view.templates)
        asked = {
            "rename": lambda: templates.rename(owner, wanted, name),
            "versions": lambda: templates.versions(owner, wanted),
            "duplicate": lambda: templates.duplicate(owner, wanted, name),
            "delete": lambda: templates.delete(owner, wanted),
            "copilot": lambda: templates.set_copilot(owner, wanted, True),
            "voice": lambda: self.services.copilots.voice(owner, f"copilot-{wanted}"),
        }
        done = self.expect(attempt(asked[change]), allowed)
        if allowed and done is not REFUSED and change in ("rename", "duplicate"):
            self.view.templates[done.id] = name
        if allowed and change == "delete":
            del self.view.templates[wanted]
        return done

    def do_draft(self) -> object:
        owner, text = self.owner(), self.text()
        done = attempt(lambda: self.services.templates.keep_draft(owner, Draft(Sheet(text))))
        if owner == self.user:
            self.view.draft = text
        else:
            assert done is REFUSED
        return done

    def do_case_set(self) -> object:
        owner, name = self.owner(), self.text()
        wanted = self.random.choice(("", self.an_id(self.view.cases, self.views[self.other].cases)))
        case_sets = self.services.case_sets
        if self.random.random() < 0.3:
            done = attempt(lambda: case_sets.delete(owner, wanted))
            if self.mine(owner, wanted, self.view.cases):
                del self.view.cases[wanted]
            return done
        known = attempt(lambda: case_sets.get(self.user, wanted))
        made = CaseSet(wanted if known else "", owner, name, Cases(), version=known.version if known else 0)
        done = attempt(lambda: case_sets.save(made))
        if self.expect(done, owner == self.user) is not REFUSED:
            self.view.cases[done.id] = name
        return done

    def do_evaluate(self) -> object:
        owner, name = self.owner(), self.text()
        plan = Plan(Cases(("input",), ((name,),)), (Variant(name, Sheet(name, model_id=MODEL)),))
        done = attempt(lambda: self.services.evaluations.create(owner, name, plan))
        if self.expect(done, owner == self.user) is not REFUSED:
            self.view.evaluations[done.id] = name
        return done

    def do_use_evaluation(self) -> object:
        wanted, owner, evaluations = self.evaluation_id(), self.owner(), self.services.evaluations
        made = attempt(lambda: evaluations.get(self.user, wanted))
        assert bool(made) == (wanted in self.view.evaluations)
        if not made:
            return made
        forged = replace(made, id=self.evaluation_id(), owner=owner, version=self.random.choice((0, 1, made.version)))
        outcome = Outcome(0, self.random.randrange(3), self.text(), MessageState.COMPLETE)
        asked = self.random.choice(
            (
                lambda: evaluations.save(forged),
                lambda: evaluations.add(forged, outcome),
                lambda: evaluations.plan(forged),
                lambda: evaluations.outcomes(forged),
                lambda: evaluations.get(owner, wanted),
            )
        )
        done = attempt(asked)
        if done is not REFUSED and forged.owner == self.user and forged.id in self.view.evaluations:
            listed = attempt(lambda: evaluations.get(self.user, forged.id))
            self.view.evaluations[forged.id] = listed.name
        return done

    def do_delete_evaluation(self) -> object:
        if self.random.random() < 0.5:
            return None
        owner, wanted = self.owner(), self.evaluation_id()
        done = attempt(lambda: self.services.evaluations.delete(owner, wanted))
        if self.mine(owner, wanted, self.view.evaluations):
            del self.view.evaluations[wanted]
            self._forget_thread(wanted)
        return done

    def do_choose_model(self) -> object:
        owner, model_id = self.owner(), self.text()
        preferences = self.services.preferences
        done = attempt(lambda: preferences.change(owner, model_id=model_id))
        attempt(lambda: preferences.record_test(owner, model_id))
        if owner == self.user:
            self.view.model_id = model_id
        else:
            assert done is REFUSED
        return self.expect(attempt(lambda: preferences.tested_models(owner)), owner == self.user)


def record(said: str) -> RunRecord:
    return RunRecord("", datetime.now(UTC), "python", "failed", 1, None, "", said, False, 0.1)


def attempt(do: Callable[[], object]):
    """What comes of it; `REFUSED` where that is one of our errors."""
    try:
        return do()
    except CodeCoachError:
        return REFUSED


def _empty(found: object) -> bool:
    return found in (Plan(Cases(), ()), "")
