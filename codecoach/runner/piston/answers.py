"""What Piston says, in all its shapes, made into ours. Source: answers recorded of Piston 3.1.1, in tests/captures."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codecoach.errors import InputRefused, RunnerUnavailable

BODY_BYTES = 100 * 1024
"""The most that Piston takes over HTTP; over the websocket its library's own limit holds, 100 MiB."""

_OVER_LIMIT = re.compile(r"(\w+) cannot exceed the configured limit of (\d+)")
_DETAIL_CHARACTERS = 300


class NotBegun(Exception):
    """This server did not begin the job, so that another may; the message says why."""


class Malformed(ValueError):
    """An answer that no Piston gives; the message says what is missing."""


class OverLimit(Exception):
    """The server allows less of `name` (`run_timeout`, in Piston's units) than was asked for; nothing was begun."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{name} <= {most}")
        self.name = name
        self.most = most


@dataclass(frozen=True)
class PistonRuntime:
    """A runtime of a server's list."""

    language: str
    version: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.language, *self.aliases)


@dataclass(frozen=True)
class Stage:
    """What Piston says of one stage of a job; on the websocket no more than code and signal.

    status   RE, SG, TO, OL, EL, XX, or None for a program that ended well
    """

    code: int | None = None
    signal: str | None = None
    status: str | None = None
    message: str = ""
    stdout: str = ""
    stderr: str = ""
    memory_bytes: int | None = None
    cpu_s: float | None = None
    wall_s: float | None = None


@dataclass(frozen=True)
class Executed:
    """The answer to an execution: `compile` is None for languages that are not compiled; `run` then may repeat it."""

    run: Stage
    compile: Stage | None = None


def runtimes(body: bytes) -> tuple[PistonRuntime, ...]:
    """Of the answer to GET /runtimes; ValueError where it is something else."""
    listed = json.loads(body)
    if not isinstance(listed, list):
        raise Malformed("no list of runtimes")
    return tuple(_runtime(entry) for entry in listed if isinstance(entry, dict))


def _runtime(entry: Mapping[str, Any]) -> PistonRuntime:
    aliases = entry.get("aliases")
    names = tuple(str(alias) for alias in aliases) if isinstance(aliases, list) else ()
    return PistonRuntime(str(entry.get("language", "")), str(entry.get("version", "")), names)


def executed(body: bytes) -> Executed:
    """Of the answer to POST /execute with status 200; ValueError where it is something else."""
    answer = json.loads(body)
    if not isinstance(answer, dict) or not isinstance(answer.get("run"), dict):
        raise Malformed("no result of a run")
    compiled = answer.get("compile")
    return Executed(stage(answer["run"]), stage(compiled) if isinstance(compiled, dict) else None)


def stage(said: Mapping[str, Any]) -> Stage:
    """One stage, from an answer or from a websocket's `exit` message."""
    return Stage(
        code=_whole(said.get("code")),
        signal=_text(said.get("signal")) or None,
        status=_text(said.get("status")) or None,
        message=_text(said.get("message")),
        stdout=_text(said.get("stdout")),
        stderr=_text(said.get("stderr")),
        memory_bytes=_whole(said.get("memory")),
        cpu_s=_seconds(said.get("cpu_time")),
        wall_s=_seconds(said.get("wall_time")),
    )


def refused(message: str) -> Exception:
    """What a message of Piston means that came instead of a job."""
    if match := _OVER_LIMIT.search(message):
        return OverLimit(match[1], int(match[2]))
    if message.endswith("runtime is unknown"):
        return NotBegun(message)
    return RunnerUnavailable("piston_failed", detail=message[:_DETAIL_CHARACTERS])


def failed(status: int, body: bytes) -> Exception:
    """What an HTTP answer means whose status is not 200."""
    message = _message(body)
    if status == 413 or message.startswith("PayloadTooLargeError"):
        return InputRefused("piston_body_too_large", kilobytes=BODY_BYTES // 1024)
    meant = refused(message if message and status < 500 else f"HTTP {status} {message}".strip())
    if status in (404, 429, 503) and isinstance(meant, RunnerUnavailable):
        return NotBegun(f"HTTP {status} {message}".strip())  # no Piston there, or one that takes nothing now
    return meant


def _message(body: bytes) -> str:
    """Piston's `message`, or the first line of its `stack`; empty where there is neither (`{}`, nothing, a page of a proxy)."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    return _text(said.get("message")) or _text(said.get("stack")).partition("\n")[0]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _seconds(milliseconds: object) -> float | None:
    number = _number(milliseconds)
    return None if number is None else number / 1000
