"""Fetching over HTTP: with bounded retries, going on where it broke off, checked before it counts.

<name>                          whole and checked; only ever renamed into place
.<name>.<start of sha256>.part  what has come so far of just this content
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests

from piston.errors import ChecksumWrong, Unreachable
from piston.index import sha256

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
_BLOCK_BYTES = 1 << 16
_DETAIL_CHARS = 300
_INDEX_BYTES = 16_000_000
# Compressed on the way, a file could neither be gone on with nor be checked.
_AS_IT_IS = {"Accept-Encoding": "identity"}
_WORTH_A_RETRY = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How often something is tried, and how long to wait in between.

    tries         in a row without any progress; three times as many in all
    first_wait_s  doubled with each try
    most_wait_s   longest wait, also where the server asks for a longer one: then it is given up
    """

    tries: int = 5
    first_wait_s: float = 1
    most_wait_s: float = 120
    sleep: Callable[[float], object] = field(default=time.sleep)

    def wait(self, failed: int, asked_s: float | None = None) -> bool:
        """Wait after the `failed`-th try in a row; False where there is no patience left."""
        if failed >= self.tries or (asked_s or 0) > self.most_wait_s:
            return False
        own_s = min(self.first_wait_s * 2 ** (failed - 1), self.most_wait_s)
        self.sleep(own_s if asked_s is None else asked_s)
        return True


class Failed(Exception):
    """One try failed.

    again    whether another may succeed
    asked_s  seconds that the server asks to wait before it
    """

    def __init__(self, detail: str, again: bool, asked_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.again = again
        self.asked_s = asked_s


def fetch_text(address: str, patience: Patience) -> str:
    """A small text, such as an index; raises `Unreachable` where it cannot be had."""
    failed = 0
    while True:
        try:
            return _text(address)
        except Failed as failure:
            failed += 1
            if not failure.again or not patience.wait(failed, failure.asked_s):
                raise Unreachable(address=shown(address), detail=failure.detail) from failure


def fetch_file(
    address: str, to: Path, checksum: str, patience: Patience, arrived: Callable[[int, int | None], None]
) -> None:
    """A file of a known SHA-256, put into its place when it is whole and right.

    arrived  told the bytes that are there so far, and of how many, if that is known

    Raises `Unreachable`, or `ChecksumWrong` where what comes is twice not what was asked for.
    """
    part = to.with_name(f".{to.name}.{checksum[:12]}.part")
    found = ""
    for _ in range(2):
        _complete(address, part, patience, arrived)
        found = sha256(part)
        if found == checksum:
            part.replace(to)
            return
        # What was gone on with may have been damaged before: once more, from the start.
        part.unlink()
    raise ChecksumWrong(address=shown(address), found=found, wanted=checksum)


def _complete(address: str, part: Path, patience: Patience, arrived: Callable[[int, int | None], None]) -> None:
    in_a_row = in_all = 0
    while True:
        before = size(part)
        try:
            _receive(address, part, arrived)
        except Failed as failure:
            in_all += 1
            in_a_row = 1 if size(part) > before else in_a_row + 1
            lost = in_all >= 3 * patience.tries
            if not failure.again or lost or not patience.wait(in_a_row, failure.asked_s):
                raise Unreachable(address=shown(address), detail=failure.detail) from failure
        else:
            return


def _receive(address: str, part: Path, arrived: Callable[[int, int | None], None]) -> None:
    have = size(part)
    headers = _AS_IT_IS | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(address, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as reply:
            if reply.status_code == 416:
                return  # all of it is there, which the checksum will tell
            _accept(reply)
            if reply.status_code == 206 and not _goes_on(reply, have):
                part.unlink(missing_ok=True)
                raise Failed("another part came than was asked for", again=True)
            have = have if reply.status_code == 206 else 0
            length = reply.headers.get("Content-Length", "")
            total = have + int(length) if length.isdigit() else None
            with part.open("ab" if have else "wb") as file:
                for block in reply.iter_content(_BLOCK_BYTES):
                    file.write(block)
                    have += len(block)
                    arrived(have, total)
                file.flush()
                os.fsync(file.fileno())
    except requests.RequestException as error:
        raise Failed(reason(error), again=True) from error


def _goes_on(reply: requests.Response, have: int) -> bool:
    start = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
    return start is not None and int(start[1]) == have


def _text(address: str) -> str:
    try:
        with requests.get(address, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as reply:
            _accept(reply)
            content = b""
            for block in reply.iter_content(_BLOCK_BYTES):
                content += block
                if len(content) > _INDEX_BYTES:
                    raise Failed("too long for an index", again=False)
    except requests.RequestException as error:
        raise Failed(reason(error), again=True) from error
    return content.decode("utf-8", "replace")


def _accept(reply: requests.Response) -> None:
    if reply.status_code >= 400:
        again = reply.status_code in _WORTH_A_RETRY
        raise Failed(f"HTTP {reply.status_code}", again, retry_after_s(reply))


def retry_after_s(reply: requests.Response) -> float | None:
    """Seconds that the server asks to wait; None where it does not say."""
    value = reply.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def shown(address: str) -> str:
    """An address without what may be secret in it: user, password and query."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def reason(error: BaseException) -> str:
    """The innermost cause in a few words: requests wraps it several times, with the whole address."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error)[:_DETAIL_CHARS] or type(error).__name__
