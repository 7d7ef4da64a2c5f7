"""The names of a program and what is known of them, for `api_reader`."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codecoach.aws.api_values import Function, Value, merged


@dataclass
class Known:
    """What one reading learns for the next: of functions, and of the attributes of `self`."""

    arguments: dict[tuple[Function, str], list[Value]] = field(default_factory=dict)
    returned: dict[Function, list[Value]] = field(default_factory=dict)
    escaped: set[Function] = field(default_factory=set)
    attributes: dict[str, list[Value]] = field(default_factory=dict)


class Scope:
    """Names of a module or function: `names` as they are here and now, `bound` all they ever are, for inner functions."""

    def __init__(self, outer: "Scope | None" = None, names: Mapping[str, Value] | None = None) -> None:
        self.outer = outer
        self.names: dict[str, Value] = dict(names or {})
        self.bound: list[tuple[str, Value]] = list(self.names.items())
        self.later: list[Callable[[], None]] = []

    def value(self, name: str) -> Value:
        if name in self.names:
            return self.names[name]
        scope = self.outer
        while scope is not None:
            values = [value for bound, value in scope.bound if bound == name]
            if values:
                return merged(values)
            scope = scope.outer
        return None


def joined(ends: list[dict[str, Value]]) -> dict[str, Value]:
    """What holds after branches; a name that only some of them bind is what those make it."""
    names = {name for end in ends for name in end}
    return {name: merged(end[name] for end in ends if name in end) for name in names}


def bound_names(body: list[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
