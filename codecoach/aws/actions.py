"""The AWS actions that can be seen in a program without running it.

Python is followed by `api_reader`. For the rest, and for what that cannot follow, names decide: which services a program
names, and which of their operations it calls by any of the spellings that SDKs use. Better one too many than one missed;
but what a program puts together while it runs nobody finds here.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from codecoach import languages
from codecoach.aws import api_models, cli_commands
from codecoach.aws.api_facts import AttributeUsed, HelperNamed
from codecoach.aws.api_names import folded, resource_actions, services
from codecoach.aws.api_reader import read
from codecoach.aws.destructive import is_destructive
from codecoach.runner.port import File

_PROGRAMS_KEPT = 64
_MOST_FILE_BYTES = 512 * 1024

# How each language names a service: the first group, in the spelling of its SDK.
_SERVICES = {
    "python": r"""(?:client|resource)\(\s*(?:service_name\s*=\s*)?["']([\w-]+)["']""",
    "javascript": r"@aws-sdk/(?:client|lib)-([\w-]+)|\bAWS\.(\w+)\(|aws-sdk/clients/(\w+)",
    "go": r"aws-sdk-go(?:-v2)?/service/(\w+)",
    "rust": r"\baws_sdk_(\w+)",
    "php": r"Aws\\+(\w+)\\|\bcreate(\w+)\(|\b(\w+)Client\b",
}
_SERVICES["typescript"] = _SERVICES["javascript"]
# How an operation is called: as a method, as a command object, as a word in quotes where its name is given.
_CALLS = {
    "python": r"""\.(\w+)\s*\(|["'](\w+)["']""",
    "javascript": r"""\.(\w+)\s*\(|\b(\w+)Command\b|\bpaginate(\w+)\b""",
    "go": r"""\.(?:New)?(\w+?)(?:Paginator)?\s*\(|\.(\w+)Input\b""",
    "rust": r"""\.(\w+)\s*\(""",
    "php": r"""->(\w+?)(?:Async)?\s*\(|["'](\w+)["']""",
}
_CALLS["typescript"] = _CALLS["javascript"]
_USES_AN_SDK = re.compile(r"boto3|aws-sdk|aws_sdk_|Aws\\")
# Convenience methods that no model has. Source: boto3.s3.inject, @aws-sdk/lib-storage.
_TRANSFERS = {
    "uploadfile": "PutObject",
    "uploadfileobj": "PutObject",
    "downloadfile": "GetObject",
    "downloadfileobj": "GetObject",
}


@dataclass(frozen=True, order=True)
class Action:
    """One operation; `service` is boto3's name, empty where it cannot be told."""

    service: str
    operation: str

    @property
    def destructive(self) -> bool:
        return is_destructive(self.operation)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}" if self.service else self.operation


@lru_cache(maxsize=_PROGRAMS_KEPT)
def found(language: str, files: tuple[File, ...]) -> tuple[Action, ...]:
    """The actions of a program, the destructive ones first; its first file is of `language`, the others' names tell."""
    actions: set[Action] = set()
    for number, file in enumerate(files):
        by_name = languages.from_file_name(file.name)
        own = language if number == 0 else by_name.id if by_name else ""
        if file.size_bytes <= _MOST_FILE_BYTES:
            actions |= set(_of(own, file.content.decode("utf-8", "replace")))
    told = {action.operation for action in actions if action.service}
    actions = {action for action in actions if action.service or action.operation not in told}
    return tuple(sorted(actions, key=lambda action: (not action.destructive, action)))


def destructive(language: str, files: tuple[File, ...]) -> tuple[Action, ...]:
    """Those that somebody must confirm."""
    return tuple(action for action in found(language, files) if action.destructive)


def _of(language: str, source: str) -> Iterator[Action]:
    if language == "bash":
        seen = (Action(*command) for command in cli_commands.operations(source))
        yield from (action for action in seen if action.service or action.destructive)
    elif language in _SERVICES:
        if language == "python":
            yield from _followed(source)
        yield from _named(language, source)


def _followed(source: str) -> Iterator[Action]:
    """What `api_reader` sees of a Python program."""
    try:
        facts = read(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for fact in (fact for fact in facts if isinstance(fact, AttributeUsed | HelperNamed)):
        service = api_models.load(fact.service)
        if service and fact.name in service.methods:
            yield Action(service.name, service.methods[fact.name])


def _named(language: str, source: str) -> Iterator[Action]:
    named = {folded(name) for name in _groups(_SERVICES[language], source)}
    known = sorted({services()[name] for name in named if name in services()})
    called = {folded(name): name for name in _groups(_CALLS[language], source)}
    for name in known:
        service = api_models.load(name)
        if service is None:
            continue
        operations = _spellings(service, "resource(" in source and language == "python")
        for call in called:
            yield from (Action(name, operation) for operation in operations.get(call, ()))
    if not known and _USES_AN_SDK.search(source):
        yield from (Action("", operation) for operation in map(_camel, called.values()) if _more_than_a_verb(operation))


def _spellings(service: api_models.Service, as_resource: bool) -> dict[str, set[str]]:
    """How the service's operations may be called, folded -> the operations that it may be."""
    found = {folded(operation): {operation} for operation in service.model.operation_names}
    if service.name == "dynamodb":  # lib-dynamodb leaves a word out: DeleteCommand is DeleteItem
        short = ((re.sub("items?$", "", name), operations) for name, operations in found.items())
        found = {name: set(operations) for name, operations in short} | found
    if service.name == "s3":
        found |= {name: {operation} for name, operation in _TRANSFERS.items()}
    if as_resource:
        for method, operations in resource_actions(service.name).items():
            found.setdefault(folded(method), set()).update(operations)
    return found


def _groups(pattern: str, source: str) -> Iterator[str]:
    for match in re.finditer(pattern, source):
        yield from (group for group in match.groups() if group)


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _more_than_a_verb(operation: str) -> bool:
    """`DeleteBucket`, but not `Delete`, which all kinds of things have."""
    return is_destructive(operation) and len(re.findall(r"[A-Z][a-z0-9]+", operation)) > 1
