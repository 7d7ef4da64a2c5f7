"""Passwords that somebody would try early: leaked ones, simple patterns, and what is known of their owner.

Asked of each password that is set, never of one that signs in. Nothing here asks for digits, signs or capitals.
"""

import importlib
import re
from functools import cache
from itertools import pairwise
from typing import Final

# What stands around a common word or one's own name is no password by itself.
_ENOUGH_BESIDE: Final = 5
_SHORTEST_WORD: Final = 3
_APP: Final = "codecoach"
# "abcabcabc", "aaaaaaaa", also broken off: "abcabcab". One piece is at most a quarter of the longest password.
_REPEATED: Final = re.compile(r"(?P<piece>.{1,16}?)(?P=piece)+(?P<rest>.*)", re.DOTALL)
_DECORATION: Final = re.compile(r"[\W\d_]{1,4}$")


def is_common(password: str) -> bool:
    """Whether it is on the list of leaked passwords, in any case and with a few digits or signs after it, or a simple pattern."""
    lower = password.strip().lower()
    return bool({lower, _DECORATION.sub("", lower)} & _leaked()) or _is_repeated(lower) or _is_sequence(lower)


def is_personal(password: str, username: str) -> bool:
    """Whether hardly anything is left of it without its owner's address, the parts of that, and the name of this app."""
    rest = password.strip().lower()
    for word in sorted(_own_words(username), key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != password.strip().lower() and len(re.sub(r"[\W_]", "", rest)) < _ENOUGH_BESIDE


def _own_words(username: str) -> set[str]:
    name, _, domain = username.strip().lower().partition("@")
    parts = {name, *re.split(r"[\W_]+", name), *domain.split(".")[:-1], f"{name}@{domain}", _APP}
    return {part for part in parts if len(part) >= _SHORTEST_WORD}


def _is_repeated(text: str) -> bool:
    found = _REPEATED.fullmatch(text)
    return found is not None and found["piece"].startswith(found["rest"])


def _is_sequence(text: str) -> bool:
    """Whether each character is the one after the one before, as in abcdefgh, or before it, as in 87654321."""
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({1}, {-1})


@cache
def _leaked() -> frozenset[str]:
    """30,000 of them, in lower case. Read at the first password that is set, so that no start waits for it."""
    lists: dict[str, list[str]] = importlib.import_module("zxcvbn.frequency_lists").FREQUENCY_LISTS
    return frozenset(lists["passwords"])
