"""A diff says what changes, and nothing in it is taken for markup."""

from codecoach.ui import diff


def test_equal_programs_have_no_diff():
    assert diff.lines("a\nb\n", "a\nb\n") == []


def test_lines_carry_their_numbers_before_and_after():
    changes = diff.lines("a\nb\nc\n", "a\nB\nc\n")
    assert changes == [
        diff.Line("same", "a", 1, 1),
        diff.Line("removed", "b", old=2),
        diff.Line("added", "B", new=2),
        diff.Line("same", "c", 3, 3),
    ]


def test_far_apart_changes_leave_out_what_is_between():
    before = [str(n) for n in range(50)]
    after = [*before]
    after[5], after[40] = "x", "y"
    kinds = [line.kind for line in diff.lines("\n".join(before), "\n".join(after))]
    assert kinds.count("skipped") == 2
    assert len(kinds) == 2 + 2 * (2 + 2 * diff.CONTEXT_LINES)


def test_code_that_looks_like_markup_stays_text():
    row = diff._row(diff.Line("added", "<script>alert('x')</script>", new=1))
    assert "<script>" not in row
    assert "&lt;script&gt;" in row
