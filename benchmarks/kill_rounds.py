"""`python -m benchmarks.kill_rounds --rounds 500 [--store FILE|URL]`: kill -9 at random moments, and count what was lost.

Each round starts a process that writes to every store from ten threads (`kill_writer`), kills it with SIGKILL at a random
moment, opens the store anew and looks for everything that the process said was saved. An evaluation goes on where the
process before was killed. One round in ten lasts some seconds, so that a reply has text older than two of them.
"""

import argparse
import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.kill_writer import open_table, reply_text, text_of
from codecoach.chat.messages import MessageState
from codecoach.errors import CodeCoachError
from codecoach.store.accounts import Accounts
from codecoach.store.case_sets import CaseSets
from codecoach.store.conversations import Conversations
from codecoach.store.evaluations import Evaluations
from codecoach.store.port import Table
from codecoach.store.preferences import Preferences
from codecoach.store.programs import Programs
from codecoach.store.sign_ins import SignIns
from codecoach.store.templates import Templates

SHORT_S = (0.05, 1.5)
LONG_S = (3.0, 6.0)
LONG_EVERY = 10
ROUNDS_A_FILE = 50
ROOT = Path(__file__).parents[1]


@dataclass
class Figures:
    """What came of all rounds.

    acknowledged  writes that the killed processes said were saved
    losses        what of it was not there, or not whole, in words
    oldest_lost_s how long the oldest text of a reply that was lost had been on the screen, the worst of all rounds
    resumed       evaluations that went on after a kill; `completed` of them came to their end
    """

    rounds: int = 0
    acknowledged: int = 0
    checked: int = 0
    losses: list[str] = field(default_factory=list)
    oldest_lost_s: float = 0.0
    replies: int = 0
    resumed: int = 0
    completed: int = 0

    def __str__(self) -> str:
        lines = [
            f"rounds                            {self.rounds}",
            f"writes acknowledged               {self.acknowledged}",
            f"things looked at afterwards       {self.checked}",
            f"lost, or not whole                {len(self.losses)}",
            f"replies cut in mid-sentence       {self.replies}, all marked interrupted",
            f"oldest text lost of one           {self.oldest_lost_s:.2f} s on the screen",
            f"evaluations gone on with          {self.resumed}, of which {self.completed} came to their end",
        ]
        return "\n".join([*lines, *self.losses])


class Rounds:
    """Rounds on one store."""

    def __init__(self, store: str, figures: Figures) -> None:
        self.store = store
        self.figures = figures
        self._evaluation = ""
        self._trials: dict[str, int] = {}
        self._outcomes: dict[str, set[tuple[int, int]]] = defaultdict(set)

    def run(self, rounds: int) -> int:
        """Do so many rounds, and return how many."""
        for number in range(rounds):
            self._round(number)
            if self.figures.rounds % 10 == 0:
                lost = len(self.figures.losses)
                print(f"{self.figures.rounds} rounds, {self.figures.acknowledged} writes, {lost} lost", file=sys.stderr)
        return rounds

    def _round(self, number: int) -> None:
        writer = self._started(number)
        assert writer.stdin
        assert writer.stdout
        writer.stdin.write(b"go\n")
        writer.stdin.close()
        first = writer.stdout.readline()  # it has begun to write
        long = number % LONG_EVERY == LONG_EVERY - 1
        time.sleep(random.uniform(*(LONG_S if long else SHORT_S)))
        writer.kill()
        died_at = time.monotonic()
        said = [
            json.loads(line)
            for line in (first + writer.stdout.read()).splitlines(keepends=True)
            if line.endswith(b"\n")
        ]
        writer.stdout.close()
        writer.wait()
        self.figures.rounds += 1
        self._check(number, said, died_at)

    def _started(self, number: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "benchmarks.kill_writer", self.store, f"{number}", self._evaluation]
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _check(self, number: int, said: list[list[Any]], died_at: float) -> None:
        self.figures.acknowledged += sum(words[0] not in ("seen", "failed") for words in said)
        self.figures.losses += [f"round {number}: {words[1]}" for words in said if words[0] == "failed"]
        table = open_table(self.store)
        try:
            look = Look(table, number)
            look.at(said, died_at)
            self._follow_evaluations(said, look)
        finally:
            getattr(table, "close", lambda: None)()
        if not self.store.startswith("http"):
            look.expect("integrity", integrity(self.store) == "ok")
        self.figures.checked += look.checked
        self.figures.losses += look.losses
        self.figures.replies += look.replies
        self.figures.oldest_lost_s = max(self.figures.oldest_lost_s, look.oldest_lost_s)

    def _follow_evaluations(self, said: list[list[Any]], look: "Look") -> None:
        """Whatever process kept an outcome, it is there; what came to its end has all of them."""
        resumed = self._evaluation
        if resumed and any(words[0] == "outcome" and words[1] == resumed for words in said):
            self.figures.resumed += 1
        for kind, *words in said:
            if kind == "evaluation":
                self._evaluation, self._trials[words[0]] = words
            elif kind == "outcome":
                self._outcomes[words[0]].add((words[1], words[2]))
            elif kind == "evaluated":
                self.figures.completed += words[0] == resumed
                look.evaluation(words[0], self._outcomes.pop(words[0], set()), self._trials[words[0]])
                self._evaluation = "" if words[0] == self._evaluation else self._evaluation
        if self._evaluation:
            look.evaluation(self._evaluation, self._outcomes[self._evaluation])


class Look:
    """What one round left in the store, against what was said."""

    def __init__(self, table: Table, number: int) -> None:
        # Nobody writes any more: what was being written looks abandoned.
        self._conversations = Conversations(table, lambda: datetime.now(UTC) + timedelta(minutes=1))
        self._table = table
        self._number = number
        self.checked = self.replies = 0
        self.losses: list[str] = []
        self.oldest_lost_s = 0.0

    def expect(self, what: str, holds: bool) -> None:
        self.checked += 1
        if not holds:
            self.losses.append(f"round {self._number}: {what}")

    def at(self, said: list[list[Any]], died_at: float) -> None:
        newest: dict[tuple[Any, ...], int] = {}
        for kind, *words in said:
            if kind in ("message", "template", "program", "cases", "account", "preferences"):
                newest[kind, *words[:-1]] = words[-1]
            elif kind in ("run", "sign-in", "signed-out", "deleted"):
                self._all(kind, words)
        for (kind, *what), number in newest.items():
            self._newest(kind, what, number)
        self._reply(said, died_at)

    def _newest(self, kind: str, what: list[str], number: int) -> None:
        """What was saved again and again: it is as it was saved last, or as it was about to be, and whole."""
        owner = f"user{self._number}@example.com"
        texts = (text_of(number), text_of(number + 1))
        try:
            if kind == "message":
                found = self._conversations.get_message(*what)
                self.expect(f"message {number}", bool(found and found.text in texts))
            elif kind == "template":
                self._template(owner, what[0], number)
            elif kind == "program":
                program = Programs(self._table).get(owner, what[0])
                self.expect(f"program {number}", bool(program and program.files[0].text in texts))
            elif kind == "cases":
                one = CaseSets(self._table).get(owner, what[0])
                self.expect(f"cases {number}", bool(one and one.cases.rows[0][0] in texts))
            elif kind == "account":
                account = Accounts(self._table).get(owner)
                self.expect(f"account {number}", bool(account and int(account.password_hash) in (number, number + 1)))
            elif kind == "preferences":
                chosen = Preferences(self._table).get(owner).model_id
                self.expect(f"preferences {number}", chosen in (f"{number}", f"{number + 1}"))
        except (CodeCoachError, ValueError) as error:
            self.expect(f"{kind} {what}: {error}", False)

    def _template(self, owner: str, template_id: str, number: int) -> None:
        template = Templates(self._table).get(owner, template_id)
        self.expect(
            f"template {number}", bool(template and template.sheet.text in (text_of(number), text_of(number + 1)))
        )
        versions = {one.number: one.sheet.text for one in Templates(self._table).versions(owner, template_id)}
        for version in range(1, number + 1):
            self.expect(f"version {version}", versions.get(version) == text_of(version))

    def _all(self, kind: str, words: list[Any]) -> None:
        """What was done once."""
        if kind == "run":
            run = Programs(self._table).run(words[0], words[1])
            # Of many runs the oldest go; what is there is whole.
            self.expect(f"run {words[2]}", run is None or run.stdout == text_of(words[2]))
        elif kind in ("sign-in", "signed-out"):
            found = SignIns(self._table, 3600, 3600).find(words[0])
            self.expect(kind, found == (words[1] if kind == "sign-in" else None))
        else:
            gone = self._conversations.get(*words) is None and not self._conversations.messages(words[1]).messages
            self.expect(kind, gone)

    def _reply(self, said: list[list[Any]], died_at: float) -> None:
        seen = [(words[3], words[4]) for words in said if words[0] == "seen"]
        saved = [words[1:] for words in said if words[0] == "reply"]
        if not saved:
            return
        thread, message_id, _ = saved[-1]
        found = self._conversations.get_message(thread, message_id)
        self.expect("a reply", bool(found and len(found.text) >= saved[-1][2]))
        if not found:
            return
        self.replies += 1
        self.expect("a reply's text", found.text == reply_text(len(found.text)))
        self.expect("a reply's mark", found.state is MessageState.INTERRUPTED)
        lost_since = min((at for characters, at in seen if characters > len(found.text)), default=died_at)
        self.oldest_lost_s = died_at - lost_since

    def evaluation(self, evaluation_id: str, kept: set[tuple[int, int]], trials: int = 0) -> None:
        """Every outcome that was kept is there, once; where it came to its end, all of them are."""
        store = Evaluations(self._table)
        head = store.get("everybody", evaluation_id)
        self.expect(f"evaluation {evaluation_id}", head is not None)
        if head is None:
            return
        outcomes = store.outcomes(head)
        made = {(one.row, one.variant) for one in outcomes if re.match(rf"{one.row}\.{one.variant} of \d+$", one.text)}
        self.expect(f"outcomes of {evaluation_id}", kept <= made and len(made) == len(outcomes))
        if trials:
            self.expect(f"the end of {evaluation_id}", len(made) == trials == head.done and head.state == "complete")


def integrity(path: str) -> str:
    """What SQLite says of the file, "ok" where nothing is wrong."""
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=500)
    options.add_argument(
        "--store", default="", help="A file of SQLite, or the address of a DynamoDB; default: new files."
    )
    chosen = options.parse_args()
    figures, left = Figures(), chosen.rounds
    while left > 0:  # a new file now and then, for looking through one of a gigabyte takes its time
        with tempfile.TemporaryDirectory() as folder:
            rounds = Rounds(chosen.store or f"{folder}/codecoach.sqlite", figures)
            left -= rounds.run(left if chosen.store else min(left, ROUNDS_A_FILE))
    print(figures)
    sys.exit(bool(figures.losses))


if __name__ == "__main__":
    main()
