"""A continued reply reads as one: what the model repeats of its last words is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.coach.seam import Seam

IN_CODE = "Here:\n```python\nimport boto3\n\nec2 = boto3.cli"


def joined(text: str, continuation: str, step: int) -> str:
    seam = Seam(text)
    pieces = [seam.feed(continuation[i : i + step]) for i in range(0, len(continuation), step)]
    return text + "".join(pieces) + seam.rest()


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "continuation", "expected"),
    [
        ("The answer is", " 42.", "The answer is 42."),
        ("The answer is clear", "The answer is clearly 42.", "The answer is clearly 42."),
        (IN_CODE, 'ent("ec2")\n```\n', IN_CODE + 'ent("ec2")\n```\n'),
        (IN_CODE, 'ec2 = boto3.client("ec2")\n```', IN_CODE + 'ent("ec2")\n```'),
        (IN_CODE, '```python\nimport boto3\n\nec2 = boto3.client("ec2")\n```', IN_CODE + 'ent("ec2")\n```'),
        (IN_CODE, '```python\nent("ec2")\n```', IN_CODE + 'ent("ec2")\n```'),
        # Closing the block is no repetition, and neither is opening another one where none is open.
        ("```py\nx = 1\n", "```\nDone.", "```py\nx = 1\n```\nDone."),
        ("First:\n", "```py\nx\n```", "First:\n```py\nx\n```"),
        # An overlap so short may be chance.
        ("a\n", "\nb", "a\n\nb"),
        ("x", "", "x"),
    ],
)
def test_repeated_words_are_left_out(text, continuation, expected, step):
    assert joined(text, continuation, step) == expected


def test_a_continuation_that_only_repeats_adds_nothing():
    assert joined("The whole sentence.", "whole sentence.", 4) == "The whole sentence."


@given(st.text(alphabet="ab`\n ", max_size=60), st.text(alphabet="ab`\n ", max_size=60), st.integers(1, 9))
def test_the_result_does_not_depend_on_the_chunks(text, continuation, step):
    assert joined(text, continuation, step) == joined(text, continuation, 1000)


def test_text_comes_at_once_when_it_cannot_be_a_repetition():
    seam = Seam("print(1)")
    assert seam.feed("\nnext") == "\nnext"
    assert seam.feed("print(1)") == "print(1)"
