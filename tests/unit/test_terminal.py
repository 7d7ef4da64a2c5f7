"""Outputs of programs are shown clean and bounded, whatever the program printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.ui import terminal
from codecoach.ui.terminal import clean, shown


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[?25l\x1b[2K\x1b[1Gspinner", "spinner"),
        ("\x1b(Bplain", "plain"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("a\x00b\x08c\x7fd\x9be", "abcde"),
        ("tab\tstays", "tab\tstays"),
        ("unfinished \x1b[", "unfinished "),
        ("中文 é 🎉", "中文 é 🎉"),
    ],
)
def test_escape_sequences_and_control_characters_are_not_shown(printed, seen):
    assert clean(printed) == seen


def test_a_short_output_is_shown_whole():
    assert shown("one\ntwo\n") == terminal.Shown("one\ntwo")
    assert shown("one\ntwo\n").complete


def test_of_a_long_output_the_end_is_shown_and_the_rest_counted():
    long = shown("".join(f"line {n}\n" for n in range(1000)))
    assert long.text.startswith("line 600\n")
    assert long.text.endswith("line 999")
    assert long.hidden_lines == 600


def test_a_giant_line_is_cut():
    giant = shown("x" * 900_000)
    assert len(giant.text) < 2 * terminal.LINE_CHARS
    assert giant.cut_lines == 1
    assert not giant.complete


def test_an_output_exactly_at_the_limit_is_whole():
    lines = "\n".join("x" for _ in range(terminal.SHOWN_LINES))
    assert shown(lines).complete
    assert shown(lines + "\nx").hidden_lines == 1


def test_lines_far_back_are_counted_though_nobody_looks_at_them():
    many = shown("x\n" * 1_000_000)
    assert many.hidden_lines == 1_000_000 - terminal.SHOWN_LINES


@given(st.text(alphabet=st.sampled_from("ab\x1b[]0;m\r\n\x07\\\x00P"), max_size=200))
def test_nothing_a_browser_or_terminal_would_obey_is_left(printed):
    left = clean(printed)
    assert not set(left) & {"\x1b", "\r", "\x07", "\x00"}
    assert clean(left) == left
