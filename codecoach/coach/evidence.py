"""What of a failed run is shown to a model: how it ended, the telling part of its output, and what AWS's API models say.

Small local models read some 70 tokens a second and lose the thread in long prompts, so it is kept short.
"""

import re
from collections.abc import Sequence

from codecoach.aws.api_check import Finding, check
from codecoach.store.programs import RunRecord

STDERR_CHARS = 1500
STDOUT_CHARS = 500
COMPILER_CHARS = 2000
FINDINGS = 4

_ENDINGS = {
    "ok": "It ran to its end with exit code 0, but does not do what it should.",
    "failed": "It failed with exit code {exit_code}.",
    "compile_failed": "The compiler refused it.",
    "signal": "It was killed by the signal {signal}.",
    "timeout": "It was stopped after {wall_s:.0f} seconds, the time limit.",
    "memory": "It was stopped because it used too much memory.",
    "output_limit": "It was stopped because it printed too much.",
    "file_limit": "It was stopped because it wrote too much into files.",
    "process_limit": "It was stopped because it started too many processes.",
    "cancelled": "It was stopped by its user.",
}
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')
_KEY_ERROR = re.compile(r"^KeyError: '(?P<key>[^']+)'", re.MULTILINE)


def ending(record: RunRecord) -> str:
    """One sentence on how a run ended."""
    return _ENDINGS[record.status].format(
        exit_code=record.exit_code, signal=record.signal or "unknown", wall_s=record.wall_s
    )


def outputs(record: RunRecord, own_files: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The telling parts of what was printed, each with its name; the end tells most, of a compiler the beginning."""
    compiler = _head(record.compile_output.strip(), COMPILER_CHARS) if record.status == "compile_failed" else ""
    stderr = _tail(without_foreign_frames(record.stderr.strip(), own_files), STDERR_CHARS)
    parts = (
        ("The compiler said", compiler),
        ("Its stdout ended with", _tail(record.stdout.strip(), STDOUT_CHARS)),
        ("Its stderr ended with", stderr),
    )
    return tuple((name, text) for name, text in parts if text)


def findings(source: str, record: RunRecord) -> tuple[Finding, ...]:
    """What AWS's API models say of a Python program, those first that explain the error it ended with."""
    key = _last(_KEY_ERROR.findall(record.stderr))
    lines = {int(line) for file, line in _FRAME.findall(record.stderr) if "site-packages" not in file}

    def relevance(finding: Finding) -> int:
        return -2 * (finding.name == key) - (finding.line in lines)

    unique: dict[str, Finding] = {}
    for finding in check(source):
        unique.setdefault(finding.sentence, finding)
    return tuple(sorted(unique.values(), key=relevance))[:FINDINGS]


def without_foreign_frames(stderr: str, own_files: Sequence[str]) -> str:
    """A Python traceback with the frames of the program's own files only: the error is in them, not in botocore."""
    start = stderr.rfind(_TRACEBACK)
    if start < 0:
        return stderr
    kept, own = [_TRACEBACK], True
    for line in stderr[start:].splitlines()[1:]:
        frame = _FRAME.match(line)
        if frame:
            own = frame["file"].rsplit("/", 1)[-1] in own_files and "site-packages" not in frame["file"]
        elif line[:1] not in ("", " "):
            own = True
        if own:
            kept.append(line)
    return "\n".join(kept)


def _tail(text: str, chars: int) -> str:
    """The last lines of a text, or a part of the last one."""
    if len(text) <= chars:
        return text
    cut = text[-chars:]
    return "...\n" + (cut.split("\n", 1)[1] if "\n" in cut else cut)


def _head(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    return text[:chars].rsplit("\n", 1)[0] + "\n..."


def _last(texts: Sequence[str]) -> str:
    return texts[-1] if texts else ""
