"""Programs of the Editor, and what came of running programs.

    partition      sort                             holds
    user#<owner>   program#<id>                     name, language, times: what a list shows
    thread#<id>    program                          the whole program; carries the version
    thread#<id>    run#<run>                        a run without its long output and its files' contents
    thread#<id>    part#run#<run>#<output>#<n>      a piece of its output, in order
    thread#<id>    part#run#<run>#file#<n>          the content of one of its result files
    thread#<id>    ran#<message>.<block>            the newest run of a block of a conversation, as its own record

The thread of a run is a program, or a block of a conversation; the note in the conversation's own thread lets a page show
the runs of all its blocks without asking for each. A run's record is put last: where it is found, all its pieces are there.
"""

import base64
import itertools
import math
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import TypeAdapter

from codecoach.errors import VersionConflict
from codecoach.i18n import Notice
from codecoach.store import keys
from codecoach.store.changing import change
from codecoach.store.large import LargeItems
from codecoach.store.paging import everything
from codecoach.store.port import Delete, Item, Json, Key, Put, Table
from codecoach.store.purging import Purging

KEPT_FILE_BYTES = 256 * 1024
KEPT_FILES_BYTES = 1024 * 1024
KEPT_RUNS = 30
LISTED_OUTPUT_CHARS = 2_000
# However a store encodes it, a piece stays under an item's 400 KB: a character takes 12 bytes at most.
_PIECE_CHARS = 32_000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class SourceFile:
    """A file of a program; `name` is a relative path with forward slashes."""

    name: str
    text: str


@dataclass(frozen=True)
class Program:
    """A program in the Editor.

    files            the first one is the entry point
    conversation_id  where its code came from, with `message_id`; empty for a program begun in the Editor
    version          0 until stored; one more with each save
    """

    id: str
    owner: str
    name: str
    language: str
    files: tuple[SourceFile, ...]
    stdin: str = ""
    args: tuple[str, ...] = ()
    conversation_id: str = ""
    message_id: str = ""
    updated_at: datetime = _NEVER
    version: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ProgramEntry:
    """A program as a list shows it."""

    id: str
    name: str
    language: str
    updated_at: datetime


@dataclass(frozen=True)
class ResultFile:
    """A file that a run left; `content` is None where it was too large to keep, and in lists."""

    name: str
    size_bytes: int
    content: bytes | None = None


@dataclass(frozen=True)
class RunRecord:
    """What came of a run.

    status          a word of `runner.port.RunStatus`
    compile_output  what the compiler said, where there was one
    compile_wall_s  how long it took, None where there was none
    code_sha256     of the files that ran: tells whether the code has changed since
    files_left_out  at least how many more files it left than `files`; see `RunResult`
    whole           False where long outputs are cut and the files' contents left out, as lists have them
    pieces          the store's own: the numbers of the pieces that hold what is left out, by what they are of
    """

    id: str
    at: datetime
    language: str
    status: str
    exit_code: int | None
    signal: str | None
    stdout: str
    stderr: str
    truncated: bool
    wall_s: float
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    reason: Notice | None = None
    files: tuple[ResultFile, ...] = ()
    compile_output: str = ""
    compile_wall_s: float | None = None
    code_sha256: str = ""
    files_left_out: int = 0
    whole: bool = True
    pieces: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)


_PROGRAM, _ENTRY, _RECORD = TypeAdapter(Program), TypeAdapter(ProgramEntry), TypeAdapter(RunRecord)


class Programs:
    """Programs and runs in a table. Every method raises `StoreError`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._large = LargeItems(table)
        self._purging = Purging(table)

    def create(
        self,
        owner: str,
        language: str,
        files: tuple[SourceFile, ...],
        *,
        name: str = "",
        conversation_id: str = "",
        message_id: str = "",
    ) -> Program:
        """Store a new program; raises `ItemRefused` where its files are over 400 KB together."""
        program = Program(
            _new_id(), owner, name, language, files, conversation_id=conversation_id, message_id=message_id
        )
        return self._put(program)

    def get(self, owner: str, program_id: str) -> Program | None:
        """The program, if it is the owner's."""
        item = self._table.get(keys.program_body(program_id)) if keys.is_id(program_id) else None
        return None if item is None or item.data["owner"] != owner else _program(item)

    def save(self, program: Program) -> Program:
        """Store a program and return it with its new version and time.

        Raises `VersionConflict` where it has been saved or deleted elsewhere since it was read, `ItemRefused` as `create`.
        """
        if program.version < 1:  # only `create` makes new ones, under ids that nobody has had
            raise VersionConflict
        return self._put(program)

    def _put(self, program: Program) -> Program:
        saved = replace(program, updated_at=datetime.now(UTC), version=program.version + 1)
        body = _PROGRAM.dump_python(saved, mode="json", exclude={"id", "version"})
        entry = {name: body[name] for name in ("name", "language", "updated_at")}
        try:
            self._table.transact(
                [
                    Put(Item(keys.program_body(saved.id), body), expected_version=program.version),
                    Put(Item(keys.program(saved.owner, saved.id), entry)),
                ]
            )
        except VersionConflict:
            # The answer to an earlier try may have got lost: then what is stored is what is to be.
            stored = self.get(program.owner, program.id)
            if (
                stored is None
                or stored.version != saved.version
                or replace(stored, updated_at=saved.updated_at) != saved
            ):
                raise
            return stored
        return saved

    def list(self, owner: str, limit: int = 50) -> tuple[ProgramEntry, ...]:
        """The owner's programs, the newest made first."""
        page = self._table.query(keys.user(owner), keys.PROGRAM, limit=limit, newest_first=True)
        return tuple(
            _ENTRY.validate_python({**item.data, "id": item.key.sort.removeprefix(keys.PROGRAM)}) for item in page.items
        )

    def delete(self, owner: str, program_id: str) -> None:
        """Delete a program, its runs and what was said about it; another owner's is left alone.

        It leaves the list at once; should we die before all of it is gone, the next deletion of this owner finishes it.
        """
        if self.get(owner, program_id):
            threads = (program_id, keys.explanations(program_id))
            now_s = time.time()
            self._table.transact(
                [
                    Delete(keys.program(owner, program_id)),
                    Delete(keys.program_body(program_id)),
                    *(mark for thread in threads for mark in self._purging.marks(owner, thread, now_s)),
                ]
            )
        else:  # an entry without its program, such as an import may leave: it must not stay in the list for ever
            self._table.delete(keys.program(owner, program_id))
        self._purging.finish(owner)

    def add_run(self, thread: str, record: RunRecord) -> None:
        """Keep what came of a run; of more than `KEPT_RUNS` the oldest go.

        Result files are kept with their content up to 256 KB each and 1 MB together, others by name and size. What
        belongs to a deleted program or message is not kept.
        """
        if self._is_gone(thread):
            return
        block = keys.ran(thread)
        if block:  # before any of it: what has no such note is not found when the message is deleted
            change(self._table, block[1], lambda noted: {} if noted is None else None)
        data = self._put_run(thread, record)
        if block:
            newest: dict[str, Json] = {**data, "id": record.id}
            change(self._table, block[1], lambda noted: newest if _id_of(noted) < record.id else None)
        if self._is_gone(thread):  # while it was being written: who deleted the rest may not have seen it
            self._large.delete(keys.run(thread, record.id))
            if block:
                self._table.delete(block[1])
            return
        for item in list(everything(self._table, keys.thread(thread), keys.RUN))[:-KEPT_RUNS]:
            self._large.delete(item.key)

    def _is_gone(self, thread: str) -> bool:
        """Whether the program, or the message whose code it is, was deleted."""
        block = keys.ran(thread)
        found = self._table.batch_get([keys.gone(thread), *([block[0]] if block else [])])
        return keys.gone(thread) in found or bool(block and block[0] not in found)

    def _put_run(self, thread: str, record: RunRecord) -> dict[str, Json]:
        files = _kept(record.files)
        outputs = {"stdout": record.stdout, "stderr": record.stderr, "compile_output": record.compile_output}
        for name, text in outputs.items():
            for number, piece in enumerate(_pieces(text)):
                self._table.put(Item(_part_key(thread, record.id, name, number), {"text": piece}))
        for number, file in enumerate(files):
            if file.content is not None:
                data: dict[str, Json] = {"base64": base64.b64encode(file.content).decode()}
                self._table.put(Item(_part_key(thread, record.id, "file", number), data))
        data = _run_data(replace(record, files=files))
        self._table.put(Item(keys.run(thread, record.id), data))
        return data

    def runs(self, thread: str, limit: int = 20) -> tuple[RunRecord, ...]:
        """The newest runs of a thread (a program, or a block of a conversation) first, not whole."""
        page = self._table.query(keys.thread(thread), keys.RUN, limit=limit, newest_first=True)
        return tuple(_record(item) for item in page.items)

    def run(self, thread: str, run_id: str) -> RunRecord | None:
        """One run, whole."""
        item = self._table.get(keys.run(thread, run_id))
        return self.whole(thread, _record(item)) if item else None

    def whole(self, thread: str, record: RunRecord) -> RunRecord:
        """A run that a list gave, with all that is kept of it; no read where the list had all."""
        return self._whole({thread: record})[thread]

    def block_runs(self, thread_id: str, first: str, known: Iterable[RunRecord] = ()) -> dict[str, RunRecord]:
        """The newest run of each code block in a conversation's messages from `first` on, whole: block's thread -> run.

        known  those that need not be read again; runs never change
        """
        there = {record.id: record for record in known if record.whole}
        noted = {thread: note or self._newest(thread) for thread, note in self._noted(thread_id, first)}
        return self._whole({thread: there.get(run.id, run) for thread, run in noted.items() if run})

    def _noted(self, thread_id: str, first: str) -> Iterator[tuple[str, RunRecord | None]]:
        """(thread of a block, its newest run) for the blocks that have runs; None where the note does not say which."""
        after: str | None = None
        while True:
            page = self._table.query(keys.thread(thread_id), keys.RAN, after=after, newest_first=True)
            for item in page.items:
                if item.key.sort < keys.RAN + first:
                    return
                record = _RECORD.validate_python(item.data) if item.data else None
                yield f"{thread_id}.{item.key.sort.removeprefix(keys.RAN)}", record
            after = page.next
            if after is None:
                return

    def _newest(self, thread: str) -> RunRecord | None:
        return next(iter(self.runs(thread, limit=1)), None)

    def _whole(self, runs: Mapping[str, RunRecord]) -> dict[str, RunRecord]:
        """Runs, by their threads, with all that is kept of them; all pieces in one read."""
        wanted = [key for thread, record in runs.items() for key in _pieces_of(thread, record)]
        pieces = self._table.batch_get(wanted) if wanted else {}
        return {
            thread: record if record.whole else _put_together(thread, record, pieces | self._unnumbered(thread, record))
            for thread, record in runs.items()
        }

    def _unnumbered(self, thread: str, record: RunRecord) -> dict[Key, Item]:
        """The pieces of a run that was kept before records said which there are."""
        if record.pieces:
            return {}
        found = everything(self._table, keys.thread(thread), keys.parts_prefix(keys.run(thread, record.id)))
        return {item.key: item for item in found}


def _new_id() -> str:
    """An id that sorts by time, and that nobody can guess: whoever knows it may read its runs."""
    return keys.time_ordered_id() + secrets.token_hex(8)


def _id_of(noted: dict[str, Json] | None) -> str:
    return str(noted.get("id", "")) if noted else ""


def _pieces_of(thread: str, record: RunRecord) -> Iterator[Key]:
    return (_part_key(thread, record.id, what, number) for what, numbers in record.pieces.items() for number in numbers)


def _put_together(thread: str, record: RunRecord, pieces: Mapping[Key, Item]) -> RunRecord:
    """The record with what its pieces hold."""

    def output(name: str, listed: str) -> str:
        numbered = (pieces.get(_part_key(thread, record.id, name, number)) for number in itertools.count())
        found = itertools.takewhile(lambda item: item is not None, numbered)
        return "".join(str(item.data["text"]) for item in found if item) or listed

    def content(number: int) -> bytes | None:
        item = pieces.get(_part_key(thread, record.id, "file", number))
        return base64.b64decode(str(item.data["base64"])) if item else None

    return replace(
        record,
        stdout=output("stdout", record.stdout),
        stderr=output("stderr", record.stderr),
        compile_output=output("compile_output", record.compile_output),
        files=tuple(replace(file, content=content(number)) for number, file in enumerate(record.files)),
        whole=True,
        pieces={},
    )


def _part_key(thread: str, run_id: str, what: str, number: int) -> Key:
    return Key(keys.thread(thread), f"{keys.parts_prefix(keys.run(thread, run_id))}{what}#{number:04}")


def _pieces(text: str) -> Iterator[str]:
    return (text[start : start + _PIECE_CHARS] for start in range(0, len(text), _PIECE_CHARS))


def _kept(files: tuple[ResultFile, ...]) -> tuple[ResultFile, ...]:
    """The files, without the contents that are too large to keep."""
    kept, total = [], 0
    for file in files:
        size = len(file.content or b"")
        fits = size <= KEPT_FILE_BYTES and total + size <= KEPT_FILES_BYTES
        total += size if fits else 0
        kept.append(file if fits else replace(file, content=None))
    return tuple(kept)


def _program(item: Item) -> Program:
    own = {"id": item.key.partition.removeprefix(keys.thread("")), "version": item.version}
    return _PROGRAM.validate_python({**item.data, **own})


def _run_data(record: RunRecord) -> dict[str, Json]:
    """A record as its item holds it: long outputs cut, for they are kept in pieces of their own; and which pieces there are."""
    files = tuple(replace(file, content=None) for file in record.files)
    reason = record.reason and Notice(record.reason.key, {k: str(v) for k, v in record.reason.values.items()})
    outputs = {"stdout": record.stdout, "stderr": record.stderr, "compile_output": record.compile_output}
    pieces = {
        name: tuple(range(math.ceil(len(text) / _PIECE_CHARS)))
        for name, text in outputs.items()
        if len(text) > LISTED_OUTPUT_CHARS
    }
    if kept := tuple(number for number, file in enumerate(record.files) if file.content is not None):
        pieces["file"] = kept
    listed = replace(
        record,
        stdout=record.stdout[:LISTED_OUTPUT_CHARS],
        stderr=record.stderr[:LISTED_OUTPUT_CHARS],
        compile_output=record.compile_output[:LISTED_OUTPUT_CHARS],
        files=files,
        reason=reason,
        whole=not pieces,
        pieces=pieces,
    )
    data: dict[str, Json] = _RECORD.dump_python(listed, mode="json", exclude={"id"})
    return data


def _record(item: Item) -> RunRecord:
    return _RECORD.validate_python({**item.data, "id": item.key.sort.removeprefix(keys.RUN)})
