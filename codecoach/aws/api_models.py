"""The service models that botocore carries: what can be called, with which parameters, and what comes back.

A model is loaded when first asked for (EC2, the largest, takes 80 ms and 15 MB; most take 20 ms) and the last few are kept.
"""

import difflib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any

import botocore.loaders
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

MODELS_KEPT = 8
SEARCH_DEPTH = 6

# What every client has besides its operations, and what some have by customisation.
# Source: botocore.client.BaseClient, botocore.signers, boto3.s3.inject.
CLIENT_ATTRIBUTES = frozenset(
    ("can_paginate", "close", "exceptions", "generate_presigned_url", "get_paginator", "get_waiter", "meta", "waiter_names")
)  # fmt: skip
EXTRA_METHODS: Mapping[str, frozenset[str]] = {
    "s3": frozenset(
        ("copy", "download_file", "download_fileobj", "generate_presigned_post", "upload_file", "upload_fileobj")
    ),
    "rds": frozenset(("generate_db_auth_token",)),
    "dsql": frozenset(("generate_db_connect_auth_token", "generate_db_connect_admin_auth_token")),
}
# Other names that botocore takes for a parameter. Source: the ParameterAlias entries of botocore.handlers.
PARAMETER_ALIASES: Mapping[tuple[str, str], str] = {
    ("ec2", "Filter"): "Filters",
    ("logs", "from"): "fromTime",
    ("cloudsearchdomain", "return"): "returnFields",
}
# Required by the model, but filled in by botocore where they are left out. Source: botocore.handlers.
FILLED_IN = frozenset((("glacier", "accountId"), ("s3control", "AccountId")))
# Keys of a response that no model names.
EXTRA_KEYS = frozenset(("ResponseMetadata", "ExpiresString"))


@dataclass(frozen=True)
class Service:
    """One service as its client offers it; methods have their Python names (`describe_instances`)."""

    name: str
    model: ServiceModel
    paginators: frozenset[str]
    waiters: Mapping[str, str]

    @cached_property
    def methods(self) -> Mapping[str, str]:
        """Python name -> name of the operation."""
        return {xform_name(operation): operation for operation in self.model.operation_names}

    def operation(self, method: str) -> OperationModel | None:
        name = self.methods.get(method)
        return None if name is None else self.model.operation_model(name)

    def has_attribute(self, name: str) -> bool:
        """Whether a client has it, operation or not; private names are not judged."""
        own = EXTRA_METHODS.get(self.name, frozenset())
        return name.startswith("_") or name in self.methods or name in CLIENT_ATTRIBUTES or name in own

    def parameters(self, method: str) -> Mapping[str, Shape]:
        """The parameters that a call takes, aliases included."""
        members = dict(_members(self.operation(method), "input"))
        for (service, original), alias in PARAMETER_ALIASES.items():
            if service == self.name and original in members:
                members[alias] = members[original]
        return members

    def original(self, parameter: str) -> str:
        """The model's own name of a parameter that may be an alias."""
        for (service, original), alias in PARAMETER_ALIASES.items():
            if (service, alias) == (self.name, parameter):
                return original
        return parameter

    def required(self, method: str) -> tuple[str, ...]:
        """The parameters that a call must give; those that botocore fills in are not among them."""
        operation = self.operation(method)
        shape = operation.input_shape if operation else None
        return tuple(name for name in required_members(shape) if (self.name, name) not in FILLED_IN)


@lru_cache(maxsize=MODELS_KEPT)
def load(name: str) -> Service | None:
    """The service that `boto3.client(name)` gives, or None where there is none."""
    # A loader of its own for each: loaders never forget what they loaded.
    loader = botocore.loaders.create_loader()
    try:
        model = ServiceModel(loader.load_service_model(name, "service-2"), name)
    except UnknownServiceError:
        return None
    paginators = _optional(loader, name, "paginators-1").get("pagination", {})
    waiters = _optional(loader, name, "waiters-2").get("waiters", {})
    return Service(
        name,
        model,
        frozenset(xform_name(operation) for operation in paginators),
        {xform_name(waiter): xform_name(config["operation"]) for waiter, config in waiters.items()},
    )


@cache
def service_names() -> tuple[str, ...]:
    return tuple(botocore.loaders.create_loader().list_available_services("service-2"))


def required_members(shape: Shape | None) -> Iterator[str]:
    """Members of a structure that must be given; those that botocore makes up (idempotency tokens) are not among them."""
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if not shape.members[name].metadata.get("idempotencyToken"):
                yield name


def near(name: str, known: Iterable[str]) -> str:
    """The known name that somebody may have meant; empty where none is near."""
    names = list(known)
    folded = _folded(name)
    for candidate in names:
        if _folded(candidate) == folded:
            return candidate
    plural = [candidate for candidate in names if _folded(candidate) in (f"{folded}s", folded.removesuffix("s"))]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.72)
    # `BucketName` for `Name`
    longer = [candidate for candidate in names if folded.endswith(_folded(candidate))]
    return next(iter(plural or close or sorted(longer, key=len, reverse=True)), "")


def path_to(shape: Shape, key: str) -> tuple[str, ...]:
    """The shortest way to a key inside a shape, `("Reservations", "[]", "Instances")`; empty where it is nowhere.

    `[]` stands for an item of a list, `{}` for a value of a map.
    """
    waiting: deque[tuple[Shape, tuple[str, ...]]] = deque([(shape, ())])
    seen = {shape.name}
    while waiting:
        here, path = waiting.popleft()
        for step, child in children(here):
            if step == key:
                return (*path, step)
            # Shapes can hold themselves.
            if child.name not in seen and len(path) < SEARCH_DEPTH:
                seen.add(child.name)
                waiting.append((child, (*path, step)))
    return ()


def at(shape: Shape, path: tuple[str, ...]) -> Shape:
    """What stands at a path that `path_to` gave."""
    for step in path:
        shape = dict(children(shape))[step]
    return shape


def children(shape: Shape) -> Iterator[tuple[str, Shape]]:
    """What a shape is made of."""
    if isinstance(shape, StructureShape):
        yield from shape.members.items()
    elif isinstance(shape, ListShape):
        yield "[]", shape.member
    elif isinstance(shape, MapShape):
        yield "{}", shape.value


def _members(operation: OperationModel | None, side: str) -> Mapping[str, Shape]:
    shape = getattr(operation, f"{side}_shape", None)
    return shape.members if isinstance(shape, StructureShape) else {}


def _optional(loader: botocore.loaders.Loader, name: str, kind: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = loader.load_service_model(name, kind)
    except UnknownServiceError:
        return {}
    return found


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
