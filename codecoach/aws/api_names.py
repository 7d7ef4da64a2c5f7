"""The names under which the SDKs know AWS's services: boto3 `logs`, Go `cloudwatchlogs`, JavaScript `client-cloudwatch-logs`."""

import gzip
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import botocore

from codecoach.aws import api_models

# A model's metadata stand first in its file.
_HEAD_BYTES = 4096
_SERVICE_ID = re.compile(r'"serviceId"\s*:\s*"([^"]+)"')


def folded(name: str) -> str:
    """A name without its case and its separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def services() -> Mapping[str, str]:
    """Folded name in any SDK -> boto3's name."""
    own = {folded(name): name for name in api_models.service_names()}
    return {folded(_service_id(name)): name for name in api_models.service_names()} | own


@cache
def resource_actions(service: str) -> Mapping[str, frozenset[str]]:
    """Method of boto3's resources (`terminate`) -> the operations it may be; empty where the service has none."""
    import boto3  # only where a program uses resources

    found: dict[str, set[str]] = {}
    for file in sorted((Path(boto3.__file__).parent / "data" / service).glob("*/resources-1.json")):
        for resource in json.loads(file.read_text("utf-8"))["resources"].values():
            for kind in ("actions", "batchActions"):
                for action, how in resource.get(kind, {}).items():
                    if "request" in how:
                        found.setdefault(botocore.xform_name(action), set()).add(how["request"]["operation"])
    return {action: frozenset(operations) for action, operations in found.items()}


def _service_id(service: str) -> str:
    folder = Path(botocore.__file__).parent / "data" / service
    newest = max(folder.glob("*/service-2.json*"), default=None)
    if newest is None:
        return service
    head = newest.read_bytes()
    if newest.suffix == ".gz":
        with gzip.open(newest) as file:
            head = file.read(_HEAD_BYTES)
    found = _SERVICE_ID.search(head[:_HEAD_BYTES].decode("utf-8", "replace"))
    return found[1] if found else service
