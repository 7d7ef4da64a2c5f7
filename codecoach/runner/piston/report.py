"""What comes out of a job: the supervisor's lines taken apart, anything else taken for output, all of it bounded.

A program can find the token (it may read what it likes in its box), so nothing here trusts a line: sizes, names and
numbers are held to the request's limits whatever it says.
"""

import base64
import codecs
from collections.abc import Callable
from dataclasses import dataclass

from codecoach.runner.checking import is_usable_name
from codecoach.runner.port import File, Limits, OutputChunk, Stream

_LINE_CHARACTERS = 96 * 1024  # the supervisor's longest has some 44,000
_SPARE_CHARACTERS = 1024 * 1024
_MOST = 2**53  # of any number: larger ones are no measurement, and overflow where they are divided or stored


@dataclass(frozen=True)
class End:
    """The supervisor's last line.

    code or signal     how the program ended; the other is None
    memory_bytes       of its largest process, None where unknown
    breach             why the supervisor ended it: `timeout`, `output` or `stopped`; else empty
    """

    code: int | None
    signal: int | None
    wall_s: float
    cpu_s: float
    memory_bytes: int | None
    breach: str
    left_out: int


class Report:
    """One stage of one job. `token` is None where there is no supervisor: then all is output."""

    def __init__(self, token: str | None, limits: Limits, emit: Callable[[OutputChunk], None]) -> None:
        self._mark = f"{token} " if token else None
        self._rest = ""
        self._files = _Files(limits)
        self._room = 3 * limits.output_bytes + 2 * limits.file_bytes + _SPARE_CHARACTERS
        self._texts: dict[Stream, _Text] = {
            "stdout": _Text("stdout", limits.output_bytes, emit),
            "stderr": _Text("stderr", limits.output_bytes, emit),
        }
        self.end: End | None = None

    def feed(self, stream: Stream, text: str) -> None:
        """Take what Piston passed on of a stream."""
        self._room -= len(text)
        if stream == "stderr" or self._mark is None:
            self._texts[stream].feed(text.encode("utf-8", "replace"))
        else:
            self._rest += text
            self._take_lines(self._mark)

    def finish(self) -> None:
        """Nothing more comes."""
        self._texts["stdout"].feed(self._rest.encode("utf-8", "replace"))
        self._rest = ""
        self._files.finish()
        for text in self._texts.values():
            text.finish(self.end is not None and self.end.breach == "output")

    @property
    def flooded(self) -> bool:
        """True when more came than any supervised program can make: somebody writes past the supervisor."""
        return self._room < 0 or any(text.truncated for text in self._texts.values())

    @property
    def truncated(self) -> bool:
        return self.flooded or (self.end is not None and self.end.breach == "output")

    def text(self, stream: Stream) -> str:
        return self._texts[stream].all

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(self._files.whole)

    @property
    def left_out(self) -> int:
        return self._files.left_out + (self.end.left_out if self.end else 0)

    def _take_lines(self, mark: str) -> None:
        while True:
            at = self._rest.find(mark)
            if at < 0:
                kept = _overlap(self._rest, mark)
                self._raw(len(self._rest) - kept)
                return
            self._raw(at)
            line_end = self._rest.find("\n")
            if line_end < 0:
                if len(self._rest) > _LINE_CHARACTERS:
                    self._raw(len(self._rest))
                return
            line, self._rest = self._rest[len(mark) : line_end], self._rest[line_end + 1 :]
            self._take(line.split(" "))

    def _raw(self, length: int) -> None:
        """Pass the beginning of what waits on as it is."""
        if length:
            self._texts["stdout"].feed(self._rest[:length].encode("utf-8", "replace"))
            self._rest = self._rest[length:]

    def _take(self, words: list[str]) -> None:
        try:
            match words:
                case ["o", data]:
                    self._texts["stdout"].feed(base64.b64decode(data))
                case ["e", data]:
                    self._texts["stderr"].feed(base64.b64decode(data))
                case ["f", name, size]:
                    self._files.begin(base64.b64decode(name).decode("utf-8"), int(size))
                case ["d", data]:
                    self._files.feed(base64.b64decode(data))
                case ["x", *values] if self.end is None:
                    self.end = _end(values)
        except ValueError:  # of base64, of UTF-8, of a number: not written by the supervisor
            self._files.left_out += 1


def _end(values: list[str]) -> End:
    code, signal, wall_ms, cpu_ms, memory, breach, left_out = values
    return End(
        code=None if code == "-" else int(code) & 0xFF,
        signal=None if signal == "-" else int(signal) & 0x7F,
        wall_s=_bounded(wall_ms) / 1000,
        cpu_s=_bounded(cpu_ms) / 1000,
        memory_bytes=None if memory == "-" else _bounded(memory),
        breach="" if breach == "-" else breach,
        left_out=_bounded(left_out),
    )


def _bounded(number: str) -> int:
    return min(max(0, int(number)), _MOST)


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    return next(
        (length for length in range(min(len(text), len(mark) - 1), 0, -1) if mark.startswith(text[-length:])), 0
    )


class _Text:
    """One stream, decoded across pieces and bounded."""

    def __init__(self, stream: Stream, limit_bytes: int, emit: Callable[[OutputChunk], None]) -> None:
        self.truncated = False
        self._stream = stream
        self._room = limit_bytes
        self._emit = emit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []

    @property
    def all(self) -> str:
        return "".join(self._parts)

    def feed(self, data: bytes) -> None:
        if len(data) > self._room:
            data, self.truncated = data[: self._room], True
        self._room -= len(data)
        self._pass_on(self._decoder.decode(data))

    def finish(self, cut: bool) -> None:
        """A character that a limit cut in two is dropped, one the program never finished is not."""
        if not (cut or self.truncated):
            self._pass_on(self._decoder.decode(b"", final=True))

    def _pass_on(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._emit(OutputChunk(self._stream, text))


class _Files:
    """Result files as they come, each whole or not at all."""

    def __init__(self, limits: Limits) -> None:
        self.whole: list[File] = []
        self.left_out = 0
        self._most = limits.files
        self._room = limits.file_bytes
        self._name = ""
        self._size = 0
        self._pieces: bytearray | None = None

    def begin(self, name: str, size: int) -> None:
        self.finish()
        known = {file.name for file in self.whole}
        if len(self.whole) >= self._most or not 0 <= size <= self._room or name in known or not is_usable_name(name):
            self.left_out += 1
            return
        self._name, self._size, self._pieces = name, size, bytearray()

    def feed(self, data: bytes) -> None:
        if self._pieces is None:
            return
        self._pieces += data
        if len(self._pieces) > self._size:
            self._pieces = None
            self.left_out += 1

    def finish(self) -> None:
        if self._pieces is None:
            return
        if len(self._pieces) == self._size:
            self.whole.append(File(self._name, bytes(self._pieces)))
            self._room -= self._size
        else:
            self.left_out += 1
        self._pieces = None
