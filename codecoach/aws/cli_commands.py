"""Finds the commands of the AWS CLI in a shell script."""

import re
from collections.abc import Iterator

from botocore import xform_name

from codecoach.aws import api_models

# Source: `aws help`, the global options that take no value.
_FLAGS = frozenset(
    ("--debug", "--no-verify-ssl", "--no-paginate", "--no-sign-request", "--no-cli-pager", "--no-cli-auto-prompt", "--version")
)  # fmt: skip
_SERVICES = {"s3api": "s3", "deploy": "codedeploy", "configservice": "config"}
# What the CLI's own commands do. Source: `aws s3 help`, `aws cloudformation deploy help`.
_OWN_COMMANDS = {
    ("s3", "ls"): ("ListBuckets", "ListObjectsV2"),
    ("s3", "cp"): ("GetObject", "PutObject", "CopyObject"),
    ("s3", "sync"): ("ListObjectsV2", "GetObject", "PutObject", "CopyObject"),
    ("s3", "mv"): ("CopyObject", "PutObject", "DeleteObject"),
    ("s3", "rm"): ("DeleteObject",),
    ("s3", "mb"): ("CreateBucket",),
    ("s3", "rb"): ("DeleteBucket",),
    ("s3", "website"): ("PutBucketWebsite",),
    ("s3", "presign"): (),
    ("cloudformation", "deploy"): ("CreateChangeSet", "ExecuteChangeSet"),
}
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_COMMAND = re.compile(r"""(?<![\w./$-])(?:\S*/)?aws["']?[ \t]+([^\n;|&)`#]+)""")
_WORD = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""")
_OF_ITS_OWN = frozenset(("configure", "help", "sso", "login", "history"))


def operations(script: str) -> Iterator[tuple[str, str]]:
    """(boto3's name of the service, operation); the first is empty where there is no such service."""
    for line in _COMMAND.finditer(_COMMENT.sub("", re.sub(r"\\\r?\n", " ", script))):
        words = [word.strip("\"'") for word in _WORD.findall(line[1])]
        service, command = (*_without_options(words), "", "")[:2]
        if service and command and service not in _OF_ITS_OWN:
            name = _SERVICES.get(service, service)
            known = name if name in api_models.service_names() else ""
            for operation in _operations(known, service, command, words):
                yield known, operation


def _without_options(words: list[str]) -> list[str]:
    """The words that are no global option, up to the operation's own."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            found.append(word)
        elif "=" not in word and word not in _FLAGS and len(found) < 2:
            next(rest, None)
    return found


def _operations(name: str, written: str, command: str, words: list[str]) -> tuple[str, ...]:
    if written == "s3" and command == "rb" and "--force" in words:
        return "DeleteObject", "DeleteBucket"
    if (written, command) in _OWN_COMMANDS:
        deletes = ("DeleteObject",) if command == "sync" and "--delete" in words else ()
        return (*_OWN_COMMANDS[written, command], *deletes)
    if command in ("wait", "help"):
        return ()
    known = {}
    if name and (service := api_models.load(name)):
        known = {xform_name(operation, "-"): operation for operation in service.model.operation_names}
    return (known.get(command) or _camel(command),)


def _camel(command: str) -> str:
    return "".join(word.capitalize() for word in command.split("-"))
