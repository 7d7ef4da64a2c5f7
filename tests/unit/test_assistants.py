"""The assistants are complete in both languages, and titles come from what was asked."""

import pytest

from codecoach.coach import assistants
from codecoach.coach.history import tokens
from codecoach.coach.titles import WIDTH, title
from codecoach.i18n import Language, text


@pytest.mark.parametrize("assistant", assistants.BUILT_IN, ids=lambda assistant: assistant.id)
def test_an_assistant_has_a_prompt_and_its_texts(assistant):
    assert assistant.system
    for language in Language:
        assert text(language, assistant.name_key)
        assert text(language, assistant.description_key)


def test_prompts_are_short_because_the_local_model_reads_slowly():
    assert max(tokens(assistant.system) for assistant in assistants.BUILT_IN) <= 320


def test_an_unknown_assistant_is_the_default_one():
    assert assistants.get("deleted-copilot") is assistants.DEFAULT
    assert assistants.get("aws_cli").id == "aws_cli"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("List the EC2 instances", "List the EC2 instances"),
        ("\n\n  ## **List**   my `buckets`\nplease", "List my buckets"),
        ("```python\nprint(1)\n```\nWhat does this do?", "What does this do?"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("```", ""),
        (
            "Please write a program that lists all of the EC2 instances of a region",
            "Please write a program that lists all of the EC2…",
        ),
        (
            "请用 boto3 写一个程序，列出 us-east-1 区域中全部正在运行的实例及其标签",
            "请用 boto3 写一个程序，列出 us-east-1 区域中全部…",
        ),
        ("x" * 100, "x" * WIDTH + "…"),
    ],
)
def test_a_title_is_the_first_words(said, expected):
    assert title(said) == expected
