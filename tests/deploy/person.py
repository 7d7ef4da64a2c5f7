"""Somebody's browser tab without the browser, who notes what it has shown; for tests with instances that come and go."""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed

from benchmarks.streamlit_client import Client
from codecoach.local.scripted import Reply

WITHIN_S = 180


def counting(words: int, word_s: float) -> Reply:
    """An answer of that many words, one each `word_s` seconds, which a `Person` tells apart."""
    return Reply(chunks=tuple(f"word-{number} " for number in range(words)), token_delay_s=word_s)


def counted(words: int) -> list[str]:
    """The words of that answer."""
    return [f"word-{number}" for number in range(words)]


@dataclass
class Person(Client):
    """Notes which words of a counting answer it has shown, and when.

    query  of the page's address
    """

    query: str = ""
    seen: dict[int, float] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.on_text = self._note

    def key(self, start: str) -> str:
        """The key of the button that begins so, "" while there is none."""
        return next((key for key in self.widget_ids if key.startswith(start)), "")

    def _note(self, text: str, now: float) -> None:
        self.texts.append(text)
        for number in re.findall(r"\bword-(\d+)\b", text):
            self.seen.setdefault(int(number), now)

    async def _read(self) -> None:
        with suppress(ConnectionClosed):  # as instances do that end
            await super()._read()

    def _rerun_message(self):
        message = super()._rerun_message()
        message.rerun_script.query_string = self.query
        return message


async def until(found: Callable[[], object], what: str) -> None:
    """Wait until something is so; `what` says what is wrong where it never is."""
    deadline = time.monotonic() + WITHIN_S
    while not found():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)
