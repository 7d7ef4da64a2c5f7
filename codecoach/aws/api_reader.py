"""Follows boto3 clients and their responses through a Python program, without running it.

It walks the statements in order, with what is known of each name; where branches or loops make a name two different
things it becomes unknown, and nothing is said about it. Functions are read after the code around them, with what every
call in the program passes to them; that is why the whole is read several times and only the last reading counts.
"""

import ast
from collections.abc import Callable

from codecoach.aws.api_expressions import Expressions
from codecoach.aws.api_facts import Fact
from codecoach.aws.api_scopes import Known, Scope, bound_names, joined
from codecoach.aws.api_values import Boto3, Function, Instance, Nothing, Value, merged

READINGS = 3
# Loops are read three times each; deeper ones once, with all that they change unknown.
_LOOPS_DEEP = 3

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def read(tree: ast.Module) -> list[Fact]:
    """What the program does with AWS, in the order of its lines. It may be any program that Python can parse."""
    known, reader = Known(), None
    for _ in range(READINGS):
        reader = _Reader(tree, known)
        reader.run()
        known = reader.learned
    assert reader is not None  # noqa: S101 - READINGS is not 0
    return sorted(reader.facts, key=lambda fact: fact.line)


class _Reader(Expressions):
    def run(self) -> None:
        self._block(self._tree.body)
        self._read_later(self._scope)

    # --- statements ---

    def _block(self, body: list[ast.stmt]) -> bool:
        """Read statements; True where the end of the block is reached."""
        return all(self._statement(statement) for statement in body)

    def _statement(self, node: ast.stmt) -> bool:
        match node:
            case ast.Assign():
                value = self._value(node.value)
                for target in node.targets:
                    self._bind(target, value)
            case ast.AnnAssign():
                if node.value is not None:
                    self._bind(node.target, self._value(node.value))
            case ast.AugAssign():
                self._value(node.value)
                self._bind(node.target, None)
            case ast.Import() | ast.ImportFrom():
                self._import(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._define(node)
            case ast.ClassDef():
                self._class(node)
            case ast.Return():
                value = self._value(node.value) if node.value else Nothing()
                if self._function:
                    self.learned.returned.setdefault(self._function, []).append(value)
                return False
            case ast.Raise():
                self._children(node)
                return False
            case ast.Break() | ast.Continue():
                return False
            case ast.If():
                self._value(node.test)
                return self._branches([node.body, node.orelse])
            case ast.For() | ast.AsyncFor():
                items = self._items(node.iter)
                self._loop(node.body, lambda: self._bind(node.target, items))
                self._block(node.orelse)
            case ast.While():
                self._value(node.test)
                self._loop(node.body, lambda: self._children(node.test))
                self._block(node.orelse)
            case ast.Try() | ast.TryStar():
                return self._try(node)
            case ast.With() | ast.AsyncWith():
                for entered in node.items:
                    self._value(entered.context_expr)
                    if entered.optional_vars:
                        self._bind(entered.optional_vars, None)
                return self._block(node.body)
            case ast.Match():
                self._value(node.subject)
                for captured in ast.walk(node):
                    if isinstance(captured, ast.MatchAs | ast.MatchStar) and captured.name:
                        self._name(captured.name, None)
                self._branches([*(case.body for case in node.cases), []])
            case ast.Delete():
                for target in node.targets:
                    self._bind(target, None)
            case _:
                self._children(node)
        return True

    def _branches(self, bodies: list[list[ast.stmt]]) -> bool:
        """Read alternatives; False where none of them reaches its end."""
        before = dict(self._scope.names)
        ends = []
        for body in bodies:
            self._scope.names = dict(before)
            if self._block(body):
                ends.append(self._scope.names)
        self._scope.names = joined(ends) if ends else before
        return bool(ends)

    def _loop(self, body: list[ast.stmt], each_time: Callable[[], None]) -> None:
        before = dict(self._scope.names)
        entry = dict(before)
        start = len(self._scope.bound)
        if self._loops < _LOOPS_DEEP:
            for _ in range(2):
                with self._muting():
                    self._pass(entry, body, each_time)
                entry = self._with_changes(before, start)
        else:
            entry |= dict.fromkeys(bound_names(body))
        self._pass(entry, body, each_time)
        self._scope.names = self._with_changes(before, start)

    def _pass(self, entry: dict[str, Value], body: list[ast.stmt], each_time: Callable[[], None]) -> None:
        self._scope.names = dict(entry)
        self._loops += 1
        each_time()
        self._block(body)
        self._loops -= 1

    def _with_changes(self, before: dict[str, Value], start: int) -> dict[str, Value]:
        """What may hold after any part of what was read since `start`."""
        changes: dict[str, list[Value]] = {}
        for name, value in self._scope.bound[start:]:
            changes.setdefault(name, [before[name]] if name in before else []).append(value)
        return before | {name: merged(values) for name, values in changes.items()}

    def _try(self, node: ast.Try | ast.TryStar) -> bool:
        before, start = dict(self._scope.names), len(self._scope.bound)
        self._soft += bool(node.handlers)
        ended = self._block(node.body)
        self._soft -= bool(node.handlers)
        broken = self._with_changes(before, start)
        ends = [self._scope.names] if ended and self._block(node.orelse) else []
        for handler in node.handlers:
            self._scope.names = dict(broken)
            if handler.type:
                self._value(handler.type)
            if handler.name:
                self._name(handler.name, None)
            if self._block(handler.body):
                ends.append(self._scope.names)
        self._scope.names = joined(ends) if ends else broken
        return self._block(node.finalbody) and bool(ends)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                part = {"boto3": "boto3", "boto3.session": "session"}.get(whole, "")
                name = alias.asname or whole
            else:
                inside = node.module in ("boto3", "boto3.session")
                part = alias.name if inside and alias.name in ("client", "session", "Session") else ""
                name = alias.asname or alias.name
            self._name(name, Boto3(part) if part else None)

    # --- functions and classes ---

    def _define(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for expression in (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            self._value(expression)
        # A decorator or `await` may give something else than what is returned.
        plain = isinstance(node, ast.FunctionDef) and not node.decorator_list and not _yields(node)
        function = Function(node.lineno, node.col_offset) if plain and not self._in_class else None
        self._name(node.name, function)
        self._later(node, function)

    def _later(self, node: _FunctionNode, function: Function | None = None) -> None:
        if self._muted:
            return
        outer, in_class = self._scope, self._in_class
        outer.later.append(lambda: self._read_function(node, function, outer, in_class))

    def _read_later(self, scope: Scope) -> None:
        while scope.later:
            scope.later.pop(0)()

    def _read_function(self, node: _FunctionNode, function: Function | None, outer: Scope, in_class: bool) -> None:
        saved = self._scope, self._function, self._in_class, self._soft
        self._scope = Scope(outer, self._parameters(node, function, in_class))
        self._function, self._in_class, self._soft = function, False, 0
        if isinstance(node, ast.Lambda):
            self._value(node.body)
        elif self._block(node.body) and function:
            self.learned.returned.setdefault(function, []).append(Nothing())
        self._read_later(self._scope)
        self._scope, self._function, self._in_class, self._soft = saved

    def _parameters(self, node: _FunctionNode, function: Function | None, in_class: bool) -> dict[str, Value]:
        arguments = node.args
        plain = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        others = [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument]
        names: dict[str, Value] = dict.fromkeys([*plain, *others])
        if function and function not in self._known.escaped:
            names |= {name: merged(self._known.arguments.get((function, name), [])) for name in plain}
        if in_class and plain[:1] == ["self"]:
            names["self"] = Instance()
        return names

    def _class(self, node: ast.ClassDef) -> None:
        for expression in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._value(expression)
        saved, names, start = self._in_class, dict(self._scope.names), len(self._scope.bound)
        self._in_class = True
        self._block(node.body)
        self._in_class = saved
        # Methods do not see the names of the class's body, but `self` has them.
        for name, value in self._scope.bound[start:]:
            self.learned.attributes.setdefault(name, []).append(value)
        self._scope.names = names
        del self._scope.bound[start:]
        self._name(node.name, None)


def _yields(node: ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
