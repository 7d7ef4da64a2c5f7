"""Checks boto3 code against AWS's own API models, without running it."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from botocore.model import ListShape, MapShape, Shape, StructureShape

from codecoach.aws import api_models
from codecoach.aws.api_facts import AttributeUsed, Called, Fact, HelperNamed, KeyUsed, ServiceNamed
from codecoach.aws.api_reader import read
from codecoach.i18n import Notice


class FindingKind(StrEnum):
    """What is wrong; also the last part of the key of its sentence, `aws.check.<kind>`.

    *_NEAR  there is something of nearly that name;  KEY_INSIDE  the key is deeper inside the response
    """

    SERVICE = "service"
    SERVICE_NEAR = "service_near"
    METHOD = "method"
    METHOD_NEAR = "method_near"
    HELPER = "helper"
    HELPER_NEAR = "helper_near"
    PARAMETER = "parameter"
    PARAMETER_NEAR = "parameter_near"
    PARAMETER_MISSING = "parameter_missing"
    PARAMETER_TYPE = "parameter_type"
    POSITIONAL = "positional"
    KEY = "key"
    KEY_NEAR = "key_near"
    KEY_INSIDE = "key_inside"
    KEY_OF_LIST = "key_of_list"


@dataclass(frozen=True)
class Finding:
    """Something that AWS's API model contradicts.

    line       of the program, from 1
    operation  the method of the client, empty where none is meant
    name       the wrong word itself: a key, a parameter, a method
    values     fill the sentence for people
    sentence   says the same to a model, in English, with the way out
    """

    line: int
    service: str
    operation: str
    kind: FindingKind
    name: str
    values: Mapping[str, str]
    sentence: str

    @property
    def notice(self) -> Notice:
        return Notice(f"aws.check.{self.kind}", self.values)


def check(source: str) -> tuple[Finding, ...]:
    """What AWS's API models contradict in a Python program, in the order of its lines.

    Where a value cannot be followed nothing is said: better a fault missed than a false alarm. A program that Python
    cannot parse has no findings.
    """
    try:
        tree = ast.parse(source)
        facts = read(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    stored = frozenset(_stored_keys(tree))
    return tuple(finding for fact in facts for finding in _findings(fact, stored))


def _findings(fact: Fact, stored: frozenset[str]) -> Iterator[Finding]:
    match fact:
        case ServiceNamed():
            yield from _service(fact)
        case AttributeUsed():
            yield from _attribute(fact)
        case HelperNamed():
            yield from _helper(fact)
        case Called():
            yield from _call(fact)
        case KeyUsed() if fact.key not in stored:
            yield from _key(fact)


def _service(fact: ServiceNamed) -> Iterator[Finding]:
    if fact.name not in api_models.service_names():
        near = api_models.near(fact.name, api_models.service_names())
        kind = FindingKind.SERVICE_NEAR if near else FindingKind.SERVICE
        sentence = f"boto3 has no service `{fact.name}`" + (f"; it is `{near}`." if near else ".")
        yield Finding(fact.line, fact.name, "", kind, fact.name, {"name": fact.name, "near": near}, sentence)


def _attribute(fact: AttributeUsed) -> Iterator[Finding]:
    service = api_models.load(fact.service)
    if service is None or service.has_attribute(fact.name):
        return
    near = api_models.near(fact.name, service.methods)
    kind = FindingKind.METHOD_NEAR if near else FindingKind.METHOD
    values = {"service": fact.service, "name": fact.name, "near": near}
    sentence = f"The {fact.service} client has no method `{fact.name}`" + (f"; use `{near}`." if near else ".")
    yield Finding(fact.line, fact.service, fact.name, kind, fact.name, values, sentence)


def _helper(fact: HelperNamed) -> Iterator[Finding]:
    service = api_models.load(fact.service)
    known = (service.paginators if fact.kind == "get_paginator" else service.waiters) if service else ()
    if service is None or fact.name in known:
        return
    near = api_models.near(fact.name, known)
    kind = FindingKind.HELPER_NEAR if near else FindingKind.HELPER
    values = {"service": fact.service, "function": fact.kind, "name": fact.name, "near": near}
    sentence = f"{fact.service} `{fact.kind}` knows no `{fact.name}`" + (f"; use `{near}`." if near else ".")
    if not near and fact.kind == "get_paginator" and service.operation(fact.name):
        sentence = f"{fact.service} `{fact.name}` cannot be paginated: call `{fact.name}()` itself."
    yield Finding(fact.line, fact.service, fact.name, kind, fact.name, values, sentence)


def _call(fact: Called) -> Iterator[Finding]:
    service = api_models.load(fact.service)
    if service is None:
        return
    if fact.call.args:
        yield _finding(
            fact,
            FindingKind.POSITIONAL,
            fact.method,
            f"{fact.service} `{fact.method}` takes keyword arguments only, as in `{fact.method}(Name=value)`.",
        )
        return
    known = service.parameters(fact.method)
    given = {keyword.arg: keyword.value for keyword in fact.call.keywords}
    for name, value in given.items():
        if name is None:
            continue
        if name in known:
            yield from _argument(fact, name, value, known[name])
        elif name not in fact.extra:
            yield _unknown_parameter(fact, name, tuple(known), f"`{fact.method}`")
    if None not in given:
        unknown = any(name not in known and name not in fact.extra for name in given)
        originals = {service.original(name) for name in given if name}
        missing = [name for name in service.required(fact.method) if name not in originals]
        # A wrong name mostly stands for the missing one; saying both confuses.
        if missing and not unknown:
            yield _missing_parameter(fact, missing[0], f"`{fact.method}`")


def _argument(fact: Called, name: str, value: ast.expr, shape: Shape) -> Iterator[Finding]:
    """Faults inside an argument, as far as it stands in the program."""
    wanted = _wanted(value, shape)
    if wanted and name != "CopySource":  # botocore takes a dict for this string
        yield _finding(
            fact,
            FindingKind.PARAMETER_TYPE,
            name,
            f"In {fact.service} `{fact.method}` the parameter `{name}` must be a {wanted}{_keys_of(shape)}.",
            wanted=wanted,
        )
    elif isinstance(shape, ListShape) and isinstance(value, ast.List | ast.Tuple):
        for number, element in enumerate(value.elts):
            if not isinstance(element, ast.Starred):
                yield from _argument(fact, f"{name}[{number}]", element, shape.member)
    elif isinstance(shape, MapShape) and isinstance(value, ast.Dict):
        for key, element in zip(value.keys, value.values, strict=True):
            if key is not None:
                yield from _argument(fact, f"{name}[{ast.unparse(key)}]", element, shape.value)
    elif isinstance(shape, StructureShape) and isinstance(value, ast.Dict) and not shape.is_document_type:
        yield from _structure(fact, name, value, shape)


def _structure(fact: Called, name: str, value: ast.Dict, shape: StructureShape) -> Iterator[Finding]:
    keys = [key.value if isinstance(key, ast.Constant) else None for key in value.keys]
    for key, element in zip(keys, value.values, strict=True):
        if isinstance(key, str) and key in shape.members:
            yield from _argument(fact, f"{name}['{key}']", element, shape.members[key])
        elif isinstance(key, str):
            yield _unknown_parameter(fact, key, tuple(shape.members), f"`{name}` of `{fact.method}`")
    if all(isinstance(key, str) and key in shape.members for key in keys):
        for missing in (name for name in api_models.required_members(shape) if name not in keys):
            yield _missing_parameter(fact, missing, f"`{name}` of `{fact.method}`")


def _wanted(value: ast.expr, shape: Shape) -> str:
    """What the parameter should be, where the program plainly gives something else; as botocore's own validator sees it."""
    if isinstance(value, ast.Constant):
        given: type = type(value.value)
    elif isinstance(value, ast.JoinedStr):
        given = str
    elif isinstance(value, ast.Dict | ast.List | ast.Tuple):
        given = dict if isinstance(value, ast.Dict) else list
    else:
        return ""
    right: Mapping[str, tuple[str, tuple[type, ...]]] = {
        "structure": ("dict", (dict,)),
        "map": ("dict", (dict,)),
        "list": ("list", (list,)),
        "string": ("string", (str,)),
        "integer": ("whole number", (int, bool)),
        "long": ("whole number", (int, bool)),
        "boolean": ("boolean", (bool,)),
    }
    wanted, types = right.get(shape.type_name, ("", ()))
    free = getattr(shape, "is_document_type", False) or "jsonvalue" in shape.serialization
    return "" if not wanted or free or given in types else wanted


def _keys_of(shape: Shape) -> str:
    """`{"id": "1"}` for DynamoDB wants `{"id": {"S": "1"}}`: which keys are allowed says it best."""
    members = list(shape.members)[:4] if isinstance(shape, StructureShape) else []
    return f" with keys such as {', '.join(f'`{member}`' for member in members)}" if members else ""


def _key(fact: KeyUsed) -> Iterator[Finding]:
    data, key = fact.data, fact.key
    if isinstance(data.shape, ListShape):
        if not fact.soft:
            sentence = f"{_here(fact)} is a list: loop over it, or take `[0]`, before `['{key}']`."
            yield _key_finding(fact, FindingKind.KEY_OF_LIST, sentence)
        return
    if not isinstance(data.shape, StructureShape) or key in data.shape.members or key in api_models.EXTRA_KEYS:
        return
    path, near = api_models.path_to(data.shape, key), api_models.near(key, data.shape.members)
    if path:
        shown = _loops((*path, "[]") if isinstance(api_models.at(data.shape, path), ListShape) else path)
        sentence = f"{_here(fact)} has no key `{key}`: `{key}` is inside `{_outside(path)}`. {shown}"
        yield _key_finding(fact, FindingKind.KEY_INSIDE, sentence, inside=_outside(path), path=_dotted(path))
    elif near:
        yield _key_finding(fact, FindingKind.KEY_NEAR, f"{_here(fact)} has no key `{key}`: it is `{near}`.", near=near)
    elif not fact.soft:
        names = ", ".join(f"`{name}`" for name in list(data.shape.members)[:12])
        yield _key_finding(fact, FindingKind.KEY, f"{_here(fact)} has no key `{key}`, only {names or 'none'}.")


def _loops(path: tuple[str, ...]) -> str:
    """How to come to all values at a path, loop by loop. Models copy what stands here, so it leaves nothing out."""
    lines, here, indent = [], "response", ""
    for position, step in enumerate(path):
        if step == "[]":
            name = _singular(path[position - 1])
            lines.append(f"{indent}for {name} in {here}:")
            here, indent = name, indent + "    "
        elif step == "{}":
            lines.append(f"{indent}for key, value in {here}.items():")
            here, indent = "value", indent + "    "
        else:
            here = f"{here}['{step}']"
    if not lines:
        return f"Write `{here}`."
    inside = f"# here what the program does with each {here}" if path[-1] in ("[]", "{}") else here
    return "\n".join(["Loop over all of it:", *lines, f"{indent}{inside}"])


def _singular(name: str) -> str:
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return word.removesuffix("s") if word.endswith("s") and not word.endswith("ss") else f"{word}_item"


def _outside(path: tuple[str, ...]) -> str:
    return _dotted(path[:-1]).removesuffix("[]").removesuffix("{}")


def _dotted(path: tuple[str, ...]) -> str:
    """`("Reservations", "[]", "Instances")` -> `Reservations[].Instances`"""
    return ".".join(path).replace(".[]", "[]").replace(".{}", "{}")


def _here(fact: KeyUsed) -> str:
    data = fact.data
    part = f"`{_dotted(data.path)}` in the" if data.path else "The"
    return f"{part} response of {data.service} `{data.method}`"


def _key_finding(fact: KeyUsed, kind: FindingKind, sentence: str, **values: str) -> Finding:
    data = fact.data
    where = _dotted(data.path)
    texts = {"service": data.service, "method": data.method, "name": fact.key, "where": where, **values}
    return Finding(fact.line, data.service, data.method, kind, fact.key, texts, sentence)


def _finding(fact: Called, kind: FindingKind, name: str, sentence: str, **values: str) -> Finding:
    texts = {"service": fact.service, "method": fact.method, "name": name, **values}
    return Finding(fact.line, fact.service, fact.method, kind, name, texts, sentence)


def _unknown_parameter(fact: Called, name: str, known: tuple[str, ...], where: str) -> Finding:
    near = api_models.near(name, known)
    kind = FindingKind.PARAMETER_NEAR if near else FindingKind.PARAMETER
    names = ", ".join(f"`{other}`" for other in known[:12])
    way_out = f"it is `{near}`." if near else f"known are {names}." if names else "it takes none."
    sentence = f"{fact.service} {where} has no parameter `{name}`: {way_out}"
    return _finding(fact, kind, name, sentence, near=near)


def _missing_parameter(fact: Called, name: str, where: str) -> Finding:
    sentence = f"{fact.service} {where} needs the parameter `{name}`."
    return _finding(fact, FindingKind.PARAMETER_MISSING, name, sentence)


def _stored_keys(tree: ast.Module) -> Iterator[str]:
    """Keys that the program itself puts somewhere: reading them from a response may be right after all."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield from _texts([node.slice])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "setdefault":
                yield from _texts(node.args[:1])
            elif node.func.attr == "update":
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)
                yield from (text for arg in node.args if isinstance(arg, ast.Dict) for text in _texts(arg.keys))


def _texts(nodes: "list[ast.expr] | list[ast.expr | None]") -> Iterator[str]:
    return (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
