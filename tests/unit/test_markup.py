"""What a model writes reads as it was meant, in Streamlit's Markdown too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.ui.markup import readable


@pytest.mark.parametrize(
    ("written", "given_to_streamlit"),
    [
        ("from $5 to $6", "from \\$5 to \\$6"),
        ("`$HOME` and $HOME", "`$HOME` and \\$HOME"),
        ("arn:aws:s3:::bucket", "arn\\:aws\\:s3:::bucket"),
        (":red[alarm]", "\\:red[alarm]"),
        ("![pixel](http://example.com/?q=secret)", "\\![pixel](http://example.com/?q=secret)"),
        ("`vec![1]`", "`vec![1]`"),
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
def test_only_backslashes_are_added(written):
    assert readable(written).replace("\\", "") == written.replace("\\", "")
