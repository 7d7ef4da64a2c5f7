"""The words of the interface, in English and Chinese.

Every text a person can read is a key in `locales/en.toml` and `locales/zh.toml`; code below the interface passes keys
and values (`Notice`) and never a sentence, so that one result can be shown in any language.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any


class Language(StrEnum):
    """A language of the interface, named by its ISO 639-1 code."""

    EN = "en"
    ZH = "zh"

    @classmethod
    def from_locale(cls, locale: str | None) -> "Language":
        """The language that serves a browser's locale best (`zh-CN` -> Chinese, anything unknown -> English)."""
        return cls.ZH if (locale or "").lower().startswith("zh") else cls.EN


@dataclass(frozen=True)
class Notice:
    """Something to tell a person: a message key and the values its sentence is filled with."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@cache
def table(language: Language) -> Mapping[str, str]:
    """All texts of one language as a flat table, `{"chat.new": "New conversation", ...}`."""
    source = resources.files("codecoach").joinpath("locales", f"{language}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(source)))


def text(language: Language, key: str, /, **values: object) -> str:
    """The text of `key`, its `{placeholders}` filled; raises KeyError for a key that no table has."""
    return table(language)[key].format_map({name: str(value) for name, value in values.items()})


def tell(language: Language, notice: Notice) -> str:
    """The sentence of a notice."""
    return text(language, notice.key, **notice.values)


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in node.items():
        key = f"{prefix}.{name}" if prefix else name
        pairs += _flat(value, key) if isinstance(value, dict) else [(key, value)]
    return pairs
