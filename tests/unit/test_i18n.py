"""Every text exists in both languages, with the same placeholders, and every key that code names exists."""

import ast
import re
import string
from pathlib import Path

import pytest

from codecoach import errors
from codecoach.i18n import Language, Notice, table, tell, text
from deploy import errors as deploy_errors
from piston import errors as toolkit_errors

ROOT = Path(__file__).parents[2]
EN, ZH = table(Language.EN), table(Language.ZH)
# First words of the tables' keys: a string literal `word.more` in code that starts with one of them is taken for a key.
SECTIONS = {key.split(".")[0] for key in EN}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def test_both_languages_have_the_same_keys():
    assert EN.keys() == ZH.keys()


@pytest.mark.parametrize("key", EN)
def test_both_languages_fill_in_the_same_values(key):
    assert placeholders(EN[key]) == placeholders(ZH[key])
    assert EN[key].strip()
    assert ZH[key].strip()


@pytest.mark.parametrize(
    "error",
    [
        cls
        for cls in [*vars(errors).values(), *vars(toolkit_errors).values(), *vars(deploy_errors).values()]
        if isinstance(cls, type) and issubclass(cls, errors.CodeCoachError)
    ],
)
def test_every_error_says_what_happened_and_what_to_do(error):
    assert f"errors.{error.key}.what" in EN
    assert f"errors.{error.key}.hint" in EN


def keys_named_in_code() -> dict[str, str]:
    named = {}
    for file in [*ROOT.glob("codecoach/**/*.py"), *ROOT.glob("[dp]*/*.py"), ROOT / "Home.py"]:
        if not file.exists():
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                continue
            if re.fullmatch(r"[a-z_]+(\.[a-z0-9_]+)+", node.value) and node.value.split(".")[0] in SECTIONS:
                named[node.value] = str(file.relative_to(ROOT))
    return named


def test_every_key_that_code_names_exists():
    named = keys_named_in_code()
    assert {key: file for key, file in named.items() if key not in EN} == {}


def test_a_browser_locale_chooses_the_language():
    assert Language.from_locale("zh-CN") is Language.ZH
    assert Language.from_locale("en-GB") is Language.EN
    assert Language.from_locale(None) is Language.EN


def test_a_notice_is_told_in_the_language_asked_for():
    notice = Notice("errors.settings_wrong.what", {"problems": "X"})
    assert "X" in tell(Language.EN, notice)
    assert tell(Language.EN, notice) != tell(Language.ZH, notice)
    with pytest.raises(KeyError):
        text(Language.EN, "errors.no_such_key")


def test_a_value_may_have_any_name():
    assert "Fortran" in text(Language.EN, "errors.runtime_missing.what", language="Fortran")
