"""Reads requests by botocore's own service models, and refuses what they do not allow.

botocore's validator knows types, required and unknown members, unions and lower bounds; the service also checks upper
bounds, closed sets and patterns, so they are checked here.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from codecoach.local.wire.faults import invalid, malformed

# Whatever JSON can hold.
Json = Any

_validator = ParamValidator()


@cache
def operation(service: str, name: str) -> OperationModel:
    """An operation of a service, by botocore's names (`bedrock-runtime`, `Converse`)."""
    return botocore.session.get_session().get_service_model(service).operation_model(name)


def parameters(
    model: OperationModel, path: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """The parameters of a request as boto3's caller gave them. Raises a ValidationException."""
    shape = model.input_shape
    given: dict[str, Any] = {}
    if not isinstance(shape, StructureShape):
        return given
    payload = shape.serialization.get("payload")
    in_body = {}
    if payload:
        given[payload] = body
    elif body:
        in_body = _json_object(body)
    places = {"uri": path, "querystring": query, "header": headers}
    for name, member in shape.members.items():
        place = places.get(member.serialization.get("location", ""))
        if place is not None:
            wire_name = member.serialization.get("name", name)
            if wire_name in place:
                given[name] = _scalar(member, place[wire_name])
    given |= _decoded(shape, in_body) if in_body else {}
    _check(shape, given)
    return given


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        raise malformed() from None
    if not isinstance(parsed, dict):
        raise malformed()
    return parsed


def _scalar(shape: Shape, text: str) -> object:
    if shape.type_name in ("integer", "long"):
        return int(text) if re.fullmatch(r"-?\d+", text) else text
    return text


def _decoded(shape: Shape, value: Json) -> Json:
    """JSON's value as the shape's: blobs travel as base64."""
    if isinstance(shape, StructureShape) and not shape.is_document_type and isinstance(value, dict):
        members = shape.members
        # The services take an explicit null for a member that is not there.
        present = {name: inner for name, inner in value.items() if inner is not None}
        return {name: _decoded(members[name], inner) if name in members else inner for name, inner in present.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_decoded(shape.member, inner) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: _decoded(shape.value, inner) for name, inner in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise malformed() from None
    return value


def _check(shape: StructureShape, given: dict[str, Any]) -> None:
    report = _validator.validate(given, shape)
    if report.has_errors():
        raise invalid(report.generate_report())
    broken = list(_broken(shape, given, ""))
    if broken:
        detected = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected: "
        raise invalid(detected + "; ".join(broken))


def _broken(shape: Shape, value: Json, path: str) -> Iterator[str]:
    """The constraints that botocore leaves to the service, in the service's words."""
    if isinstance(shape, StructureShape):
        if not shape.is_document_type:
            for name, inner in value.items():
                if shape.members[name].serialization.get("location") != "uri":
                    yield from _broken(shape.members[name], inner, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape):
        yield from _over(shape, len(value), "length", value, path)
        for number, inner in enumerate(value, 1):
            yield from _broken(shape.member, inner, f"{path}.{number}.member")
    elif isinstance(shape, MapShape):
        for name, inner in value.items():
            yield from _broken(shape.value, inner, f"{path}.{name}")
    elif isinstance(shape, StringShape):
        yield from _broken_text(shape, value, path)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _over(shape, value, "value", value, path)


def _broken_text(shape: StringShape, value: str, path: str) -> Iterator[str]:
    yield from _over(shape, len(value), "length", value, path)
    if shape.enum and value not in shape.enum:
        yield _sentence(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        yield _sentence(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _over(shape: Shape, size: float, what: str, value: object, path: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and size > most:
        yield _sentence(value, path, f"Member must have {what} less than or equal to {most}")


def _sentence(value: object, path: str, constraint: str) -> str:
    return f"Value '{str(value)[:80]}' at '{path}' failed to satisfy constraint: {constraint}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:  # written for Java
        return True
