"""From a request to what Piston is sent: its own fields, and the files that the supervisor goes by.

files                       text files as utf8, the entry point first: of these Piston makes the program's name and the
                            compiler's arguments; all others as base64, which Piston only puts there
.codecoach/job              what supervise.pl keeps to: token, limits, the name of the flag that stops
.codecoach/stdin            standard input to the byte: Piston's own gets a newline appended
.codecoach/environment      AWS variables: Piston has no field for them
.codecoach/home/.aws/...    the same for programs that name a profile
"""

import base64
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codecoach.errors import InputRefused
from codecoach.runner.credentials import profile_files
from codecoach.runner.piston.answers import PistonRuntime
from codecoach.runner.piston.server import Server
from codecoach.runner.port import File, RunRequest

FOLDER = ".codecoach"
_GRACE_S = 5.0  # for the supervisor to collect files and report
_LEAST_MS = 200
_LEAST_MEMORY_BYTES = 1_000_000  # under 1000 means no limit at all to Piston


@dataclass(frozen=True)
class Bounds:
    """What a run may take, after what the server allows.

    timeout_s, compile_timeout_s      kept by the supervisor, or by Piston where there is none
    run_ms, compile_ms                kept by Piston, as are the two for memory; never 0, which to Piston means no limit
    """

    timeout_s: float
    compile_timeout_s: float
    run_ms: int
    compile_ms: int
    memory_bytes: int
    compile_memory_bytes: int

    @property
    def longest_s(self) -> float:
        """After which Piston has ended both stages."""
        return (self.run_ms + self.compile_ms) / 1000


def bounds(request: RunRequest, language: str, server: Server, supervised: bool) -> Bounds:
    """`language` is Piston's name of it."""
    limits, grace_s = request.limits, _GRACE_S if supervised else 0.0
    run_ms = server.allowed(language, "run_timeout", _milliseconds(limits.timeout_s + grace_s))
    compile_ms = server.allowed(language, "compile_timeout", _milliseconds(limits.compile_timeout_s + grace_s))

    def memory(name: str, wanted: int) -> int:
        return server.allowed(language, name, max(wanted, _LEAST_MEMORY_BYTES))

    return Bounds(
        timeout_s=min(limits.timeout_s, _before(run_ms) if supervised else run_ms / 1000),
        compile_timeout_s=min(limits.compile_timeout_s, _before(compile_ms) if supervised else compile_ms / 1000),
        run_ms=run_ms,
        compile_ms=compile_ms,
        memory_bytes=memory("run_memory_limit", limits.memory_bytes),
        compile_memory_bytes=memory("compile_memory_limit", limits.compile_memory_bytes),
    )


def _milliseconds(seconds: float) -> int:
    return max(_LEAST_MS, math.ceil(seconds * 1000))


def _before(milliseconds: int) -> float:
    """When the supervisor ends a program that Piston would end after `milliseconds`: early enough to say so."""
    return (milliseconds - min(1000, milliseconds * 0.25)) / 1000


@dataclass(frozen=True)
class Secrets:
    """Of one job: `token` leads the supervisor's lines, `flag` is the file in /dev/shm that stops it."""

    token: str
    flag: str

    @classmethod
    def new(cls) -> "Secrets":
        return cls(secrets.token_hex(16), f"codecoach-{secrets.token_hex(16)}")


def supervised(
    request: RunRequest,
    runtime: PistonRuntime,
    bound: Bounds,
    own: Secrets,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The request for a package with the supervisor; `environment` is that of `credentials.environment`."""
    limits = request.limits
    job = {
        "token": own.token,
        "stop": own.flag,
        "timeout_ms": _milliseconds(bound.timeout_s),
        "compile_timeout_ms": _milliseconds(bound.compile_timeout_s),
        "output_bytes": limits.output_bytes,
        "files": limits.files,
        "file_bytes": limits.file_bytes,
    }
    pairs = "".join(f"{name}={value}\0" for name, value in environment.items())
    ours = [_job(job), _binary(f"{FOLDER}/stdin", request.stdin), _binary(f"{FOLDER}/environment", pairs.encode())]
    ours += [_binary(f"{FOLDER}/home/{path}", content) for path, content in _home(environment).items()]
    others = [_text(file) or _binary(file.name, file.content) for file in request.files[1:]]
    return {**_plain(request, runtime, bound), "files": [*_entry(request.files[0]), *others, *ours]}


def unsupervised(request: RunRequest, runtime: PistonRuntime, bound: Bounds) -> dict[str, Any]:
    """The request for any other package."""
    # All but the entry point as base64: some of Piston's own packages give every utf8 file to a compiler that takes one.
    files = [*_entry(request.files[0]), *(_binary(file.name, file.content) for file in request.files[1:])]
    return {**_plain(request, runtime, bound), "files": files, "stdin": request.stdin.decode("utf-8", "replace")}


def _home(environment: Mapping[str, str]) -> dict[str, bytes]:
    if not environment:
        return {}
    config, keys = profile_files(environment)
    return {".aws/config": config, ".aws/credentials": keys}


def stopping(runtime: PistonRuntime, own: Secrets) -> dict[str, Any]:
    """A job that does nothing but stop the one with these secrets."""
    files = [{"name": "stop", "content": ""}, _job({"raise": own.flag})]
    return {"language": runtime.language, "version": runtime.version, "files": files}


def refuse_names(request: RunRequest) -> None:
    """Raise InputRefused for a file that would take the place of the instructions."""
    for file in request.files:
        if file.name.split("/")[0] == FOLDER:
            raise InputRefused("program_file_name", name=file.name)


def _plain(request: RunRequest, runtime: PistonRuntime, bound: Bounds) -> dict[str, Any]:
    return {
        "language": runtime.language,
        "version": runtime.version,
        "args": list(request.args),
        "run_timeout": bound.run_ms,
        "compile_timeout": bound.compile_ms,
        "run_memory_limit": bound.memory_bytes,
        "compile_memory_limit": bound.compile_memory_bytes,
    }


def _entry(file: File) -> list[dict[str, str]]:
    """The entry point, which must be utf8, whatever it holds."""
    name = f"./{file.name}" if file.name.startswith("-") else file.name  # else it would be an option
    try:
        return [{"name": name, "content": file.content.decode("utf-8")}]
    except UnicodeDecodeError:
        return [{"name": name, "content": ""}, _binary(name, file.content)]  # of two with one name the last one stays


def _text(file: File) -> dict[str, str] | None:
    """A file that may be an argument of the compiler, as the sandbox gives it too; None for all others."""
    if file.name.startswith("-") or b"\0" in file.content:
        return None
    try:
        return {"name": file.name, "content": file.content.decode("utf-8")}
    except UnicodeDecodeError:
        return None


def _job(lines: Mapping[str, object]) -> dict[str, str]:
    return _binary(f"{FOLDER}/job", "".join(f"{name} {value}\n" for name, value in lines.items()).encode())


def _binary(name: str, content: bytes) -> dict[str, str]:
    return {"name": name, "content": base64.b64encode(content).decode(), "encoding": "base64"}
