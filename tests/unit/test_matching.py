"""Patterns and schemas: found in a process of their own, and given up where they take too long."""

import json

import pytest

from codecoach.coach import matching
from codecoach.coach.matching import found

PERSON = json.dumps({"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}})


@pytest.mark.parametrize(
    ("pattern", "answer", "passed", "key"),
    [
        (r"^\d{3}$", "123", True, "pattern_found"),
        (r"^\d{3}$", "1234", False, "pattern_missing"),
        (r"(?i)paris", "It is PARIS.", True, "pattern_found"),
        ("词.", "单词表", True, "pattern_found"),
        ("(", "(", None, "bad_pattern"),
    ],
)
def test_a_pattern_is_looked_for_anywhere_in_the_answer(pattern, answer, passed, key):
    match = found("regex", pattern, answer)
    assert (match.passed, match.key) == (passed, key)


def test_a_pattern_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(matching, "TIMEOUT_S", 1.0)
    assert found("regex", "(a+)+$", "a" * 40 + "b").key == "too_slow"


@pytest.mark.parametrize(
    ("schema", "answer", "passed", "key"),
    [
        (PERSON, '{"name": "Ann", "age": 3}', True, "schema_accepted"),
        (PERSON, 'Here it is:\n```json\n{"name": "Ann"}\n```\nBye.', True, "schema_accepted"),
        (PERSON, '```\n{"name": "Ann"}\n```', True, "schema_accepted"),
        (PERSON, '{"name": "Ann", "age": "three"}', False, "schema_refused"),
        (PERSON, "{}", False, "schema_refused"),
        (PERSON, "Ann", False, "no_json"),
        ("{", "{}", None, "bad_schema"),
        ('{"type": "nothing"}', "{}", None, "bad_schema"),
        ('{"$ref": "http://127.0.0.1:9/schema"}', "{}", None, "bad_schema"),
    ],
)
def test_json_is_taken_from_the_answer_and_held_against_the_schema(schema, answer, passed, key):
    match = found("json_schema", schema, answer)
    assert (match.passed, match.key) == (passed, key)


def test_where_a_schema_refuses_it_says_so():
    assert "$.age" in found("json_schema", PERSON, '{"name": "Ann", "age": "three"}').detail
