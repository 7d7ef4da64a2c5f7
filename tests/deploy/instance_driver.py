"""Runs the user data of an instance inside a box with no network but its own loopback, and tells what happened.

Run by test_instance.py within bubblewrap: `python instance_driver.py ORDERS.json`. The programs that would change a machine
are stubs that write down how they were called; everything else of the scripts is real. What answers them:

    127.0.0.1:8100   instance metadata (version 2 only), the packed source, the bundle, the stack's wait condition
    127.0.0.1:8501   the web app's health page, once its unit has been started

Orders: {"script": user data, "fail": words of a call that fails, "health": answer of the health page, "again": how often the
call fails}. Prints {"exit", "output", "calls", "signals", "files"} as JSON.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CALLS, STUBS = Path("/tmp/calls"), Path("/tmp/stubs")
STUBBED = ("apt-get", "aws", "docker", "dpkg", "systemctl", "systemd-run", "useradd", "amazon-cloudwatch-agent-ctl")
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >>/tmp/calls
case "$(basename "$0") $*" in
*"$FAIL"*) [ "$FAIL" ] && [ "$(grep -cF -- "$FAIL" /tmp/calls)" -le "$FAILS" ] && echo "stub: refused" && exit 1 ;;
esac
case "$(basename "$0") $*" in
"aws secretsmanager"*password*) echo PassWordOfTheStack ;;
"aws secretsmanager"*) echo CookieSecretOfTheStack-0123456789abcdef ;;
"aws s3 cp"*) for last; do :; done; cp "/tmp/served/$(basename "$last")" "$last" ;;
"docker image inspect"*) grep -q "^docker build" /tmp/calls ;;
"docker run"*) for last; do :; done; touch "/var/lib/codecoach/packages/$last-1.0.0.pkg.tar.gz" ;;
esac
"""
CURL = """#!/bin/sh
# The agents' packages come from AWS; all else comes from the driver.
case "$*" in
*amazonaws.com*) echo "curl $*" >>/tmp/calls && for last; do :; done && touch "$last" ;;
*) exec /usr/bin/curl "$@" ;;
esac
"""
PYTHON = """#!/bin/sh
case "$*" in
"-m codecoach.health"*) exec "$REAL_PYTHON" "$@" ;;
*) echo "python $*" >>/tmp/calls ;;
esac
case "python $*" in *"$FAIL"*) [ "$FAIL" ] && [ "$(grep -cF -- "$FAIL" /tmp/calls)" -le "$FAILS" ] && exit 1 ;; esac
exit 0
"""
METADATA = {"instance-id": "i-0abc", "local-ipv4": "10.80.0.5", "mac": "02:00"}
METADATA["network/interfaces/macs/02:00/vpc-ipv4-cidr-block"] = "10.80.0.0/16"
SIGNALS: list[dict[str, str]] = []


class Instance(BaseHTTPRequestHandler):
    """Metadata, files, and the wait condition."""

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/api/token"):
            return self._answer(b"TOKEN")
        if self.path == "/wait" and not self.headers.get("Content-Type"):  # what the presigned address was signed with
            SIGNALS.append(json.loads(body))
            return self._answer(b"")
        return self._answer(b"", 403)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/latest/meta-data/")
        if name in METADATA and self.headers.get("X-aws-ec2-metadata-token") == "TOKEN":
            return self._answer(METADATA[name].encode())
        served = Path("/tmp/served") / self.path.lstrip("/")
        return self._answer(served.read_bytes()) if served.is_file() else self._answer(b"", 404)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        pass


class Health(Instance):
    health = ""

    def do_GET(self) -> None:
        started = "systemctl restart codecoach.service" in CALLS.read_text("utf-8")
        self._answer(self.health.encode(), 200 if started else 503)


def put(path: str, text: str) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    file.chmod(0o755)


def main() -> None:
    orders = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    CALLS.touch()
    for name in STUBBED:
        put(str(STUBS / name), STUB)
    put(str(STUBS / "curl"), CURL)
    put("/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl", STUB)
    put("/opt/codecoach/.venv/bin/python", PYTHON)
    put("/tmp/user-data.sh", orders["script"])
    Health.health = orders["health"]
    for port, handler in ((8100, Instance), (8501, Health)):
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "PATH": f"{STUBS}:/usr/sbin:/usr/bin:/sbin:/bin",
        "METADATA": "http://127.0.0.1:8100",
        "READY_WITHIN_S": "4",
        "PAUSE_S": "0",
        "BALANCER_S": "0",
        "LANGUAGES_WITHIN_S": "0",
        "REAL_PYTHON": sys.executable,
        "FAIL": orders.get("fail", ""),
        "FAILS": str(orders.get("fails", 99)),
    }
    ran = subprocess.run(
        ["/bin/bash", "/tmp/user-data.sh"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    kept = [*Path("/etc/codecoach").glob("*"), *Path("/etc/systemd/system").glob("codecoach*")]
    kept += [
        Path("/etc/logrotate.d/codecoach"),
        *Path("/var/lib/codecoach").rglob("*"),
        Path("/var/log/codecoach-setup.log"),
    ]
    files = {
        str(file): {
            "mode": oct(file.stat().st_mode & 0o777),
            "text": file.read_text("utf-8") if file.is_file() else None,
        }
        for file in kept
        if file.exists()
    }
    told = {"exit": ran.returncode, "output": ran.stdout, "calls": CALLS.read_text("utf-8").splitlines()}
    json.dump({**told, "signals": SIGNALS, "files": files}, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
