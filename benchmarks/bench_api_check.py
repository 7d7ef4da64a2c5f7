"""What the API check finds, and how long it takes, on the examples that AWS ships with botocore.

Each example is a call with its response. As it stands it must have no finding, unless botocore's own validator refuses it too;
with a fault planted (in a parameter, the method or a key of the response) it must have one.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.loaders
from botocore import xform_name
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.validate import ParamValidator

from benchmarks.rows import Row
from codecoach.aws import api_models
from codecoach.aws.api_check import check


@dataclass(frozen=True)
class Example:
    service: str
    operation: str
    input: Mapping[str, Any]
    keys: tuple[str, ...]

    def program(self, method: str = "", renamed: Mapping[str, str] | None = None, key: str = "") -> str:
        names = renamed or {}
        given = ", ".join(f"{names.get(name, name)}={value!r}" for name, value in self.input.items())
        reads = "\n".join(f"print(response[{name!r}])" for name in ([key] if key else self.keys))
        call = f"response = client.{method or xform_name(self.operation)}({given})"
        return f"import boto3\nclient = boto3.client({self.service!r})\n{call}\n{reads}\n"


def run() -> list[Row]:
    examples = list(_examples())
    false_alarms = sum(bool(check(example.program())) and _accepted(example) for example in examples)
    planted = found = 0
    for example in examples:
        for program in _broken(example):
            planted += 1
            found += bool(check(program))
    return [
        Row(f"API check: false alarms on {len(examples)} examples", false_alarms, "", "none", false_alarms == 0),
        Row(f"API check: of {planted} planted faults found", 100 * found / planted, "%", "100 %", found == planted),
        _speed(),
    ]


def _broken(example: Example) -> Iterator[str]:
    """The example with one fault each."""
    yield example.program(method=xform_name(example.operation)[:-1] + "_x")
    for name in example.input:
        yield example.program(renamed={name: name + "X"})
    for key in example.keys:
        yield example.program(key=key[:-1] + "Q")


def _accepted(example: Example) -> bool:
    service = api_models.load(example.service)
    operation = service.model.operation_model(example.operation) if service else None
    if operation is None or operation.input_shape is None:
        return True
    return not ParamValidator().validate(dict(example.input), operation.input_shape).has_errors()


def _examples() -> Iterator[Example]:
    loader = botocore.loaders.create_loader()
    for service in loader.list_available_services("service-2"):
        try:
            stored = loader.load_service_model(service, "examples-1")
        except (UnknownServiceError, DataNotFoundError):
            continue
        for operation, examples in stored.get("examples", {}).items():
            for example in examples:
                output = example.get("output") or {}
                yield Example(service, operation, _plain(example.get("input", {})), tuple(output))


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Without OrderedDicts, whose `repr` is a call."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _speed() -> Row:
    program = (
        "import boto3\nec2 = boto3.client('ec2')\nfor r in ec2.describe_instances()['Reservations']:\n"
        "    for i in r['Instances']:\n        print(i['InstanceId'], i['State']['Name'])\n"
    )
    check(program)  # loads the model
    start = time.perf_counter()
    for _ in range(50):
        check(program)
    return Row("API check of a short program", 20 * (time.perf_counter() - start), "ms")
