"""What a program does with AWS, as far as it can be seen without running it."""

import ast
from dataclasses import dataclass

from codecoach.aws.api_values import Data


@dataclass(frozen=True)
class ServiceNamed:
    line: int
    name: str


@dataclass(frozen=True)
class AttributeUsed:
    """An attribute of a client."""

    line: int
    service: str
    name: str


@dataclass(frozen=True)
class HelperNamed:
    """`get_paginator(name)` or `get_waiter(name)`."""

    line: int
    service: str
    kind: str
    name: str


@dataclass(frozen=True)
class Called:
    """An operation is called; `extra` are parameters that its paginator or waiter takes besides."""

    line: int
    service: str
    method: str
    call: ast.Call
    extra: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KeyUsed:
    """`data[key]`, or `data.get(key)` and the like (`soft`), which do not fail where the key is missing."""

    line: int
    data: Data
    key: str
    soft: bool


Fact = ServiceNamed | AttributeUsed | HelperNamed | Called | KeyUsed
