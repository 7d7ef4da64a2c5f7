"""Logging, for all our processes alike: one line a record, under a reference, without secrets and without what people write.

    text    2026-11-29 02:10:00,123 WARNING codecoach.coach.runs [3f9a01bc 5d0c77e2a1] run 01a2... failed: runner_unavailable
    json    {"time": "2026-11-29T02:10:00.123+00:00", "level": "WARNING", "logger": "codecoach.coach.runs", "message": "...",
             "reference": "3f9a01bc", "user": "5d0c77e2a1", "exception": "..."} and the facts that a record carries

What keeps a log clean, in the order in which it is done:

1. The level that is set is that of our own loggers. Libraries log from WARNING on, whatever it is: what botocore, urllib3
   and httpcore say at DEBUG are whole requests, with prompts, answers and signatures.
2. Of an exception that is not ours no message is logged, only its class and where it came from: such messages like to repeat
   the input. Of ours all but those of `_REPEATING` are: their values are facts.
3. What looks like a secret is left out, whoever has logged it.
4. Control characters, line ends and what turns the direction of reading are escaped, and a record is at most `LONGEST` long.

`user` is a hash: logs go to more places than the accounts do, and whose records belong together is all that is mostly needed.
Who did what to whom is another matter: what `security` logs names the accounts, because an audit that does not is none.
"""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Final, Literal

from codecoach import reference
from codecoach.errors import CodeCoachError, InputRefused, ItemRefused, ModelRefused
from codecoach.store import keys, owned

Format = Literal["text", "json"]

LONGEST: Final = 8_000
OURS: Final = "codecoach"
_SECURITY: Final = logging.getLogger("codecoach.security")
_REPEATING: Final = (InputRefused, ItemRefused, ModelRefused)
_LEFT_OUT: Final = "[left out]"
_SECRETS: Final = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # ids of AWS access keys
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # JSON web tokens
    r"|\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}"  # bcrypt
    r"|\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b"  # one-time passwords
    # Session ids, tickets, secret keys; a path, a name of a module and a digest do not have both cases.
    r"|(?<![\w./+=-])(?=[\w/+=-]*[a-z])(?=[\w/+=-]*[A-Z])[\w/+=-]{40,}(?![\w/+=-])"
    r"|(?i:(?P<name>\b(?:authorization|x-amz-security-token|(?:set-)?cookie)[\"']?\s*[:=]\s*)[^\r\n]+"
    r"|(?P<key>\b[\w-]*(?:password|passwd|secret|token|ticket|credential|api[_-]?key|sid)[\"']?\s*[:=]\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s,;}]+))"
)
# C0 and C1 but nothing else: line separators, and all that turns the direction.
_UNSAFE: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u2028\\u2029\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)


def configure(level: str, form: Format = "text", stream: object = None) -> None:
    """Log to stderr, or a stream, from here on. May be called again: loggers that were made meanwhile are taken in."""
    handler = logging.StreamHandler(stream or sys.stderr)  # type: ignore[arg-type]
    handler.setFormatter(JsonLine() if form == "json" else TextLine())
    root = logging.getLogger()
    for old in root.handlers[:]:
        if type(old.formatter) in (JsonLine, TextLine) or type(old) is logging.StreamHandler:
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level)
    _take_in()


def _take_in() -> None:
    """Streamlit and uvicorn give their loggers handlers of their own, which know nothing of all this."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.split(".")[0] in ("streamlit", "uvicorn") and isinstance(logger, logging.Logger):
            for handler in logger.handlers[:]:
                logger.removeHandler(handler)
            logger.propagate = True
            if name in ("streamlit", "uvicorn") or logger.level:
                logger.setLevel(max(logger.level, logging.WARNING))


def security(event: str, user: str = "", *, warning: bool = False, **facts: object) -> None:
    """Log who was let in, refused or changed: `signed in: ann@example.com (address 10.0.0.7)`."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value)
    message = event + (f": {user}" if user else "") + (f" ({told})" if told else "")
    _SECURITY.log(logging.WARNING if warning else logging.INFO, "%s", message)


class _Line(logging.Formatter):
    """Makes one line of a record."""

    def said(self, record: logging.LogRecord) -> str:
        """The message, clean."""
        args = record.args
        if isinstance(args, tuple):
            args = tuple(described(one) if isinstance(one, BaseException) else one for one in args)
        try:
            message = str(record.msg) % args if args else str(record.msg)
        except (TypeError, ValueError):
            message = str(record.msg)
        return clean(message)

    def failed(self, record: logging.LogRecord) -> str:
        """The exception, clean; empty where there is none."""
        error = record.exc_info[1] if record.exc_info else None
        return clean(traced(error)) if error else ""

    def facts(self, record: logging.LogRecord) -> dict[str, str | float]:
        """What the record carries beside its message (`extra={"facts": ...}`), clean."""
        facts: dict[str, str | float] = getattr(record, "facts", {})
        return {name: clean(value) if isinstance(value, str) else value for name, value in facts.items()}


class JsonLine(_Line):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self.said(record),
            "reference": reference.current(),
            "user": pseudonym(owned.acting()),
            "exception": self.failed(record),
        }
        known = {name: value for name, value in fields.items() if value}
        return json.dumps(known | self.facts(record), ensure_ascii=False)


class TextLine(_Line):
    def format(self, record: logging.LogRecord) -> str:
        who = " ".join(filter(None, (reference.current(), pseudonym(owned.acting()))))
        failed = self.failed(record)
        parts = (
            self.formatTime(record),
            record.levelname,
            record.name,
            f"[{who}]" if who else "",
            self.said(record),
            " ".join(f"{name}={value}" for name, value in self.facts(record).items()),
            f"| {failed}" if failed else "",
        )
        return " ".join(filter(None, parts))


def pseudonym(username: str | None) -> str:
    """What stands for a user in a log."""
    return keys.hashed(f"log {username}")[:10] if username else ""


def described(error: BaseException) -> str:
    """An exception in a few words that repeat nothing of its input."""
    if isinstance(error, _REPEATING):
        return f"{error.key} [{error.reference}]"
    if isinstance(error, CodeCoachError):
        return str(error)
    code = getattr(error, "response", None)
    if isinstance(code, dict):  # botocore's: which operation was refused, and why in a word
        return f"{type(error).__name__} {code.get('Error', {}).get('Code', '')} {getattr(error, 'operation_name', '')}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__} {error.strerror}"
    return type(error).__name__


def traced(error: BaseException) -> str:
    """An exception with where it came from, and those behind it; the last is the one that was caught."""
    chain: list[str] = []
    seen: set[int] = set()
    now: BaseException | None = error
    while now and id(now) not in seen:
        seen.add(id(now))
        frames = traceback.extract_tb(now.__traceback__)[-12:]
        where = " < ".join(
            f"{frame.filename.rsplit('site-packages/')[-1]}:{frame.lineno}" for frame in reversed(frames)
        )
        chain.append(f"{described(now)} at {where}" if where else described(now))
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return " <- ".join(chain)


def clean(text: str) -> str:
    """One line, without secrets, of bearable length."""
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} … (+{len(text) - LONGEST:,})"
    return _UNSAFE.sub(_escaped, _SECRETS.sub(_redacted, text))


def _redacted(match: re.Match[str]) -> str:
    return f"{match['name'] or match['key'] or ''}{_LEFT_OUT}"


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return short or (f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}")
