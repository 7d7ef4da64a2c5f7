"""Passwords are hashed with bcrypt at cost 12, bounded, and never compared in a way that says who exists."""

import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from codecoach.errors import InputRefused
from codecoach.ui import passwords

ROOT = Path(__file__).parents[2]


def test_the_right_password_is_accepted_and_a_wrong_one_is_not():
    stored = passwords.hash_password("correct horse")
    assert passwords.check_password("correct horse", stored)
    assert not passwords.check_password("correct hors", stored)
    assert not passwords.check_password("", stored)


def test_the_hash_is_bcrypt_at_cost_12_and_salted():
    first, second = passwords.hash_password("the same one"), passwords.hash_password("the same one")
    assert first.startswith("$2b$12$")
    assert first != second


def test_without_an_account_no_password_is_right():
    assert not passwords.check_password("anything at all", None)


def problem(password: str) -> str:
    """The key of why a password of Annette Miller is refused, empty where it is not."""
    found = passwords.problem_with(password, "Annette.Miller@example.com")
    return found.key if found else ""


@pytest.mark.parametrize(
    "password", ["tea at 4", "seven words " * 5 + "four", "密码本来应该很长才对", "  spaces stay  ", "73920485"]
)
def test_passwords_within_the_bounds_are_allowed_and_work_whatever_they_are_composed_of(password):
    assert problem(password) == ""
    assert passwords.check_password(password, passwords.hash_new(password, "annette.miller@example.com"))


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("", "password_short"),
        ("tea at", "password_short"),
        ("seven words " * 5 + "four5", "password_long"),
        ("密码不能太长" * 5, "password_long"),  # 90 bytes; bcrypt takes 72
        ("password", "password_common"),
        ("PassWord1", "password_common"),
        ("Passw0rd!", "password_common"),
        ("Monkey2024", "password_common"),
        ("qwertyuiop", "password_common"),
        ("12345678", "password_common"),
        ("87654321", "password_common"),
        ("abcdefgh", "password_common"),
        ("aaaaaaaa", "password_common"),
        ("密密密密密密密密", "password_common"),
        ("abcabcab", "password_common"),
        ("x" * 64, "password_common"),
        ("Annette.Miller", "password_personal"),
        ("annette.miller@example.com", "password_personal"),
        ("miller2024", "password_personal"),
        ("Example!", "password_personal"),
        ("CodeCoach", "password_personal"),
        ("codecoach-2024", "password_personal"),
    ],
)
def test_passwords_that_will_not_do_are_refused_with_why_wherever_they_are_set(password, key):
    assert problem(password) == f"errors.{key}.what"
    with pytest.raises(InputRefused) as caught:
        passwords.hash_new(password, "annette.miller@example.com")
    assert caught.value.key == key


@pytest.mark.parametrize("password", ["annette likes rivers", "not a password", "abcdefgh and more"])
def test_a_word_of_these_does_not_spoil_a_longer_password(password):
    assert problem(password) == ""


def test_every_long_enough_password_of_the_list_is_refused_in_any_case():
    leaked = [one for one in FREQUENCY_LISTS["passwords"] if len(one) >= passwords.MIN_CHARACTERS]
    assert len(leaked) > 10_000
    assert [one for one in leaked if not (problem(one) and problem(one.upper()) and problem(one.title()))] == []


def test_the_list_is_not_read_before_a_password_is_set():
    code = "import sys, codecoach.ui.passwords, codecoach.ui.administration; print('zxcvbn' in str(sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "False"


def test_whatever_sets_a_password_asks_the_rules():
    """`hash_password` asks none: it is for `hash_new`, and for a right password that is hashed anew."""
    users = [
        str(file.relative_to(ROOT))
        for file in [*ROOT.glob("codecoach/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "Home.py"]
        if "hash_password(" in file.read_text("utf-8")
    ]
    assert sorted(users) == ["codecoach/ui/passwords.py", "codecoach/ui/signin.py"]


def test_a_password_longer_than_bcrypt_takes_is_refused_not_cut():
    stored = passwords.hash_password("x" * 64)
    assert not passwords.check_password("x" * 64 + "y" * 40, stored)


def test_one_time_passwords_differ_and_are_allowed():
    made = {passwords.one_time_password() for _ in range(50)}
    assert len(made) == 50
    assert all(passwords.problem_with(one, "ann@example.com") is None for one in made)


@pytest.mark.parametrize("stored", ["", "!", "$2b$12$", "not a hash", "$2b$12$" + "x" * 52])
def test_an_account_without_a_password_has_none_that_is_right(stored):
    assert not passwords.check_password("anything at all", stored)
    assert not passwords.check_password(stored, stored)


@pytest.mark.parametrize(
    ("made", "outdated"),
    [
        ("$2b$04$" + "x" * 53, True),
        ("$2b$11$" + "x" * 53, True),
        ("$2a$12$" + "x" * 53, True),
        ("$2y$12$" + "x" * 53, True),
        ("!", True),
        ("$2b$12$" + "x" * 53, False),
        ("$2b$13$" + "x" * 53, False),
    ],
)
def test_a_hash_of_another_form_or_a_lower_cost_is_outdated(made, outdated):
    assert passwords.is_outdated(made) is outdated


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_hashes_of_other_forms_and_costs_are_checked_all_the_same(prefix):
    stored = bcrypt.hashpw(b"a good password", bcrypt.gensalt(4, prefix)).decode()
    assert passwords.check_password("a good password", stored)
    assert not passwords.check_password("a good passwor", stored)


def test_what_is_hashed_today_is_not_outdated():
    assert not passwords.is_outdated(passwords.hash_password("a good password"))
