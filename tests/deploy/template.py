"""cf-template.yaml as data: `!Ref x` is {"Ref": x}, `!Sub x` is {"Fn::Sub": x}, and so on for every function."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "cf-template.yaml"


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms; refuses what CloudFormation refuses."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        assert not self.check_event(yaml.AliasEvent), "CloudFormation takes no aliases"
        return super().compose_node(parent, index)


def _function(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _function)

TEMPLATE = yaml.load(FILE.read_text("utf-8"), Loader)
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """{name: properties} of the resources of one type."""
    return {name: found.get("Properties", {}) for name, found in RESOURCES.items() if found["Type"] == kind}


def user_data(name: str, **values: str) -> str:
    """The script of a launch template, with these values for its variables and `X` for all others."""
    text, variables = RESOURCES[name]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    script = TEMPLATE["Mappings"]["Script"]["Bootstrap"]["Text"]
    known = {**dict.fromkeys(re.findall(r"\$\{([\w:]+)\}", text), "X"), **values, "Bootstrap": script}
    assert variables["Bootstrap"] == {"Fn::FindInMap": ["Script", "Bootstrap", "Text"]}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: known[found[1]], text)


def mentions(part: Any, name: str) -> bool:
    """Whether a part of the template uses that name anywhere."""
    return bool(re.search(rf"\b{name}\b", json.dumps(part)))
