"""Passwords: hashed with bcrypt (cost 12) by streamlit-authenticator, checked in the same time for known and unknown users."""

import importlib
import logging
import re
import secrets
from functools import cache
from typing import TYPE_CHECKING, Final

from codecoach.errors import InputRefused
from codecoach.i18n import Notice
from codecoach.ui.guessable import is_common, is_personal

if TYPE_CHECKING:
    from streamlit_authenticator.utilities import Hasher

# Source: the default of bcrypt.gensalt, which streamlit-authenticator uses; a test holds them together.
COST: Final = 12
_BCRYPT: Final = re.compile(r"\$2b\$(\d\d)\$")
MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 64
# bcrypt takes no more; beyond ASCII a password reaches it before 64 characters.
MAX_BYTES: Final = 72
_NOISY: Final = ("caching.cache_data_api", "scriptrunner_utils.script_run_context")
# No letters or digits that look alike: people type this one from a terminal.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


def hash_new(password: str, username: str) -> str:
    """The bcrypt hash of a password that is being set; raises `InputRefused` for one that has a `problem_with` it.

    Whatever sets a password, be it a page or a command, gets its hash here.
    """
    problem = _problem(password, username)
    if problem:
        raise problem
    return hash_password(password)


def hash_password(password: str) -> str:
    """The bcrypt hash to store, of a password that is right; one that is new goes through `hash_new`."""
    return str(_hasher().hash(password))


def check_password(password: str, password_hash: str | None) -> bool:
    """Whether the password is right. Without a hash (unknown user, or one without a password) it takes as long and says no."""
    if password_hash is not None and not _hasher().is_hash(password_hash):
        password_hash = None
    if not 0 < len(password.encode()) <= MAX_BYTES:
        password, password_hash = "", None
    right = bool(_hasher().check_pw(password, password_hash or _hash_of_nobody()))
    return right and password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether a hash is of another form, or cost less, than those made today."""
    made = _BCRYPT.match(password_hash)
    return made is None or int(made[1]) < COST


def problem_with(password: str, username: str) -> Notice | None:
    """Why this cannot be a password of this account, or None."""
    problem = _problem(password, username)
    return problem.what if problem else None


def _problem(password: str, username: str) -> InputRefused | None:
    if len(password) < MIN_CHARACTERS:
        return InputRefused("password_short", min=MIN_CHARACTERS)
    if len(password) > MAX_CHARACTERS or len(password.encode()) > MAX_BYTES:
        return InputRefused("password_long", max=MAX_CHARACTERS, bytes=MAX_BYTES)
    if is_personal(password, username):
        return InputRefused("password_personal")
    return InputRefused("password_common") if is_common(password) else None


def warm() -> None:
    """Do ahead what the first check of a process would otherwise wait for."""
    _hash_of_nobody()


def one_time_password() -> str:
    """A random password (79 bits) to be told once and changed at the first sign-in."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


@cache
def _hasher() -> "type[Hasher]":
    """streamlit-authenticator's hasher, imported quietly.

    The package registers components as it is imported, and Streamlit warns of that outside a script run, where launchers are.
    """
    noisy = [logging.getLogger(f"streamlit.runtime.{name}") for name in _NOISY]
    levels = [logger.level for logger in noisy]
    for logger in noisy:
        logger.setLevel(logging.ERROR)
    try:
        hasher: type[Hasher] = importlib.import_module("streamlit_authenticator.utilities").Hasher
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)
    return hasher


@cache
def _hash_of_nobody() -> str:
    return hash_password(secrets.token_hex(16))
