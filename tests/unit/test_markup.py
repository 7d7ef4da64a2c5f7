"""What a model writes reads as it was meant, in Streamlit's Markdown too."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from codecoach.ui.markup import BREAK, plain, readable


@pytest.mark.parametrize(
    ("written", "given_to_streamlit"),
    [
        ("from $5 to $6", "from \\$5 to \\$6"),
        ("`$HOME` and $HOME", "`$HOME` and \\$HOME"),
        ("arn:aws:s3:::bucket", f"arn\\:{BREAK}aws\\:{BREAK}s3:::bucket"),
        (":smile: and \\:+1:", f"\\:{BREAK}smile: and \\:{BREAK}+1:"),
        (":material/home: or :streamlit:", f"\\:{BREAK}material/home: or \\:{BREAK}streamlit:"),
        ("`:smile:` and `:material_home:`", "`:smile:` and `:material_home:`"),
        ("`a :material/home:`", f"`a :material`{BREAK}`/home:`"),
        ("`` `:material/ ``", f"`` `:material ``{BREAK}``/``"),
        (
            "[logs](https://aws.example/#a:b:c$252F) at http://a.example/:smile:$x",
            "[logs](https://aws.example/#a:b:c$252F) at http://a.example/:smile:$x",
        ),
        (":red[alarm]", "\\:red[alarm]"),
        ("![pixel](http://example.com/?q=secret)", "\\![pixel](http://example.com/?q=secret)"),
        (
            "[https://aws.amazon.com/s3](http://evil.example/x)",
            f"https\\:{BREAK}//aws.amazon.com/s3 (http://evil.example/x )",
        ),
        (
            "[aws.amazon.com](https://aws.amazon.com.evil.example)",
            "aws.amazon.com (https://aws.amazon.com.evil.example )",
        ),
        ("[www.aws.com](https://aws.com 'title')", "[www.aws.com](https://aws.com 'title')"),
        ("[see main.py for $5](https://a.example/$x)", "[see main.py for \\$5](https://a.example/$x)"),
        ("[`boto3.client`](https://a.example)", "[`boto3.client`](https://a.example)"),
        ("[a](data:text/html,x) [b](<javascript:x>)", "[a\\](data:text/html,x) [b\\](\\<javascript:x>)"),
        ("[a](&#100;ata:x) [b][c]\n\n[c]: data:x", "[a\\](&#100;ata:x) [b][c]\n\n[c\\]: data:x"),
        (
            "[a](/Chat?c=1 'b') [d](#e) [f](mailto:g@h.example) <i:j>",
            "[a](/Chat?c=1 'b') [d](#e) [f](mailto:g@h.example) \\<i:j>".replace("\\<i", "<i"),
        ),
        ("`vec![1]`", "`vec![1]`"),
        ("https://\\![no picture](/)", "https://\\![no picture](/)"),
        ("``a ` $b``", "``a ` $b``"),
        ("an open ` and $5", "an open ` and \\$5"),
        ("already \\$5", "already \\$5"),
        ("http://example.com:8080/x", "http://example.com:8080/x"),
        ("**bold**, 1. list\n\n- point", "**bold**, 1. list\n\n- point"),
    ],
)
def test_it_reads_as_written(written, given_to_streamlit):
    assert readable(written) == given_to_streamlit


@given(st.text(alphabet=st.sampled_from("a `$:![]\\\n"), max_size=80))
def test_only_backslashes_and_breaks_are_added(written):
    added = (
        "\\` " if re.search(r"\][(\[:]", written) else "\\"
    )  # where there is an address, code may come to be cut in two
    without = str.maketrans("", "", added)
    assert readable(written).replace(BREAK, "").translate(without) == written.translate(without)


@pytest.mark.parametrize(
    "written",
    [
        "![x](http://u)",
        "https://![x](http://u)",
        "https://example.com![x](http://u)",
        "see `a\n\n![x](http://u)\n\nb`",
        "- `a\n- ![x](http://u)`",
        "<https://a`b>![x](http://u)`",
        "<https://a`b>![x`](http://u)",
        "<https://a`b>![x]`\n\n[x]: http://u",
    ],
)
def test_no_picture_is_fetched_however_it_is_hidden(written):
    assert "<img" in MarkdownIt().render(written)
    assert "<img" not in MarkdownIt().render(readable(written))


PIECES = (
    "![x](http://u)",
    "![",
    "](http://u)",
    "[x]",
    "`",
    "``",
    "https://",
    "<",
    ">",
    "\n",
    "\n\n",
    "- ",
    "\\",
    "a",
    " ",
    "\n[x]: u\n",
)


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_no_picture_is_fetched_whatever_surrounds_it(written):
    assert "<img" not in MarkdownIt().render(readable(written))


@pytest.mark.parametrize(
    ("written", "given_to_streamlit"),
    [
        ("a_b *c*", "a\\_b \\*c\\*"),
        (":material/home:", f"\\:{BREAK}material/home\\:"),
        (":streamlit: 12:30", f"\\:{BREAK}streamlit\\: 12\\:30"),
        ("https://aws.example", f"https\\:{BREAK}//aws.example"),
        ("&lt;", "\\&lt;"),
    ],
)
def test_plain_text_is_no_markdown(written, given_to_streamlit):
    assert plain(written) == given_to_streamlit
