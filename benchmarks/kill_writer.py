"""Writes to every store at once until it is killed, and says on standard output what was acknowledged.

`python -m benchmarks.kill_writer STORE ROUND [EVALUATION]`, where STORE is a file of SQLite or the address of a DynamoDB. It
begins when it reads a line. Each line that it writes is a JSON list; `kill_rounds` reads them. A line is written once the
store has answered, never before: what it says must be there, whatever happens then.

    ["message", thread, message id, n]      n-th saving of this message: its text is `text_of(n)`
    ["template", id, n]                     n-th version, of `text_of(n)`
    ["program", id, n], ["run", program id, run id], ["cases", id, n], ["account", name, n], ["preferences", name, n]
    ["sign-in", sid, name]                  open
    ["signed-out", sid, name]               ended
    ["deleted", conversation id]
    ["evaluation", id, trials], ["outcome", id, row, variant], ["evaluated", id]
    ["seen", thread, message id, characters, monotonic seconds]      a reader could see so much of a reply
    ["reply", thread, message id, characters]                        so much of it was saved
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.evaluator import Evaluator
from codecoach.coach.generation import Generations
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.models.port import ModelRequest, TextDelta, Turn
from codecoach.store import dynamodb, dynamodb_table, keys
from codecoach.store.accounts import Accounts
from codecoach.store.case_sets import CaseSet, CaseSets
from codecoach.store.conversations import Conversations
from codecoach.store.evaluations import Evaluation, Evaluations
from codecoach.store.layout import make_ready
from codecoach.store.port import Table
from codecoach.store.preferences import Preferences
from codecoach.store.programs import Programs, RunRecord, SourceFile
from codecoach.store.sign_ins import SignIns
from codecoach.store.sqlite import SqliteTable
from codecoach.store.templates import Template, Templates

TABLE = "kill-rounds"
MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
ROWS = 40
TRIAL_S = 0.01
TOKEN_S = 0.02
# So much is a round later than the one before, for whatever has to look abandoned.
ROUND_S = 3600
_LONGEST = 200_000


def open_table(store: str) -> Table:
    """The table of a file or an address, made where there is none."""
    if not store.startswith("http"):
        return SqliteTable(Path(store))
    client = dynamodb.client("us-east-1", store)
    dynamodb_table.ensure(client, TABLE)
    return dynamodb.DynamoTable(client, TABLE)


def text_of(number: int) -> str:
    """What is written the n-th time: it says its number, and is as long as takes no part, one, or several."""
    return f"{number}:" + f"{number % 10}" * (number * 7919 % _LONGEST)


def say(*words: object) -> None:
    """One line in one write, so that none is ever half of another."""
    try:
        os.write(1, json.dumps(words).encode() + b"\n")
    except BrokenPipeError:  # who wanted to kill us was ended itself
        os._exit(1)


class Writers:
    """What writes at the same time, each to things of its own."""

    def __init__(self, table: Table, round_number: int, evaluation: str) -> None:
        self.table = table
        self.user = f"user{round_number}@example.com"
        self.conversations = Conversations(table)
        self._evaluation = evaluation
        self._later = timedelta(seconds=round_number * ROUND_S)

    def all(self) -> tuple[Callable[[], object], ...]:
        return (
            *(self.evaluations, self.reply, self.messages, self.templates, self.programs, self.cases),
            *(self.accounts, self.preferences, self.sign_ins, self.deletions),
        )

    def messages(self) -> None:
        thread = self.conversations.create(self.user, "plain").id
        message = Message(self.conversations.new_message_id(), Role.ASSISTANT, "", datetime.now(UTC))
        for number in _numbers():
            self.conversations.save(thread, replace(message, text=text_of(number)))
            say("message", thread, message.id, number)

    def templates(self) -> None:
        templates, template = Templates(self.table), Template("", self.user, "Summary")
        for number in _numbers():
            template = templates.save(replace(template, sheet=Sheet(text_of(number))))
            say("template", template.id, number)

    def programs(self) -> None:
        programs = Programs(self.table)
        program = programs.create(self.user, "python", (SourceFile("main.py", ""),))
        for number in _numbers():
            program = programs.save(replace(program, files=(SourceFile("main.py", text_of(number)),)))
            say("program", program.id, number)
            output = text_of(number)
            record = RunRecord(
                keys.time_ordered_id(), datetime.now(UTC), "python", "ok", 0, None, output, "", False, 0.1
            )
            programs.add_run(program.id, record)
            say("run", program.id, record.id, number)

    def cases(self) -> None:
        sets, one = CaseSets(self.table), CaseSet("", self.user, "Words")
        for number in _numbers():
            one = sets.save(replace(one, cases=Cases(("text",), ((text_of(number),),))))
            say("cases", one.id, number)

    def accounts(self) -> None:
        accounts = Accounts(self.table)
        accounts.create(self.user, "0")
        for number in _numbers():
            accounts.set_password(self.user, f"{number}")
            say("account", self.user, number)

    def preferences(self) -> None:
        preferences = Preferences(self.table)
        for number in _numbers():
            preferences.change(self.user, model_id=f"{number}")
            say("preferences", self.user, number)

    def sign_ins(self) -> None:
        sign_ins = SignIns(self.table, 3600, 3600)
        while True:
            kept, ended = sign_ins.open(self.user), sign_ins.open(self.user)
            say("sign-in", kept, self.user)
            sign_ins.close(ended)
            say("signed-out", ended, self.user)

    def deletions(self) -> None:
        message = Message(keys.time_ordered_id(), Role.USER, "x" * 100_000, datetime.now(UTC))
        while True:
            thread = self.conversations.create(self.user, "plain").id
            self.conversations.save(thread, message)
            self.conversations.delete(self.user, thread)
            say("deleted", self.user, thread)

    def evaluations(self) -> None:
        """Goes on with the evaluation of the process that was killed before, then makes new ones."""
        store = SayingEvaluations(self.table, lambda: datetime.now(UTC) + self._later)
        evaluator = Evaluator(QuickTrials(), store)  # type: ignore[arg-type]
        if old := store.get("everybody", self._evaluation):
            job = evaluator.resume(old)
            _end(job)
        while True:
            rows = tuple((f"{row}",) for row in range(ROWS))
            plan = Plan(Cases(("n",), rows), tuple(Variant(name, Sheet("Say {n}", model_id=MODEL)) for name in "ab"))
            job = evaluator.start("everybody", "Numbers", plan)
            say("evaluation", job.id, len(plan.trials))
            _end(job)

    def reply(self) -> None:
        """A reply as it is written in the Chat, with somebody looking on."""
        store = SayingConversations(self.table)
        thread = store.create(self.user, "plain").id
        message = Message(store.new_message_id(), Role.ASSISTANT, "", datetime.now(UTC), MessageState.STREAMING)
        request = ModelRequest("m", (Turn(Role.USER, "count"),))
        generation = Generations(TickingModel(), store).start(thread, request, message)
        seen = 0
        while True:
            seen = len(generation.wait(seen, 1.0).text)
            say("seen", thread, message.id, seen, time.monotonic())


class SayingConversations(Conversations):
    """Says what was saved of a reply."""

    def save(self, thread_id: str, message: Message) -> Message:
        saved = super().save(thread_id, message)
        say("reply", thread_id, message.id, len(message.text))
        return saved


class SayingEvaluations(Evaluations):
    """Says what was kept of an evaluation."""

    def add(self, evaluation: Evaluation, outcome: Outcome) -> None:
        super().add(evaluation, outcome)
        say("outcome", evaluation.id, outcome.row, outcome.variant)


class QuickTrials:
    """Trials whose answers say which they are."""

    def make(self, plan: Plan, row: int, variant: int, *_surroundings: object) -> Outcome:
        time.sleep(TRIAL_S)
        return Outcome(row, variant, f"{row}.{variant} of {len(plan.trials)}", MessageState.COMPLETE)


class TickingReply:
    """A reply without end."""

    def __iter__(self) -> Iterator[TextDelta]:
        for number in _numbers():
            yield TextDelta(f"{number} ")
            time.sleep(TOKEN_S)

    def close(self) -> None:
        """Nothing is open."""


class TickingModel:
    def stream(self, _request: ModelRequest) -> TickingReply:
        return TickingReply()


def reply_text(characters: int) -> str:
    """What a `TickingReply` has said when it has said so much."""
    said, number = "", 0
    while len(said) < characters:
        number += 1
        said += f"{number} "
    return said[:characters]


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


def _end(job: object) -> None:
    job.join(600)  # type: ignore[attr-defined]
    say("evaluated", job.id)  # type: ignore[attr-defined]


def main() -> None:
    store, round_number, evaluation = (*sys.argv[1:], "")[:3]
    sys.stdin.readline()
    table = make_ready(open_table(store))
    for write in Writers(table, int(round_number), evaluation).all():
        threading.Thread(target=_held_to_it, args=(write,), daemon=True).start()
    threading.Event().wait()


def _held_to_it(write: Callable[[], object]) -> None:
    """An error is no acknowledgement, but here nothing may fail."""
    try:
        write()
    except BaseException as error:
        say("failed", repr(error))
        raise


if __name__ == "__main__":
    main()
