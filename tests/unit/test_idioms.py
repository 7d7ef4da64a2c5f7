"""What a user says tells which language's SDK the model is shown."""

import pytest

from codecoach.coach import assistants, idioms
from codecoach.coach.history import tokens
from codecoach.languages import BY_ID


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("list my S3 buckets in Go", "go"),
        ("list my s3 buckets in go", "go"),
        ("用Go列出我的S3存储桶", "go"),
        ("a golang program, please", "go"),
        ("Go through my buckets", "go"),  # in vain, and harmless
        ("let it go through my buckets", None),
        ("now with Rust", "rust"),
        ("I trust you", None),
        ("a Node.js script", "javascript"),
        ("用TypeScript写", "typescript"),
        ("not in Python but in JavaScript", "javascript"),
        ("boto3, all queues", "python"),
        ("my scripts", None),
        ("", None),
    ],
)
def test_the_language_named_last_counts(said, language):
    assert idioms.named([said]) == language


def test_a_language_named_earlier_holds_until_another_one_is_named():
    assert idioms.named(["buckets in Go", "and their sizes?"]) == "go"
    assert idioms.named(["buckets in Go", "and in Python?", "thanks"]) == "python"


def test_the_code_coach_is_told_of_one_language_and_others_of_none():
    coach, cli = assistants.get("code_coach"), assistants.get("aws_cli")
    assert coach.told(["buckets in Go"]) == f"{coach.system}\n\n{idioms.idiom('go')}"
    assert coach.told(["buckets in Python"]) == coach.told(["buckets"]) == coach.system
    assert cli.told(["buckets in Go"]) == cli.system


def test_idioms_are_of_languages_there_are_and_short():
    told = {language: tokens(idioms.idiom(language)) for language in BY_ID}
    assert [language for language in told if told[language]] == ["javascript", "typescript", "go", "rust"]
    assert max(told.values()) <= 320
    assert set(idioms.NAMES) == set(BY_ID)


def test_of_a_long_text_its_beginning_and_its_end_are_looked_at():
    paste = "x" * 1_000_000
    assert idioms.named([f"In Rust: {paste}"]) == "rust"
    assert idioms.named([f"{paste} Do this in PHP."]) == "php"
    assert idioms.named([f"{paste} Rust {paste}"]) is None
