"""Checks that a pattern or a schema of a user's makes: in a process of its own, which can be ended.

A pattern can take longer than the universe has, and Python's `re` holds the interpreter's lock meanwhile: nobody else's page
would move. `python -m codecoach.coach.matching` reads {"kind", "expected", "answer"} from standard input and writes a `Match`.
"""

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Final

from codecoach.chat.fences import segments

TIMEOUT_S: Final = 5.0
_WORDS: Final = 300


@dataclass(frozen=True)
class Match:
    """passed: None where the pattern or the schema is none, or takes too long. key: a text under `lab.verdict`."""

    passed: bool | None
    key: str
    detail: str = ""


def found(kind: str, expected: str, answer: str) -> Match:
    """Check an answer; after `TIMEOUT_S` seconds give up."""
    asked = json.dumps({"kind": kind, "expected": expected, "answer": answer})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "codecoach.coach.matching"],
            input=asked.encode(),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return Match(None, "too_slow")
    except subprocess.CalledProcessError:  # such as a schema so deep that the process ran out of stack
        return Match(None, "too_slow")
    return Match(**json.loads(done.stdout))


def json_in(answer: str) -> str:
    """Where an answer has its JSON: its first block that says so or says nothing, else all of it."""
    blocks = (segment for segment in segments(answer) if segment.kind == "code")
    return next((block.text for block in blocks if block.info.strip().lower() in ("", "json")), answer)


def _regex(pattern: str, answer: str) -> Match:
    try:
        hit = re.search(pattern, answer)
    except re.error as error:
        return Match(None, "bad_pattern", str(error))
    return Match(True, "pattern_found", hit[0][:_WORDS]) if hit else Match(False, "pattern_missing")


def _schema(schema: str, answer: str) -> Match:
    from jsonschema import SchemaError, ValidationError
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        wanted = json.loads(schema)
        kind = validator_for(wanted)
        kind.check_schema(wanted)
    except (ValueError, SchemaError) as error:
        return Match(None, "bad_schema", str(error).split("\n")[0][:_WORDS])
    try:
        given = json.loads(json_in(answer))
    except ValueError as error:
        return Match(False, "no_json", str(error)[:_WORDS])
    try:
        # An empty registry: what a schema refers to elsewhere is not fetched.
        kind(wanted, registry=Registry()).validate(given)
    except ValidationError as error:
        return Match(False, "schema_refused", f"{error.json_path}: {error.message}"[:_WORDS])
    except Unresolvable as error:
        return Match(None, "bad_schema", str(error)[:_WORDS])
    return Match(True, "schema_accepted")


def _main() -> None:
    asked = json.load(sys.stdin)
    check = _regex if asked["kind"] == "regex" else _schema
    json.dump(asdict(check(asked["expected"], asked["answer"])), sys.stdout)


if __name__ == "__main__":
    _main()
