"""Children start, are kept running, and never outlive their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from codecoach.local import ports, running
from codecoach.local.processes import Child, Kept

ROOT = Path(__file__).parents[2]


def until(condition, within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_stop_ends_a_child_that_ignores_sigterm_and_its_children(tmp_path):
    script = "import os,signal,time; signal.signal(15, signal.SIG_IGN); os.fork(); print(os.getpid(), flush=True); time.sleep(600)"
    child = Child([sys.executable, "-c", script], {}, tmp_path / "log")
    assert until(lambda: len((tmp_path / "log").read_text().split()) == 2)
    child.stop()
    pids = [int(word) for word in (tmp_path / "log").read_text().split()]
    assert until(lambda: all(gone(pid) for pid in pids))


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from codecoach.local.processes import Child\n"
        "Child([sys.executable, '-c', 'import os,time; print(os.getpid(), flush=True); time.sleep(600)'], {}, Path(sys.argv[1]))\n"
        "time.sleep(600)"
    )
    log = tmp_path / "log"
    parent = subprocess.Popen([sys.executable, "-c", script, str(log)], cwd=ROOT)
    assert until(lambda: log.exists() and log.read_text().strip())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert until(lambda: gone(int(log.read_text())))


def test_a_kept_child_is_started_again(tmp_path):
    starts = []

    def start() -> Child:
        starts.append(1)
        return Child(
            [sys.executable, "-c", "pass" if len(starts) == 1 else "import time; time.sleep(600)"], {}, tmp_path / "log"
        )

    kept = Kept(start)
    assert until(lambda: kept.check() or len(starts) == 2)
    kept.check()
    assert len(starts) == 2
    kept.stop()


def test_a_taken_port_gives_way_to_the_next():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not ports.is_free("127.0.0.1", port)
        assert ports.first_free("127.0.0.1", port) > port


def test_an_announcement_is_found_while_its_process_lives(tmp_path):
    here = running.Running(os.getpid(), "http://127.0.0.1:1", "")
    running.announce(tmp_path, here)
    assert running.find(tmp_path) == here
    running.withdraw(tmp_path)
    assert running.find(tmp_path) is None


def test_an_announcement_of_a_dead_process_does_not_count(tmp_path):
    dying = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running.announce(tmp_path, running.Running(dying.pid, "http://127.0.0.1:1", ""))
    assert running.find(tmp_path).pid == dying.pid
    dying.communicate()
    assert running.find(tmp_path) is None
    told = json.loads((tmp_path / "up.json").read_text())
    (tmp_path / "up.json").write_text(json.dumps({**told, "pid": os.getpid()}))  # its number is another process's now
    assert running.find(tmp_path) is None
    (tmp_path / "up.json").write_text("not json")
    assert running.find(tmp_path) is None
