"""Replies split into text and code as CommonMark demands, wherever their chunks are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from codecoach.chat.fences import Segment, Splitter, segments

# What fences are made of, and what could be taken for one.
PIECES = st.sampled_from(
    [
        "```",
        "~~~",
        "````",
        "``",
        "`",
        "~",
        "~~~~~",
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "python",
        "x = 1",
        "你好",
        "```py\n",
        "\n```\n",
    ]
)
REPLIES = st.lists(PIECES, max_size=30).map("".join)


def code(text: str, info: str = "", closed: bool = True) -> Segment:
    return Segment("code", text, info, closed)


def prose(text: str) -> Segment:
    return Segment("text", text)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("", ()),
        ("\n \n", ()),
        ("Hello", (prose("Hello"),)),
        ("```python\nx = 1\n```", (code("x = 1\n", "python"),)),
        ("A\n```py\nx\n```\nB", (prose("A\n"), code("x\n", "py"), prose("B"))),
        ("~~~ bash -x \nls\n~~~\n", (code("ls\n", "bash -x"),)),
        ("````md\n```py\nx\n```\n````\nB", (code("```py\nx\n```\n", "md"), prose("B"))),
        ("```\n~~~\n```\n", (code("~~~\n"),)),
        ("```\nx\n``` y\n```\n", (code("x\n``` y\n"),)),
        ("```\nx\n`````  \n", (code("x\n"),)),
        ("```\n```\n```\n```", (code(""), code(""))),
        ("   ```\n   x\n     y\n  z\n   ```\n", (code("x\n  y\nz\n"),)),
        ("    ```\n", (prose("    ```\n"),)),
        ("``` a`b\nx", (prose("``` a`b\nx"),)),
        ("```go\nfunc", (code("func\n", "go", closed=False),)),
        ("A\n```", (prose("A\n"), code("", "", closed=False))),
        ("```\r\nx\r\n```\r\n", (code("x\n"),)),
    ],
)
def test_fences_are_read_as_commonmark_demands(reply, expected):
    assert segments(reply) == expected


def test_a_fence_in_a_list_item_may_be_as_deep_as_the_item():
    reply = "1. Install:\n    ```bash\n    pip install boto3\n    ```\n- a\n  - b\n      ```\n      x\n      ```\n"
    assert [(part.text, part.info) for part in segments(reply) if part.kind == "code"] == [
        ("pip install boto3\n", "bash"),
        ("x\n", ""),
    ]


def test_code_that_is_not_indented_like_its_fence_stays_in_the_block():
    assert segments("- a\n  ```py\nx = 1\n  ```\n")[1] == code("x = 1\n", "py")


@given(REPLIES, st.data())
def test_any_chunking_gives_the_segments_of_the_whole(reply, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(reply)), max_size=12)))
    splitter = Splitter()
    for start, end in zip([0, *cuts], [*cuts, len(reply)], strict=True):
        splitter.feed(reply[start:end])
        assert (*splitter.finished, *splitter.tail()) == segments(reply[:end])
    assert (*splitter.finished, *splitter.tail()) == segments(reply)


@given(REPLIES, REPLIES)
def test_what_is_finished_never_changes(reply, more):
    splitter = Splitter()
    splitter.feed(reply)
    before = list(splitter.finished)
    splitter.feed(more)
    assert splitter.finished[: len(before)] == before
    assert segments(reply + more)[: len(before)] == tuple(before)


@given(REPLIES)
def test_code_is_what_a_commonmark_parser_finds(reply):
    # The final newline: without it the parser leaves the last line of an unclosed block without one, too.
    tokens = MarkdownIt().parse(reply + "\n")
    parsed = [(token.content, token.info.strip()) for token in tokens if token.type == "fence"]
    assert [(part.text, part.info) for part in segments(reply + "\n") if part.kind == "code"] == parsed


def test_long_prose_is_cut_between_paragraphs_and_loses_nothing():
    paragraph = "Word " * 60
    reply = f"{paragraph}\n\n{paragraph}\n\nThird {paragraph}\n\n- item\n\nLast."
    parts = segments(reply)
    assert len(parts) > 1
    assert "".join(part.text for part in parts) == reply


def test_a_list_is_never_cut_in_two():
    items = "".join(f"- {'word ' * 50}\n\n  more of it\n\n" for _ in range(5))
    assert len(segments(items)) == 1
