"""Follows boto3 clients and their responses through a Python program, without running it.

It walks the statements in order, with what is known of each name; where branches or loops make a name two different
things it becomes unknown, and nothing is said about it. Functions are read after the code around them, with what every
call in the program passes to them; that is why the whole is read several times and only the last reading counts.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from codecoach.aws import api_models
from codecoach.aws.api_values import (
    Boto3,
    Client,
    Data,
    Function,
    Instance,
    Many,
    Nothing,
    Pages,
    Paginator,
    Pair,
    Text,
    Value,
    Waiter,
    item,
    member,
    merged,
)

READINGS = 3
# Loops are read three times each; deeper ones once, with all that they change unknown.
_LOOPS_DEEP = 3
_KEPT_AS_THEY_ARE = frozenset(("list", "sorted", "reversed", "tuple", "iter"))

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


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


@dataclass
class _Known:
    """What one reading learns for the next: of functions, and of the attributes of `self`."""

    arguments: dict[tuple[Function, str], list[Value]] = field(default_factory=dict)
    returned: dict[Function, list[Value]] = field(default_factory=dict)
    escaped: set[Function] = field(default_factory=set)
    attributes: dict[str, list[Value]] = field(default_factory=dict)


def read(tree: ast.Module) -> list[Fact]:
    """What the program does with AWS, in the order of its lines. It may be any program that Python can parse."""
    known, reader = _Known(), None
    for _ in range(READINGS):
        reader = _Reader(tree, known)
        reader.run()
        known = reader.learned
    assert reader is not None  # noqa: S101 - READINGS is not 0
    return sorted(reader.facts, key=lambda fact: fact.line)


class _Scope:
    """Names of a module or function: `names` as they are here and now, `bound` all they ever are, for inner functions."""

    def __init__(self, outer: "_Scope | None" = None, names: Mapping[str, Value] | None = None) -> None:
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


class _Reader:
    def __init__(self, tree: ast.Module, known: _Known) -> None:
        self._tree = tree
        self._known = known
        self.learned = _Known()
        self._facts: dict[Fact, None] = {}
        self._scope = _Scope()
        self._muted = 0
        self._loops = 0
        self._soft = 0
        self._function: Function | None = None
        self._in_class = False
        self._definitions = {
            Function(node.lineno, node.col_offset): node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
        }
        # Names that a function changes from inside: what they are when is anybody's guess.
        self._shared = {
            name for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
        }
        self._foreign_attributes = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store | ast.Del)
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        }

    @property
    def facts(self) -> list[Fact]:
        return list(self._facts)

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
        self._scope.names = _joined(ends) if ends else before
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
            entry |= dict.fromkeys(_bound_names(body))
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
        self._scope.names = _joined(ends) if ends else broken
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

    def _later(self, node: _FunctionNode, function: Function | None) -> None:
        if self._muted:
            return
        outer, in_class = self._scope, self._in_class
        outer.later.append(lambda: self._read_function(node, function, outer, in_class))

    def _read_later(self, scope: _Scope) -> None:
        while scope.later:
            scope.later.pop(0)()

    def _read_function(self, node: _FunctionNode, function: Function | None, outer: _Scope, in_class: bool) -> None:
        saved = self._scope, self._function, self._in_class, self._soft
        self._scope = _Scope(outer, self._parameters(node, function, in_class))
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

    # --- names ---

    def _bind(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name():
                self._name(target.id, value)
            case ast.Tuple(elts=[first, second]) if isinstance(value, Pair):
                self._bind(first, None)
                self._bind(second, value.second)
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self._bind(element, None)
            case ast.Starred():
                self._bind(target.value, None)
            case ast.Attribute(value=ast.Name(id="self")) if self._scope.value("self") == Instance():
                self.learned.attributes.setdefault(target.attr, []).append(value)
            case _:
                self._children(target)

    def _name(self, name: str, value: Value) -> None:
        if name in self._shared:
            value = None
        self._scope.names[name] = value
        self._scope.bound.append((name, value))

    @contextmanager
    def _muting(self) -> Iterator[None]:
        self._muted += 1
        yield
        self._muted -= 1

    def _say(self, fact: Fact) -> None:
        if not self._muted:
            self._facts[fact] = None

    # --- expressions ---

    def _children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._value(child)
            else:
                self._children(child)

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Name():
                value = self._scope.value(node.id)
                if isinstance(value, Function):
                    self.learned.escaped.add(value)
                return value
            case ast.Constant(value=str() as text):
                return Text(text)
            case ast.Constant(value=None):
                return Nothing()
            case ast.Call():
                return self._call(node)
            case ast.Attribute():
                return self._attribute(self._value(node.value), node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.NamedExpr():
                value = self._value(node.value)
                self._bind(node.target, value)
                return value
            case ast.IfExp():
                self._value(node.test)
                return merged([self._value(node.body), self._value(node.orelse)])
            case ast.Compare():
                self._compare(node)
                return None
            case ast.BoolOp():
                values = [self._value(operand) for operand in node.values]
                return merged(values[:1] if _falls_back_to_empty(node) else values)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node)
            case ast.Lambda():
                self._later(node, None)
                return None
        self._children(node)
        return None

    def _comprehension(self, node: _Comprehension) -> Value:
        names, bound = dict(self._scope.names), len(self._scope.bound)
        for generator in node.generators:
            self._bind(generator.target, self._items(generator.iter))
            for condition in generator.ifs:
                self._value(condition)
        if isinstance(node, ast.DictComp):
            self._value(node.key)
            self._value(node.value)
            made = None
        else:
            made = self._value(node.elt)
        self._scope.names = names
        del self._scope.bound[bound:]
        return Many(made) if made else None

    def _items(self, node: ast.expr) -> Value:
        """What a loop over an expression gives, item by item."""
        return item(self._value(node))

    def _attribute(self, base: Value, node: ast.Attribute) -> Value:
        match base:
            case Client():
                self._say(AttributeUsed(node.lineno, base.service, node.attr))
            case Boto3(part="boto3") if node.attr in ("client", "session", "Session"):
                return Boto3(node.attr)
            case Boto3(part="session") if node.attr == "Session":
                return Boto3("Session")
            case Boto3(part="a session") if node.attr == "client":
                return Boto3("client")
            case Instance() if node.attr not in self._foreign_attributes:
                return merged(self._known.attributes.get(node.attr, []))
        return None

    def _subscript(self, node: ast.Subscript) -> Value:
        base, key = self._value(node.value), self._value(node.slice)
        if isinstance(base, Data) and isinstance(key, Text) and isinstance(node.ctx, ast.Load):
            self._say(KeyUsed(node.lineno, base, key.text, bool(self._soft)))
            return member(base, key.text)
        if isinstance(node.slice, ast.Slice):
            return base
        if isinstance(base, Data) and member(base, ""):
            return member(base, "")  # a map by a key that is not known
        return None if isinstance(key, Text) else item(base)

    def _compare(self, node: ast.Compare) -> None:
        key = self._value(node.left)
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            value = self._value(operand)
            if isinstance(operator, ast.In | ast.NotIn) and isinstance(key, Text) and isinstance(value, Data):
                self._say(KeyUsed(node.lineno, value, key.text, soft=True))

    # --- calls ---

    def _call(self, node: ast.Call) -> Value:
        function = node.func
        base = self._value(function.value) if isinstance(function, ast.Attribute) else None
        called = self._called(function, base)
        arguments = [self._value(argument) for argument in node.args]
        keywords = {keyword.arg: self._value(keyword.value) for keyword in node.keywords}
        if isinstance(called, Function):
            self._pass_arguments(called, node, arguments, keywords)
            return merged(self._known.returned.get(called, []))
        if isinstance(called, Boto3):
            return self._boto3(called, node, arguments, keywords)
        if isinstance(function, ast.Attribute):
            return self._method(base, function.attr, node, arguments)
        builtin = function.id if isinstance(function, ast.Name) and called is None else ""
        one = item(arguments[0]) if arguments else None
        if one is None or builtin not in (*_KEPT_AS_THEY_ARE, "enumerate"):
            return None
        return Many(Pair(one) if builtin == "enumerate" else one)

    def _called(self, function: ast.expr, base: Value) -> Value:
        if isinstance(function, ast.Name):
            return self._scope.value(function.id)
        return self._attribute(base, function) if isinstance(function, ast.Attribute) else self._value(function)

    def _boto3(
        self, called: Boto3, node: ast.Call, arguments: list[Value], keywords: Mapping[str | None, Value]
    ) -> Value:
        if called.part == "Session":
            return Boto3("a session")
        name = arguments[0] if arguments else keywords.get("service_name")
        if called.part != "client" or not isinstance(name, Text):
            return None
        self._say(ServiceNamed(node.lineno, name.text))
        return Client(name.text) if api_models.load(name.text) else None

    def _method(self, base: Value, name: str, node: ast.Call, arguments: list[Value]) -> Value:
        first = arguments[0].text if arguments and isinstance(arguments[0], Text) else ""
        match base:
            case Client():
                return self._client_method(base, name, node, first)
            case Paginator() if name == "paginate":
                self._say(Called(node.lineno, base.service, base.method, node, frozenset(("PaginationConfig",))))
                page = _response(base.service, base.method)
                return Pages(page) if page else None
            case Waiter() if name == "wait":
                self._say(Called(node.lineno, base.service, base.method, node, frozenset(("WaiterConfig",))))
            case Pages() if name == "build_full_result":
                return base.page
            case Data() if name == "get" and first:
                self._say(KeyUsed(node.lineno, base, first, soft=True))
                return member(base, first)
            case Data() if name == "values" and (value := member(base, "")):
                return Many(value)
            case Data() if name == "items" and (value := member(base, "")):
                return Many(Pair(value))
            case Data() | Many() if name == "copy":
                return base
        return None

    def _client_method(self, client: Client, name: str, node: ast.Call, first: str) -> Value:
        service = api_models.load(client.service)
        if service is None:
            return None
        if name == "get_paginator" and first:
            self._say(HelperNamed(node.lineno, client.service, name, first))
            return Paginator(client.service, first) if first in service.paginators else None
        if name == "get_waiter" and first:
            self._say(HelperNamed(node.lineno, client.service, name, first))
            return Waiter(client.service, service.waiters[first]) if first in service.waiters else None
        if service.operation(name):
            self._say(Called(node.lineno, client.service, name, node))
            return _response(client.service, name)
        return None

    def _pass_arguments(
        self, function: Function, node: ast.Call, arguments: list[Value], keywords: Mapping[str | None, Value]
    ) -> None:
        definition = self._definitions.get(function)
        if definition is None or None in keywords or any(isinstance(a, ast.Starred) for a in node.args):
            self.learned.escaped.add(function)
            return
        plain = [argument.arg for argument in (*definition.args.posonlyargs, *definition.args.args)]
        given = dict(zip(plain, arguments, strict=False)) | {name: value for name, value in keywords.items() if name}
        for name, value in given.items():
            self.learned.arguments.setdefault((function, name), []).append(value)
        defaults = definition.args.defaults
        for name in plain[len(plain) - len(defaults) :]:
            if name not in given:
                self.learned.arguments.setdefault((function, name), []).append(None)


def _response(service: str, method: str) -> Data | None:
    loaded = api_models.load(service)
    operation = loaded.operation(method) if loaded else None
    return Data(service, method, operation.output_shape) if operation and operation.output_shape else None


def _joined(ends: list[dict[str, Value]]) -> dict[str, Value]:
    """What holds after branches; a name that only some of them bind is what those make it."""
    names = {name for end in ends for name in end}
    return {name: merged(end[name] for end in ends if name in end) for name in names}


def _bound_names(body: list[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }


def _yields(node: ast.FunctionDef) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


def _falls_back_to_empty(node: ast.BoolOp) -> bool:
    """`response.get("Items") or []`"""
    last = node.values[-1]
    return isinstance(node.op, ast.Or) and isinstance(last, ast.List | ast.Dict | ast.Tuple)
