"""Templates: identifiers in braces are variables, all else stays as it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecoach.errors import InputRefused
from codecoach.lab import template
from codecoach.lab.sheet import Example, Sheet

CODE = 'def f(): return {"input": {text}, "n": {1}, "x": {}, "set": {a b}}'


def test_variables_come_in_order_of_their_first_appearance():
    assert template.variables("{b} {a} {b}", "{c}{a}") == ("b", "a", "c")


def test_every_other_brace_is_literal():
    assert template.variables(CODE) == ("text",)
    assert template.render(CODE, {"text": "{hello}"}) == CODE.replace("{text}", "{hello}")


def test_with_double_braces_single_ones_are_text():
    assert template.variables("{a} {{b}} {{ c }} {{1}}", style="double") == ("b", "c")
    assert template.render("{a} {{b}} {{1}}", {"b": "B"}, "double") == "{a} B {{1}}"


def test_names_may_be_of_any_script():
    assert template.render("{主题} {größe}", {"主题": "云", "größe": "x"}) == "云 x"


@pytest.mark.parametrize("name", ["self", "stop", "kwargs", "template", "class", "v0"])
def test_no_name_is_taken(name):
    text = f"{{{name}}} {{v0}} {{other}}"
    assert template.render(text, {"v0": "0", "other": "o", name: "given"}).startswith("given ")


def test_a_value_with_variables_in_it_is_not_filled_in_again():
    assert template.render("{a}{b}", {"a": "{b}", "b": "2"}) == "{b}2"


def test_what_has_no_value_is_named():
    with pytest.raises(InputRefused) as refused:
        template.render("{a} {b} {c}", {"b": ""})
    assert refused.value.values == {"names": "a, c"}


def test_a_preview_leaves_what_has_no_value_as_it_is_written():
    assert template.preview("{{ a }} {{b}}", {"a": "", "b": "2"}, "double") == "{{ a }} 2"


@given(st.text(alphabet="{}ab:! \n"), st.text())
def test_whatever_the_text_only_its_variables_change(text, value):
    names = template.variables(text)
    expected = text
    for name in sorted(names):
        assert f"{{{name}}}" in text
    marks = {name: f"\x00{number}\x00" for number, name in enumerate(names)}
    for name, mark in marks.items():
        expected = expected.replace(f"{{{name}}}", mark)
    for mark in marks.values():
        expected = expected.replace(mark, value)
    assert template.render(text, dict.fromkeys(names, value)) == expected


def test_a_sheet_names_what_is_unfilled_and_what_is_unused():
    sheet = Sheet("{a}", system="{s}", examples=(Example("{q}", "{a}"),), values={"a": "1", "gone": "x", "s": ""})
    assert sheet.variables == ("s", "q", "a")
    assert sheet.unfilled == ("s", "q")
    assert sheet.unused == ("gone",)


def test_a_filled_sheet_has_every_text_filled():
    sheet = Sheet("{a}", "{a}", "{a}", (Example("{a}", "{a}"),), values={"a": "1"})
    assert sheet.filled() == Sheet("1", "1", "1", (Example("1", "1"),))
