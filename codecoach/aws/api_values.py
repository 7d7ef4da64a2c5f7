"""What `api_reader` knows of a value in a program: which client, which part of which response."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from botocore.model import ListShape, MapShape, Shape, StructureShape


@dataclass(frozen=True)
class Text:
    """A string that stands in the program."""

    text: str


@dataclass(frozen=True)
class Nothing:
    """None, as a name's first value before the real one."""


@dataclass(frozen=True)
class Boto3:
    """The module, one of its submodules, a session or a function of one: `part` is boto3, session, Session or client."""

    part: str


@dataclass(frozen=True)
class Client:
    service: str


@dataclass(frozen=True)
class Paginator:
    service: str
    method: str


@dataclass(frozen=True)
class Waiter:
    service: str
    method: str


@dataclass(frozen=True)
class Data:
    """A response or a part of it; `path` leads from the response to it, `[]` is an item of a list, `{}` a map's value."""

    service: str
    method: str
    shape: Shape = field(compare=False)
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Many:
    """Something to loop over."""

    item: "Value"


@dataclass(frozen=True)
class Pair:
    """An index or key, and what stands there."""

    second: "Value"


@dataclass(frozen=True)
class Pages:
    """What a paginator gives."""

    page: Data


@dataclass(frozen=True)
class Function:
    """A function of the program, by the place of its definition."""

    line: int
    column: int


@dataclass(frozen=True)
class Instance:
    """`self` in a class of the program; classes are not told apart, for they may inherit from one another."""


# None: nothing is known, so nothing is said.
Value: TypeAlias = Union[
    Text, Nothing, Boto3, Client, Paginator, Waiter, Data, Many, Pair, Pages, Function, Instance, None
]  # fmt: skip


def merged(values: Iterable[Value]) -> Value:
    """The one value that all of them are, None being silent where another stands; unknown where they differ."""
    different = set(values)
    if len(different) > 1:
        different.discard(Nothing())
    return different.pop() if len(different) == 1 else None


def member(data: Data, key: str) -> Value:
    """`data[key]`; unknown where there is no such key."""
    if isinstance(data.shape, StructureShape):
        return _data(data, key, data.shape.members.get(key))
    return _data(data, "{}", data.shape.value) if isinstance(data.shape, MapShape) else None


def item(value: Value) -> Value:
    """What a loop over a value gives."""
    if isinstance(value, Many):
        return value.item
    if isinstance(value, Pages):
        return value.page
    if isinstance(value, Data) and isinstance(value.shape, ListShape):
        return _data(value, "[]", value.shape.member)
    return None


def _data(parent: Data, step: str, shape: Shape | None) -> Value:
    """Only what has parts of its own is followed: botocore turns some plain strings (policies) into objects."""
    if isinstance(shape, StructureShape) and (shape.is_document_type or "eventstream" in shape.serialization):
        return None
    if not isinstance(shape, StructureShape | ListShape | MapShape):
        return None
    return Data(parent.service, parent.method, shape, (*parent.path, step))
