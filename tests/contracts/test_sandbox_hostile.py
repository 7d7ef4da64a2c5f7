"""Programs that mean harm get nowhere, are told why they ended, and leave the next program a clean place."""

import os
import socket
import threading
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, OutputChunk, RunRequest, RunResult, RunStatus
from codecoach.runner.sandbox.cgroups import ControlGroups
from tests.contracts.hostile import IN_TESTS, KINDS, KNOWN
from tests.contracts.runner_contract import request, result, wait_until
from tests.contracts.sandbox_fixture import sandbox

# Of the app that starts the sandbox: secrets, and what interpreters would obey.
APPS_OWN = {
    "TEST_SECRET": "hidden",
    "AWS_SECRET_ACCESS_KEY": "hidden",
    "PYTHONSTARTUP": "/dev/null",
    "PYTHONWARNINGS": "ignore::UserWarning",
    "NODE_OPTIONS": "--no-warnings",
    "BASH_ENV": "/dev/null",
}


@pytest.fixture(scope="module")
def runner():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in APPS_OWN.items():
            patch.setenv(name, value)
        made = sandbox("python", "bash", "javascript")
        yield made
        made.close()


def test_every_known_kind_has_its_program_or_its_test():
    assert len(KNOWN.split()) == 69
    here = Path(__file__)
    tests = here.read_text("utf-8") + here.with_name("test_sandbox_compile.py").read_text("utf-8")
    assert all(f"def {name}(" in tests for name in IN_TESTS.values())
    assert set(KNOWN.split()) <= {kind.name for kind in KINDS} | set(IN_TESTS)


def run(runner, kind):
    name = "main.py" if kind.language == "python" else "main.sh"
    limits = Limits(timeout_s=kind.timeout_s, memory_bytes=kind.memory_bytes)
    files = (File(name, kind.source.encode()),)
    return result(runner, RunRequest(f"hostile-{kind.name}", kind.language, files, limits=limits, stdin=kind.stdin))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_it_holds_against(runner, kind):
    ended = run(runner, kind)
    assert "BROKEN" not in ended.run.stdout
    assert ended.status in kind.endings, (ended.run.stdout[-500:], ended.run.stderr[-500:])
    assert kind.says in ended.run.stdout, ended.run.stderr[-500:]
    assert (ended.reason is None) == (ended.status is RunStatus.OK)


def test_only_plain_files_with_plain_names_come_back(runner):
    by_name = {kind.name: kind for kind in KINDS}
    links = run(runner, by_name["out_symlinks"])
    assert [file.name for file in links.files] == []
    assert links.files_left_out > 0
    names = run(runner, by_name["out_names"])
    assert names.files == (File("fine <b>.txt", b"1"),)


def test_a_file_swapped_for_a_link_while_the_program_ends_is_not_followed(runner):
    source = """
import os
if os.fork() == 0:
    while True:
        open("new", "w").write("mine"); os.rename("new", "swap")
        os.symlink("/etc/passwd", "new"); os.rename("new", "swap")
import time; time.sleep(0.3)
"""
    for _ in range(5):
        ended = result(runner, request(source))
        assert ended.status is RunStatus.OK, ended
        assert all(b"root:" not in file.content for file in ended.files)


def test_a_picture_that_unfolds_to_gigabytes_is_passed_on_as_its_bytes(runner):
    source = """
import struct, zlib
def chunk(kind, data): return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
head = struct.pack("!IIBBBBB", 30000, 30000, 1, 0, 0, 0, 0)
open("p.png", "wb").write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(3751 * 30000), 9)) + chunk(b"IEND", b""))
"""
    (picture,) = result(runner, request(source)).files
    assert picture.content.startswith(b"\x89PNG")
    assert picture.size_bytes < 1_000_000


def test_nothing_of_one_run_is_there_in_the_next(runner):
    result(runner, request("for f in ('/tmp/x', '/dev/shm/x', '/box/x'): open(f, 'w').write('left')"))
    found = result(
        runner, request("import os; print([f for d in ('/tmp', '/dev/shm', '/box') for f in os.listdir(d)])")
    )
    assert found.run.stdout == "['main.py']\n"


def test_a_run_that_lasts_is_in_a_control_group_exactly_where_there_may_be_some(runner):
    group = ControlGroups().make(10**9, 100)
    if group:
        group.discard()
    # Where the suite is run once with and once without them, it must have been.
    assert os.environ.get("TEST_CONTROL_GROUPS", "") in ("", "with" if group else "without")
    mark = uuid.uuid4().hex
    asked = request("import time; time.sleep(1000)", args=(mark,), limits=Limits(timeout_s=100))
    events = runner.run(asked)
    next(events)

    def grouped() -> bool:
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"python3") and mark.encode() in words:
                    return "/codecoach-" in (folder / "cgroup").read_text()
        return False

    assert wait_until(grouped, within_s=10 if group else 1) is bool(group)
    runner.cancel(asked.job_id)
    list(events)


def test_locks_of_one_program_hold_no_other_up(runner):
    # Locks are of files, and the files of a runtime are the same for all: they can be seen, but nobody waits for them.
    locking = """
import fcntl, glob, os
files = ["/usr/bin/python3", "/bin/bash", "/tmp", "/box", "/dev/shm", "/box/main.py", *glob.glob("/piston/packages/*/*/*")]
held = []
for name in files[:200]:
    held.append(os.open(name, os.O_RDONLY))
    fcntl.flock(held[-1], fcntl.LOCK_EX)
print("locked", flush=True)
import time; time.sleep(1000)
"""
    asked = request(locking, limits=Limits(timeout_s=100))
    events = runner.run(asked)
    while not (isinstance(event := next(events), OutputChunk) and "locked" in event.text):
        assert not isinstance(event, RunResult), event
    own = "import fcntl, os\nfor name in ('/tmp', '/box', '/dev/shm', '/box/main.py'): fcntl.flock(os.open(name, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\nprint('HELD')"
    assert result(runner, request(own)).run.stdout == "HELD\n"
    for language, name, source in (("bash", "main.sh", "echo HELD"), ("javascript", "main.mjs", "console.log('HELD')")):
        files = (File(name, source.encode()),)
        assert result(runner, RunRequest(uuid.uuid4().hex, language, files)).run.stdout == "HELD\n"
    runner.cancel(asked.job_id)
    *_, ended = events
    assert ended.status is RunStatus.CANCELLED


def test_a_server_of_this_machine_is_out_of_reach(runner):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0codecoach-test")
        local.listen()
        port = server.getsockname()[1]
        source = f"""
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", {port})), (socket.AF_UNIX, "\\0codecoach-test")):
    try:
        socket.socket(family).connect(address)
        print("BROKEN", address)
    except OSError: pass
print("HELD")
"""
        assert result(runner, request(source)).run.stdout == "HELD\n"


def test_simulated_aws_is_the_one_address_that_can_be_reached(runner):
    with socket.create_server(("127.0.0.1", 0)) as wanted, socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=answer_once, args=(wanted,), daemon=True).start()
        access = AwsAccess(AwsMode.SIMULATED, "127.0.0.1", wanted.getsockname()[1])
        source = f"""
import os, socket, urllib.request
print(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"]).read())
for port in ({wanted.getsockname()[1]}, {other.getsockname()[1]}):
    try:
        socket.create_connection(("127.0.0.1", port), 2)
        print("BROKEN")
    except OSError: pass
print(open(os.environ["AWS_CONFIG_FILE"]).read(), open(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).read())
"""
        ended = result(runner, request(source, aws=access))
        assert ended.run.stdout.startswith("b'simulated'\n")
        assert "BROKEN" not in ended.run.stdout
        assert "[default]\nregion = us-east-1\n" in ended.run.stdout
        assert ended.files == ()


def answer_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nsimulated")


def test_an_unreachable_simulated_aws_fails_in_the_program_only(runner):
    source = "import os, urllib.request\nurllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'])"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = result(runner, request(source, aws=AwsAccess(AwsMode.SIMULATED, "127.0.0.1", port)))
    assert ended.status is RunStatus.FAILED
    assert ended.run.stderr
