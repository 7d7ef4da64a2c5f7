"""What the expressions of a program are: clients, responses and their parts, as `api_reader` comes by them."""

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from codecoach.aws import api_models
from codecoach.aws.api_facts import AttributeUsed, Called, Fact, HelperNamed, KeyUsed, ServiceNamed
from codecoach.aws.api_scopes import Known, Scope
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

_KEPT_AS_THEY_ARE = frozenset(("list", "sorted", "reversed", "tuple", "iter"))

_Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Expressions:
    """One reading of a program, as far as expressions go; statements are `api_reader`'s.

    facts    what the program does with AWS
    learned  what this reading finds out for the next one
    """

    def __init__(self, tree: ast.Module, known: Known) -> None:
        self._tree = tree
        self._known = known
        self.learned = Known()
        self._facts: dict[Fact, None] = {}
        self._scope = Scope()
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
                self._later(node)
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

    def _later(self, node: ast.Lambda) -> None:
        """Read a function that stands in an expression, once the code around it has been read."""
        raise NotImplementedError


def _response(service: str, method: str) -> Data | None:
    loaded = api_models.load(service)
    operation = loaded.operation(method) if loaded else None
    return Data(service, method, operation.output_shape) if operation and operation.output_shape else None


def _falls_back_to_empty(node: ast.BoolOp) -> bool:
    """`response.get("Items") or []`"""
    last = node.values[-1]
    return isinstance(node.op, ast.Or) and isinstance(last, ast.List | ast.Dict | ast.Tuple)
