"""Piston as we run it: out of reach for others and for its own programs, with the limits that the app counts on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from codecoach.settings import Settings
from piston.mirror import UPSTREAM

FOLDER = Path(__file__).parents[2] / "piston"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
PISTON, FIREWALL = COMPOSE["services"]["piston"], COMPOSE["services"]["firewall"]
LIMITS = PISTON["environment"]


def default(value):
    """What Compose makes of `${NAME:-default}` when nothing is set."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", str(value))


def test_piston_comes_from_an_image_that_is_pinned_by_its_digest():
    lines = (FOLDER / PISTON["build"] / "Dockerfile").read_text("utf-8").splitlines()
    published, base = (line.split()[1] for line in lines if line.startswith("FROM "))
    assert re.fullmatch(r"[a-z0-9./-]+/piston@sha256:[0-9a-f]{64}", published)
    assert base == "debian:12-slim"  # where packages are built
    copied = {word for line in lines if line.startswith("COPY --from=published") for word in line.split()[2:-1]}
    assert copied == {"/usr/local/bin/node", "/usr/local/bin/isolate", "/usr/local/etc/isolate", "/piston_api"}


def test_no_port_is_open_to_others():
    assert "ports" not in PISTON
    assert [default(port) for port in FIREWALL["ports"]] == ["127.0.0.1:2000:2000"]
    for service in COMPOSE["services"].values():
        assert service.get("network_mode") != "host"


def test_piston_has_no_network_but_the_one_behind_the_firewall():
    assert PISTON["network_mode"] == "service:firewall"
    assert PISTON["depends_on"]["firewall"] == {"condition": "service_healthy", "restart": True}
    assert "nft" in FIREWALL["healthcheck"]["test"]
    assert LIMITS["PISTON_DISABLE_NETWORKING"] == "false"
    assert default(FIREWALL["environment"]["JOBS_MAY_REACH"]) == ""


def test_the_limits_allow_what_the_app_asks_for_by_default():
    """Above a limit of Piston's, a request is refused."""
    settings = Settings()
    assert LIMITS["PISTON_RUN_TIMEOUT"] >= settings.run_timeout_s * 1000
    assert LIMITS["PISTON_RUN_CPU_TIME"] >= settings.run_timeout_s * 1000
    assert LIMITS["PISTON_RUN_MEMORY_LIMIT"] >= settings.run_memory_mb * 1024 * 1024
    assert LIMITS["PISTON_OUTPUT_MAX_SIZE"] == settings.run_output_kb * 1024
    assert LIMITS["PISTON_MAX_CONCURRENT_JOBS"] >= 2 * settings.piston_jobs


def test_every_limit_is_set_and_the_container_has_its_own():
    for name in (
        "RUN_TIMEOUT",
        "RUN_CPU_TIME",
        "RUN_MEMORY_LIMIT",
        "COMPILE_TIMEOUT",
        "COMPILE_CPU_TIME",
        "COMPILE_MEMORY_LIMIT",
        "MAX_FILE_SIZE",
        "MAX_PROCESS_COUNT",
        "MAX_OPEN_FILES",
    ):
        assert isinstance(LIMITS[f"PISTON_{name}"], int)
        assert LIMITS[f"PISTON_{name}"] > 1000 or name == "MAX_PROCESS_COUNT"  # under 1000, some mean no limit
    assert {"mem_limit", "memswap_limit", "pids_limit", "shm_size"} <= PISTON.keys()


def test_its_index_may_be_another_and_is_pistons_own_otherwise():
    assert LIMITS["PISTON_REPO_URL"].startswith("${PISTON_REPO_URL:-")
    assert default(LIMITS["PISTON_REPO_URL"]) == UPSTREAM


PROBE = """
import fcntl, os, socket, struct, subprocess, sys
with socket.socket() as any_socket:
    up = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
    fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
for _ in range(2):  # as after a restart
    subprocess.run(["sh", sys.argv[1]], check=True)
places = (("127.0.0.1", 2000), ("127.0.0.1", 8700), ("127.0.0.2", 8701))
socket.getaddrinfo("127.0.0.1", 1)  # has loaded by now what other users may not read
servers = [socket.create_server(place) for place in places]
for user in (0, 1000, 60000, 60999):
    child = os.fork()
    if child == 0:
        os.setresuid(user, user, user)
        for server in servers:
            try:
                socket.create_connection(server.getsockname(), 5)
                print(user, server.getsockname()[1], flush=True)
            except OSError:
                pass
        os._exit(0)
    os.waitpid(child, 0)
"""


def in_a_network_of_its_own(*words):
    environment = {**os.environ, "JOBS_MAY_REACH": "127.0.0.1:8700 127.0.0.2:8701"}
    return subprocess.run(["unshare", "-n", *words], capture_output=True, text=True, env=environment)


@pytest.mark.skipif(
    not (shutil.which("nft") and in_a_network_of_its_own("nft", "list", "ruleset").returncode == 0),
    reason="needs nftables, and root who may make a network",
)
def test_programs_reach_the_gateway_only_and_piston_itself_everything():
    ran = in_a_network_of_its_own(sys.executable, "-c", PROBE, str(FOLDER / "firewall" / "rules.sh"))
    assert ran.returncode == 0, ran.stderr
    reached = {tuple(line.split()) for line in ran.stdout.splitlines()}
    everything = {(user, port) for user in ("0", "1000") for port in ("2000", "8700", "8701")}
    assert reached == everything | {(user, port) for user in ("60000", "60999") for port in ("8700", "8701")}


def test_a_place_without_an_address_stops_the_firewall_and_so_piston():
    ran = subprocess.run(
        ["sh", FOLDER / "firewall" / "rules.sh"],
        env={"PATH": os.environ["PATH"], "JOBS_MAY_REACH": "no-such-host.invalid:1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "no-such-host.invalid:1" in ran.stderr
