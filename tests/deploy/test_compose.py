"""docker-compose.yaml as Compose itself reads it: closed to the outside, pinned, and "up" only when it can be used."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from codecoach.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yaml"
NEEDED = (2, 24, 4)  # the first that can take ports away from what a service extends


def compose() -> list[str] | None:
    """The Compose client of this machine, or None; it needs no engine to read a file."""
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]):
            told = subprocess.run([*words, "version", "--short"], capture_output=True, text=True)
            found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", told.stdout)
            if found and tuple(map(int, found.groups())) >= NEEDED:
                return words
    return None


class Reader(yaml.SafeLoader):
    """Reads `!reset` as what it leaves: nothing of what was there."""


Reader.add_constructor("!reset", lambda loader, node: loader.construct_sequence(node))


def extended(services: dict) -> dict:
    """What Compose makes of `extends`, as far as this file uses it."""
    whole = {}
    for name, service in services.items():
        base = service.pop("extends", None)
        if base:
            file = ROOT / base["file"]
            other = yaml.safe_load(file.read_text("utf-8"))["services"][base["service"]]
            for key, value in service.items():
                merge = key in ("environment", "depends_on") and isinstance(other.get(key), dict)
                other[key] = {**other[key], **value} if merge else value
            if "build" in other:
                other["build"] = {"context": str(file.parent / other["build"])}
            service = other
        whole[name] = {key: value for key, value in service.items() if value != []}
    return whole


def parsed() -> dict:
    file = yaml.load(FILE.read_text("utf-8"), Reader)
    text = json.dumps({**file, "services": extended(file["services"])})
    return json.loads(re.sub(r"\$\{[A-Z_0-9]+:-([^}]*)\}", r"\1", text))


def read_by_compose() -> dict:
    client = compose()
    if client is None:
        pytest.skip(f"no Docker Compose of {NEEDED} or newer")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "PISTON_", "AWS_"))
    }
    words = [*client, "-f", FILE, "--profile", "*", "config", "--format", "json"]
    read = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert read.returncode == 0, read.stderr
    assert not read.stderr, "Compose warns of something"
    return json.loads(read.stdout)


@pytest.fixture(scope="module", params=["parsed", "compose"])
def whole(request):
    return parsed() if request.param == "parsed" else read_by_compose()


@pytest.fixture
def services(whole):
    return whole["services"]


def test_only_the_web_app_is_published_and_for_this_machine_alone(services):
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert published.keys() == {"app", "production"}
    for (port,) in published.values():
        if isinstance(port, dict):
            assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8501", 8501)
        else:
            assert port == "127.0.0.1:8501:8501"


def test_no_service_shares_the_machines_own_network_or_processes(services):
    for service in services.values():
        for space in ("network_mode", "pid", "ipc", "userns_mode"):
            assert service.get(space) != "host"
        assert "/var/run/docker.sock" not in json.dumps(service)


def test_nothing_but_the_app_reaches_the_outside(whole):
    assert whole["networks"]["inside"]["internal"] is True
    outside = {
        name
        for name, service in whole["services"].items()
        if "network_mode" not in service and set(service["networks"]) != {"inside"}
    }
    assert outside == {"app", "production"}
    assert whole["services"]["piston"]["network_mode"] == "service:firewall"


def test_every_image_is_built_here_or_pinned_by_its_version(services):
    for name, service in services.items():
        if "build" in service:
            # With a name of its own, Compose would first look whether somebody else has published it.
            assert "image" not in service, name
        else:
            assert re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", service["image"]), name


def test_every_container_gives_up_its_rights_but_piston_which_makes_sandboxes(services):
    for name, service in services.items():
        if name == "piston":
            assert service["privileged"] is True
            continue
        assert not service.get("privileged")
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_ADMIN"] if name == "firewall" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name


def test_the_programs_reach_the_gateway_and_nothing_else(whole):
    for name in ("app", "production"):
        app = whole["services"][name]
        address = app["networks"]["inside"]["ipv4_address"]
        assert app["environment"]["CODECOACH_GATEWAY"] == f"{address}:8700"
        assert whole["services"]["firewall"]["environment"]["JOBS_MAY_REACH"] == f"{address}:8700"
        (network,) = whole["networks"]["inside"]["ipam"]["config"]
        assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])


def test_up_means_usable(services):
    """Whoever the app needs is healthy before it starts, and it is healthy only when its own parts are."""
    healthy = {"condition": "service_healthy"}
    for name in ("app", "production"):
        needs = services[name]["depends_on"]
        assert needs["installer"]["condition"] == "service_completed_successfully"
        assert needs["piston"].items() >= healthy.items()
    assert services["app"]["depends_on"]["dynamodb"].items() >= healthy.items()
    assert "dynamodb" not in services["production"]["depends_on"]
    assert services["piston"]["depends_on"].keys() == {"firewall", "packages"}
    for name in ("dynamodb", "firewall", "piston"):
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
    for name, stage in (("app", "app"), ("production", "app"), ("packages", "packages")):
        assert services[name]["build"]["target"] == stage  # whose health check the Dockerfile has
        assert "healthcheck" not in services[name]


def test_everything_comes_back_after_a_restart_and_the_installer_ends(services):
    for name, service in services.items():
        assert service["restart"] == ("no" if name == "installer" else "unless-stopped"), name


def test_what_must_be_kept_lies_in_named_volumes(whole):
    def mounted(name):
        volumes = whole["services"][name]["volumes"]
        pairs = [(v["source"], v["target"]) if isinstance(v, dict) else tuple(v.split(":")) for v in volumes]
        return dict(pairs)

    assert mounted("app") == {"data": "/data", "cache": "/cache"}
    assert mounted("dynamodb") == {"tables": "/home/dynamodblocal/data"}
    assert mounted("piston") == {"packages": "/piston/packages"}
    assert whole["volumes"].keys() == {"data", "cache", "tables", "packages"}


def test_production_uses_awss_own_services_and_is_started_only_by_its_name(services):
    production = services["production"]
    assert production["profiles"] == ["production"]
    assert all("profiles" not in service for name, service in services.items() if name != "production")
    assert production["environment"]["CODECOACH_BACKEND"] == "aws"
    assert not [name for name in production["environment"] if name.endswith("ENDPOINT_URL")]
    assert services["app"]["environment"]["CODECOACH_BACKEND"] == "embedded"


def test_the_settings_it_gives_are_settings_and_well_formed(services):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in ("app", "production"):
        given = {key: value for key, value in services[name]["environment"].items() if key.startswith(PREFIX)}
        assert given.keys() <= known
        Settings(**{key.removeprefix(PREFIX).lower(): value for key, value in given.items()})


def test_any_other_setting_can_be_given_in_a_file_that_need_not_be_there():
    services = parsed()["services"]
    for name in ("app", "production"):
        assert services[name]["env_file"] == [{"path": "codecoach.env", "required": False}]
    assert "/codecoach.env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()  # it may hold secrets


def test_the_limits_of_piston_are_those_of_its_own_compose_file(services):
    own = yaml.safe_load((ROOT / "piston" / "compose.yaml").read_text("utf-8"))["services"]["piston"]
    for name, value in own["environment"].items():
        if name != "PISTON_REPO_URL" and "${" not in str(value):
            assert str(services["piston"]["environment"][name]) == str(value)
    assert services["piston"]["pids_limit"] == own["pids_limit"]
    assert services["piston"]["environment"]["PISTON_REPO_URL"] == "http://packages:2001/index"
