"""Passwords are hashed with bcrypt at cost 12, bounded, and never compared in a way that says who exists."""

import bcrypt
import pytest

from codecoach.ui import passwords


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


@pytest.mark.parametrize("password", ["x" * 8, "x" * 64, "密码密码密码密码密码密码", "  spaces stay  "])
def test_passwords_within_the_bounds_are_allowed_and_work(password):
    assert passwords.problem_with(password) is None
    assert passwords.check_password(password, passwords.hash_password(password))


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("", "signin.password_too_short"),
        ("x" * 7, "signin.password_too_short"),
        ("x" * 65, "signin.password_too_long"),
        ("密" * 25, "signin.password_too_long"),  # 75 bytes; bcrypt takes 72
    ],
)
def test_passwords_outside_the_bounds_are_named(password, key):
    problem = passwords.problem_with(password)
    assert problem is not None
    assert problem.key == key


def test_a_password_longer_than_bcrypt_takes_is_refused_not_cut():
    stored = passwords.hash_password("x" * 64)
    assert not passwords.check_password("x" * 64 + "y" * 40, stored)


def test_one_time_passwords_differ_and_are_allowed():
    made = {passwords.one_time_password() for _ in range(50)}
    assert len(made) == 50
    assert all(passwords.problem_with(one) is None for one in made)


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
