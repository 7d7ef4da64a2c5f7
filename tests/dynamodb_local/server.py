"""DynamoDB Local: Amazon's own stand-in for DynamoDB, a Java program.

`python -m tests.dynamodb_local.server` fetches it, once, into the cache folder; tests start it, and skip where it is missing.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
VERSION = "3.0.0"
JAVA_AT_LEAST = 17
START_TIMEOUT_S = 100.0
STOP_TIMEOUT_S = 10.0


def folder() -> Path:
    """Where it is kept; a version in the name, so that another one is fetched anew."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "codecoach" / "dynamodb-local" / VERSION


def fetch() -> str:
    """Have Maven fetch it unless it is there; why that did not work, or nothing."""
    if folder().exists():
        return ""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"{program} is not installed (Debian: maven, default-jre-headless)"
    folder().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder().parent) as temporary:
        library = Path(temporary) / "library"
        command = ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={library}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            return f"Maven could not fetch it: {done.stdout.strip()[-500:]}"
        # In one step, so that half of it is never taken for all.
        library.rename(folder())
    return ""


def problem() -> str:
    """Why it cannot be started here, or nothing."""
    if not shutil.which("java"):
        return "DynamoDB Local: java is not installed"
    if not folder().exists():
        return "DynamoDB Local is not there: `make test` fetches it"
    found = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True, check=True).stderr
    version = found.split('"')[1].split(".")[0]
    return "" if int(version) >= JAVA_AT_LEAST else f"DynamoDB Local needs Java {JAVA_AT_LEAST}, here is {version}"


@contextmanager
def running() -> Iterator[str]:
    """The URL of a running one, in memory, that ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["java", "-Xmx512m", f"-Djava.library.path={folder()}", "-cp", f"{folder()}/*"]
    command += ["software.amazon.dynamodb.services.local.main.ServerRunner"]
    command += ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, "DDB_LOCAL_TELEMETRY": "0"}, cwd=tempfile.gettempdir()
        )
        try:
            if not _answers(process, port):
                log.seek(0)
                raise RuntimeError(f"DynamoDB Local did not start: {log.read()[-2000:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


if __name__ == "__main__":
    why_not = fetch()
    print(f"DynamoDB Local: skipped, {why_not}" if why_not else f"DynamoDB Local {VERSION} is in {folder()}")  # noqa: T201
    sys.exit(0)  # its tests say that they were skipped; all others can run
