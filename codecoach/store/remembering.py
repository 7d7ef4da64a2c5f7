"""A table that remembers for a few seconds what was read from it, for pages, which ask the same at every click.

    table.query(...)                  asks the store, as ever: whoever changes what he reads must see it as it is
    table.lately(since).query(...)    may answer from memory: what was read after `since`, and at most `AGE_S` ago

What this process writes is forgotten at once, so that nobody sees an own change late; what another process writes is seen
`AGE_S` later at the latest. Several who ask the same at the same time wait for one answer:

    reader   asks ─────────────────── old answer ─> not kept: a write crossed it
    writer          put ─── kept ──> forget
    reader                              asks ──> new answer, though the first reader still waits for the old one

Answers are kept by partition and question, so nobody is ever given what is another's. Items are shared between those who
read them: nobody may change their data.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

from codecoach.store.port import Delete, Item, Json, Key, Page, Put, Table

AGE_S: Final = 5.0
# Characters of all that is remembered; of each answer, whatever it holds, some are counted for itself.
REMEMBERED_CHARS: Final = 32_000_000
_ANSWER_CHARS: Final = 500


@dataclass(frozen=True)
class _Question:
    """What is asked of a partition: a page of items whose sort keys begin alike, or a single item by its whole sort key."""

    partition: str
    sort: str
    single: bool = False
    limit: int = 0
    after: str | None = None
    newest_first: bool = False

    def tells_of(self, key: Key) -> bool:
        """Whether the answer may be another one once this item was written."""
        same = key.sort == self.sort if self.single else key.sort.startswith(self.sort)
        return same and key.partition == self.partition


_Answer: TypeAlias = Page | Item | None
_Questions: TypeAlias = tuple[_Question, ...]
_Read: TypeAlias = Callable[[], Mapping[_Question, _Answer]]


@dataclass(eq=False)
class _Asking:
    """Questions on their way to the store; who asks the same waits for the answers.

    crossed  True once something was written meanwhile, of which the answers may or may not tell
    """

    questions: _Questions
    asked_at: float
    crossed: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    answers: Mapping[_Question, _Answer] = field(default_factory=dict)
    error: BaseException | None = None


@dataclass(frozen=True)
class _Remembered:
    asked_at: float
    answer: _Answer
    chars: int


class Remembering:
    """A table, passed on as it is, with a memory of what was read `lately`. Any number of threads may use it."""

    def __init__(
        self, table: Table, clock: Callable[[], float] = time.monotonic, remembered_chars: int = REMEMBERED_CHARS
    ) -> None:
        self._table = table
        self._memory = _Memory(clock, remembered_chars)

    def lately(self, since: float) -> "Lately":
        """A view for drawing: answers may be up to `AGE_S` old, but none was asked for before `since`, a time of the clock."""
        return Lately(self, self._memory, since)

    def get(self, key: Key) -> Item | None:
        return self._table.get(key)

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        return self._table.batch_get(keys)

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        return self._table.query(partition, sort_prefix, limit=limit, after=after, newest_first=newest_first)

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        with self._memory.writing(item.key):
            return self._table.put(item, expected_version)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        with self._memory.writing(key):
            self._table.delete(key, expected_version)

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        with self._memory.writing(*(one.item.key if isinstance(one, Put) else one.key for one in operations)):
            self._table.transact(operations)

    def scan(self) -> Generator[Item, None, None]:
        return self._table.scan()

    def restore(self, items: Sequence[Item]) -> None:
        with self._memory.writing(*(item.key for item in items)):
            self._table.restore(items)

    def ping(self) -> str:
        return self._table.ping()

    def close(self) -> None:
        """Close the table, where it is one that is closed."""
        if close := getattr(self._table, "close", None):
            close()


class View:
    """A table of which something else may be shown than it holds now.

    anew  the table as it is now, for whoever changes what it holds, or finds that two things that were read do not go together
    """

    anew: Table


class Lately(View):
    """A table as it was lately; written to, it is the table itself."""

    def __init__(self, table: Remembering, memory: "_Memory", since: float) -> None:
        self.anew = table
        self._memory = memory
        self._since = since

    def get(self, key: Key) -> Item | None:
        question = _single(key)
        found = self._memory.answers((question,), self._since, lambda: {question: self.anew.get(key)})
        return cast("Item | None", found[question])

    def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        questions = {_single(key): key for key in keys}
        found = self._memory.known(questions, self._since)
        missing = tuple(question for question in questions if question not in found)

        def read() -> dict[_Question, _Answer]:
            items = self.anew.batch_get([questions[question] for question in missing])
            return {question: items.get(questions[question]) for question in missing}

        if missing:
            found |= self._memory.answers(missing, self._since, read)
        return {key: item for question, key in questions.items() if isinstance(item := found[question], Item)}

    def query(
        self,
        partition: str,
        sort_prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        question = _Question(partition, sort_prefix, False, limit, after, newest_first)

        def read() -> dict[_Question, _Answer]:
            page = self.anew.query(partition, sort_prefix, limit=limit, after=after, newest_first=newest_first)
            return {question: page}

        return cast(Page, self._memory.answers((question,), self._since, read)[question])

    def put(self, item: Item, expected_version: int | None = None) -> Item:
        return self.anew.put(item, expected_version)

    def delete(self, key: Key, expected_version: int | None = None) -> None:
        self.anew.delete(key, expected_version)

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        self.anew.transact(operations)

    def scan(self) -> Generator[Item, None, None]:
        return self.anew.scan()

    def restore(self, items: Sequence[Item]) -> None:
        self.anew.restore(items)

    def ping(self) -> str:
        return self.anew.ping()


def lately(table: Table, since: float) -> Table:
    """A table as it was lately, where it or what stands before it remembers; else itself."""
    view: Callable[[float], Table] | None = getattr(table, "lately", None)
    return view(since) if view else table


def as_it_is(table: Table) -> Table:
    """A table as it is now, of a view of how it was lately; of any other itself."""
    return table.anew if isinstance(table, View) else table


def _single(key: Key) -> _Question:
    return _Question(key.partition, key.sort, single=True)


class _Memory:
    """What was answered lately, and what is being asked now."""

    def __init__(self, clock: Callable[[], float], most_chars: int) -> None:
        self._clock = clock
        self._most_chars = most_chars
        self._lock = threading.Lock()
        self._under_way: list[_Asking] = []
        self._kept: OrderedDict[str, dict[_Question, _Remembered]] = OrderedDict()  # the partition used last comes last
        self._chars = 0

    def answers(self, questions: _Questions, since: float, read: _Read) -> Mapping[_Question, _Answer]:
        """The answers to all of the questions: remembered, or those that somebody waits for already, else what `read` reads."""
        with self._lock:
            known = self._known(questions, since)
            if len(known) == len(questions):
                return known
            asking = self._asked(questions, since)
            mine = asking is None
            if asking is None:
                asking = _Asking(questions, self._clock())
                self._under_way.append(asking)
        if mine:
            self._ask(asking, read)
        else:
            asking.over.wait()
        if asking.error:
            raise asking.error
        return asking.answers

    def known(self, questions: Iterable[_Question], since: float) -> dict[_Question, _Answer]:
        """The answers that are remembered."""
        with self._lock:
            return self._known(questions, since)

    @contextmanager
    def writing(self, *written: Key) -> Iterator[None]:
        """While something is written: whatever comes of it, what is remembered of it goes, and what is being read is not kept."""
        try:
            yield
        finally:
            with self._lock:
                for asking in self._under_way:
                    asking.crossed |= any(one.tells_of(key) for one in asking.questions for key in written)
                for key in written:
                    for question in [one for one in self._kept.get(key.partition, ()) if one.tells_of(key)]:
                        self._drop(question)

    def _ask(self, asking: _Asking, read: _Read) -> None:
        try:
            asking.answers = read()
        except BaseException as error:
            asking.error = error
            raise
        finally:
            with self._lock:
                self._under_way.remove(asking)
                if not asking.crossed:
                    for question, answer in asking.answers.items():
                        self._keep(question, asking.asked_at, answer)
            asking.over.set()

    # --- under the lock ---

    def _known(self, questions: Iterable[_Question], since: float) -> dict[_Question, _Answer]:
        oldest = max(since, self._clock() - AGE_S)
        found: dict[_Question, _Answer] = {}
        for question in questions:
            kept = self._kept.get(question.partition, {}).get(question)
            if kept and kept.asked_at >= oldest:
                self._kept.move_to_end(question.partition)
                found[question] = kept.answer
        return found

    def _asked(self, questions: _Questions, since: float) -> _Asking | None:
        """Who asks just this already; not before `since`, and not while something was written that the answer might not tell."""
        alike = (one for one in self._under_way if one.questions == questions)
        return next((one for one in alike if one.asked_at >= since and not one.crossed), None)

    def _keep(self, question: _Question, asked_at: float, answer: _Answer) -> None:
        items = _items(answer)
        if any(item.expires_at is not None for item in items):
            return  # it may be gone before it is forgotten
        self._drop(question)
        chars = _ANSWER_CHARS + sum(_ANSWER_CHARS + _chars(item.data) for item in items)
        self._kept.setdefault(question.partition, {})[question] = _Remembered(asked_at, answer, chars)
        self._kept.move_to_end(question.partition)
        self._chars += chars
        self._tidy()

    def _drop(self, question: _Question) -> None:
        partition = self._kept.get(question.partition, {})
        if dropped := partition.pop(question, None):
            self._chars -= dropped.chars
        if not partition:
            self._kept.pop(question.partition, None)

    def _tidy(self) -> None:
        """Forget what is too old to be told anyway, and the partitions used longest ago where it is too much."""
        oldest = self._clock() - AGE_S
        while self._kept:
            partition, answers = next(iter(self._kept.items()))
            if self._chars <= self._most_chars and any(kept.asked_at >= oldest for kept in answers.values()):
                return
            self._chars -= sum(kept.chars for kept in answers.values())
            del self._kept[partition]


def _items(answer: _Answer) -> tuple[Item, ...]:
    if isinstance(answer, Page):
        return answer.items
    return (answer,) if answer else ()


def _chars(value: Json) -> int:
    """About how much memory a value takes; texts are nearly all of it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    return sum(map(_chars, value)) if isinstance(value, list) else 8
