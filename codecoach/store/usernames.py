"""What may be a username, and the one way in which each is kept.

A username is an e-mail address of ASCII characters, in lower case. What is typed is brought into that form where its
compatibility form (Unicode NFKC) has it: a Chinese input method gives `ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ` for the same address. Everything
else is refused, addresses outside of ASCII (RFC 6531) too: with letters of other alphabets, marks that have no width and
such that turn the direction of writing, two accounts could look the same to an administrator, and one be allowed what the
other was meant to be. Domains of other alphabets have an ASCII form (`xn--…`).
"""

import re
import unicodedata
from typing import Final

LONGEST: Final = 254
# Source: RFC 5322, 3.2.3, "atext", with dots; no quoted local parts, which no provider gives.
_ADDRESS: Final = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def folded(typed: str) -> str:
    """What was typed, in the one form that all ways to type it have; not necessarily a username."""
    # A text may grow eighteenfold; what is longer than this is no username anyway.
    return unicodedata.normalize("NFKC", typed[: 4 * LONGEST].strip()).lower()


def normal(typed: str) -> str:
    """The username as it is kept; empty for what is none."""
    name = folded(typed)
    return name if len(typed.strip()) <= LONGEST >= len(name) and _ADDRESS.fullmatch(name) else ""
