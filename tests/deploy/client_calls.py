"""Which AWS operations the code calls, found by reading it: the IAM actions that the app's role needs."""

import ast
import re
from pathlib import Path

import boto3
from botocore import xform_name

ROOT = Path(__file__).parents[2]

# What talks to a simulated AWS or to the local endpoint, and what only writes or checks other people's code.
ELSEWHERE = ("local/", "aws/seed.py", "aws/simulated.py", "aws/moto_nursery.py", "models/export.py", "aws/api_")
SERVICES = {"bedrock": "bedrock", "bedrock-runtime": "bedrock", "dynamodb": "dynamodb", "sts": "sts"}
WAITERS = {"table_exists": "DescribeTable"}

# Source: Service Authorization Reference, Amazon Bedrock: what Converse asks for is InvokeModel.
NAMED_OTHERWISE = {
    "bedrock:Converse": "bedrock:InvokeModel",
    "bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
# A transaction needs what its parts need. Source: DynamoDB Developer Guide, "Using IAM with DynamoDB transactions".
PARTS = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}


def operations() -> dict[str, str]:
    """{method of a client: IAM action}"""
    found = {}
    for service, prefix in SERVICES.items():
        for name in boto3.client(service, "us-east-1").meta.service_model.operation_names:
            found[xform_name(name)] = f"{prefix}:{name}"
    return found


def sources() -> list[Path]:
    files = sorted((ROOT / "codecoach").rglob("*.py"))
    return [file for file in files if not str(file.relative_to(ROOT / "codecoach")).startswith(ELSEWHERE)]


def calls() -> dict[str, list[str]]:
    """{IAM action: places that call it}"""
    known, found = operations(), {}
    for file in sources():
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            for action in _actions(node, known, tree):
                found.setdefault(action, []).append(f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def _actions(node: ast.AST, known: dict[str, str], tree: ast.Module) -> list[str]:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return []
    method = node.func.attr
    if method == "get_waiter":
        return [f"dynamodb:{WAITERS[_word(node)]}"]
    if method == "get_paginator":
        method = _word(node)
    action = known.get(method, "")
    if action == "dynamodb:TransactWriteItems":
        return _parts()
    return [NAMED_OTHERWISE.get(action, action)] if action and _is_client(node.func.value) else []


def _word(node: ast.Call) -> str:
    assert isinstance(node.args[0], ast.Constant)
    return str(node.args[0].value)


def _is_client(receiver: ast.AST) -> bool:
    """Our stores have methods named like DynamoDB's; clients are named like what they are."""
    return bool(re.search(r"client|control|runtime|sts", ast.unparse(receiver)))


def _parts() -> list[str]:
    tree = ast.parse((ROOT / "codecoach" / "store" / "dynamodb_rows.py").read_text("utf-8"))
    keys = {
        key.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    return sorted(PARTS[key] for key in keys & PARTS.keys())
