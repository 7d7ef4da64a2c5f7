"""What nobody sees in a program is told, and in a title or an output it is written out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.chat.invisible import hidden, shown, without_overrides
from codecoach.ui import markup, terminal

# The well-known example: what reads as a comment is code.
TROJAN = (
    "access = 'user'\nif access != 'user\u202e \u2066# Check if admin\u2069 \u2066':\n    print('You are an admin.')\n"
)


@pytest.mark.parametrize(
    ("code", "lines", "turning"),
    [
        (TROJAN, (2,), True),
        ("a = 1\nb\u200b = 2\nс = 3\n", (2,), False),
        ("def \u3164(): pass", (1,), False),
        ("# \U000e0041\U000e0042", (1,), False),
        ("one\r\n\u2067two\r\nthree\u00ad", (2, 3), True),
        ("print('👩\u200d💻 ❤️\u200d🔥')", (), False),
        ("\ufeffimport os", (), False),
        ("import\ufeff os", (1,), False),
        ("print('桶 مرحبا שלום é')", (), False),
        ("x\u200d = 1", (1,), False),
        ("", (), False),
    ],
)
def test_the_lines_are_told(code, lines, turning):
    found = hidden(code)
    assert (found.lines, found.turning) == (lines, turning)
    assert bool(found) == bool(lines)


def test_a_large_program_is_looked_through_in_no_time_worth_a_thought():
    assert hidden("x = '\u200b'\n" * 100_000).lines[-1] == 100_000
    assert not hidden("é" * 1_000_000)


@given(st.text(max_size=60))
def test_nothing_turns_the_direction_of_a_title_and_all_else_stays(text):
    assert not hidden(shown(text)).turning
    if not hidden(text).turning:
        assert shown(text) == text


def test_titles_names_answers_and_outputs_are_not_shown_backwards():
    name = "photo\u202egnp.exe"
    for told in (markup.plain(name), markup.readable(name), terminal.clean(name), without_overrides(name)):
        assert "\u202e" not in told
        assert "U" in told
    assert without_overrides("\u2067שלום\u2069") == "\u2067שלום\u2069"
