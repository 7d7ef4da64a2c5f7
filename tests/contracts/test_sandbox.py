"""The bubblewrap sandbox keeps the runner's contract, its queue and its promise to leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from codecoach.errors import InputRefused, RunnerUnavailable, RuntimeMissing
from codecoach.runner.port import File, Limits, Queued, RunStatus, StageChanged
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings
from tests.contracts.runner_contract import RunnerContract, request, result, wait_until
from tests.contracts.sandbox_fixture import CACHE_DIR, sandbox

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shared():
    made = sandbox("python")
    yield made
    made.close()


@pytest.fixture
def one_worker():
    made = sandbox("python", workers=1)
    yield made
    made.close()


def running_with(mark: str) -> list[int]:
    """Processes of this machine that have `mark` on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


class TestSandbox(RunnerContract):
    @pytest.fixture
    def runner(self, shared):
        return shared

    def test_it_says_that_it_works_here_and_what_is_installed(self, shared):
        assert shared.probe() is None
        runtimes = {runtime.language: runtime for runtime in shared.runtimes()}
        assert runtimes["python"].installed
        assert runtimes["python"].sdk.startswith("boto3 1.")

    def test_a_language_without_a_runtime_is_named(self, shared, tmp_path):
        empty = Sandbox(Settings(cache_dir=tmp_path))
        assert all(runtime.problem and not runtime.installed for runtime in empty.runtimes())
        with pytest.raises(RuntimeMissing):
            empty.run(request("print(1)"))

    def test_a_wrong_request_is_refused_before_the_first_event(self, shared):
        with pytest.raises(InputRefused):
            shared.run(request("", File("../x", b"")))
        with pytest.raises(InputRefused):
            shared.run(request("", args=("a\0b",)))
        with pytest.raises(InputRefused):
            shared.run(request("", File("a", b""), File("a/b", b"")))
        with pytest.raises(InputRefused):
            shared.run(request("", File("big", bytes(40_000_000))))

    def test_a_fork_bomb_is_stopped_and_named(self, shared):
        ended = result(shared, request("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"))
        assert ended.status is RunStatus.PROCESS_LIMIT

    def test_a_full_disk_is_named(self, shared):
        source = "for i in range(20): open(f'{i}', 'wb').write(bytes(8_000_000))"
        assert result(shared, request(source)).status is RunStatus.FILE_LIMIT


def test_waiting_runs_are_told_their_position_as_they_move_up(one_worker):
    release = [request("import time; time.sleep(1000)") for _ in range(3)]
    first, second, third = (one_worker.run(asked) for asked in release)
    assert next(first) == StageChanged("run")
    assert next(second) == Queued(1)
    assert next(third) == Queued(2)
    one_worker.cancel(release[0].job_id)
    assert list(first)[-1].status is RunStatus.CANCELLED
    assert next(second) == StageChanged("run")
    assert next(third) == Queued(1)


def test_a_run_stopped_in_the_queue_never_starts_and_the_next_moves_up(one_worker):
    asked = [request("import time; time.sleep(1000)") for _ in range(3)]
    first, second, third = (one_worker.run(each) for each in asked)
    next(first), next(second), next(third)
    one_worker.cancel(asked[1].job_id)
    (ended,) = second
    assert ended.status is RunStatus.CANCELLED
    assert ended.reason
    assert next(third) == Queued(1)


def test_closing_the_iterator_stops_the_program_and_frees_its_worker(one_worker):
    mark = uuid.uuid4().hex
    events = one_worker.run(request("import time; time.sleep(1000)", args=(mark,)))
    next(events)
    assert wait_until(lambda: running_with(mark))
    events.close()
    assert wait_until(lambda: not running_with(mark))
    assert result(one_worker, request("print(1)")).status is RunStatus.OK


def test_a_launcher_that_is_killed_takes_its_programs_along_and_is_replaced(one_worker):
    mark, others = uuid.uuid4().hex, set(launchers_of(os.getpid()))
    events = one_worker.run(request("import time; time.sleep(1000)", args=(mark,)))
    next(events)
    assert wait_until(lambda: running_with(mark))
    (launcher,) = set(launchers_of(os.getpid())) - others
    os.kill(launcher, signal.SIGKILL)
    with pytest.raises(RunnerUnavailable):
        list(events)
    assert wait_until(lambda: not running_with(mark))
    assert result(one_worker, request("print(1)")).status is RunStatus.OK


def launchers_of(app: int) -> list[int]:
    children = Path(f"/proc/{app}/task").glob("*/children")
    own = {int(pid) for file in children for pid in file.read_text().split()}
    return [pid for pid in running_with("codecoach.runner.sandbox.launcher") if pid in own]


APP = """
import sys, uuid
from pathlib import Path
from codecoach.runner.port import *
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

sandbox = Sandbox(Settings(cache_dir=Path(sys.argv[1]), run_workers=3))
runs = [sandbox.run(RunRequest(uuid.uuid4().hex, "python", (File("main.py", b"import time; time.sleep(1000)"),), args=(sys.argv[2],), limits=Limits(timeout_s=900))) for _ in range(3)]
for run in runs:
    next(run)
print("running", flush=True)
list(runs[0])
"""


def test_an_app_that_is_killed_leaves_no_process_mount_or_control_group():
    sandbox("python").close()
    mark, mounts, groups = uuid.uuid4().hex, Path("/proc/mounts").read_text(), control_groups()
    app = subprocess.Popen([sys.executable, "-c", APP, CACHE_DIR, mark], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert app.stdout.readline() == "running\n"
    assert wait_until(lambda: len(running_with(mark)) > 3)
    launchers = launchers_of(app.pid)
    app.kill()
    app.wait()
    app.stdout.close()
    assert launchers
    assert wait_until(lambda: not running_with(mark) and not any(Path(f"/proc/{pid}").exists() for pid in launchers))
    assert Path("/proc/mounts").read_text() == mounts
    assert wait_until(lambda: control_groups() <= groups)


NICE_APP = """
import os, sys
from pathlib import Path
from tests.contracts.runner_contract import request, result
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

os.nice(10)
sandbox = Sandbox(Settings(cache_dir=Path(sys.argv[1])))
print(os.nice(0), result(sandbox, request("import os; print(os.nice(0))")).run.stdout)
sandbox.close()
"""


def test_an_app_with_low_priority_runs_programs_with_a_lower_one():
    sandbox("python").close()
    ran = subprocess.run(
        [sys.executable, "-c", NICE_APP, CACHE_DIR], cwd=ROOT, capture_output=True, text=True, check=True
    )
    app, program = map(int, ran.stdout.split())
    assert program == min(19, app + 5)


def control_groups() -> set[Path]:
    return set(Path("/sys/fs/cgroup").glob("**/codecoach-*"))


def test_forty_mixed_runs_leave_no_descriptor_process_or_folder(shared):
    sources = ["print(1)", "raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)", "while True: print('x' * 999)"]
    result(shared, request(sources[0]))
    (launcher,) = launchers_of(os.getpid())

    def held() -> tuple[int, int, int]:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        return len(os.listdir(f"/proc/{launcher}/fd")), len(children), len(os.listdir("/proc/self/fd"))

    before, threads = held(), threading.active_count()
    for number in range(40):
        events = shared.run(request(sources[number % len(sources)], limits=Limits(timeout_s=20, output_bytes=5000)))
        if number % 5 == 0:
            next(events)
            events.close()
        else:
            list(events)
    assert wait_until(lambda: held() == before)
    assert threading.active_count() == threads


def test_runs_stopped_while_their_sandbox_is_set_up_leave_no_process(one_worker):
    others = set(launchers_of(os.getpid()))
    result(one_worker, request("print(1)"))
    (launcher,) = set(launchers_of(os.getpid())) - others
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    for _ in range(15):
        asked = request("import time; time.sleep(1000)")
        stopped: list[RunStatus] = []
        run = threading.Thread(
            target=lambda asked=asked, stopped=stopped: stopped.append(result(one_worker, asked).status)
        )
        run.start()
        while run.is_alive():  # the first that finds the run stops it, before its program starts
            one_worker.cancel(asked.job_id)
            run.join(0.002)
        assert stopped == [RunStatus.CANCELLED]
    assert wait_until(lambda: children.read_text() == "")


def reachable_as_nobody() -> bool:
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    system = subprocess.run(["/usr/bin/python3", "-c", version], capture_output=True, text=True, check=False)
    return os.geteuid() == 0 and system.stdout.strip() == "{}.{}".format(*sys.version_info[:2])


AS_NOBODY = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/repo /mnt/cache /mnt/site
mount --bind "$1" /mnt/repo; mount --bind "$2" /mnt/cache; mount --bind "$3" /mnt/site
cd /mnt/repo
export HOME=/tmp TEST_CACHE_DIR=/mnt/cache PYTHONPATH=/mnt/site PYTHONDONTWRITEBYTECODE=1
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all /usr/bin/python3 -m pytest -q -p no:cacheprovider \\
    -p no:xdist tests/contracts/test_sandbox.py tests/contracts/test_sandbox_hostile.py tests/contracts/test_sandbox_compile.py tests/contracts/test_aws_endpoints.py --junit-xml=/dev/null -W ignore::pytest.PytestConfigWarning
"""


@pytest.mark.skipif(
    not reachable_as_nobody(), reason="needs root, and a system Python like the one that runs the tests"
)
@pytest.mark.timeout(400)
def test_all_of_it_holds_for_a_normal_user_too():
    sandbox("python", "bash", "javascript").close()
    site = json.loads(
        subprocess.check_output([sys.executable, "-c", "import json, site; print(json.dumps(site.getsitepackages()))"])
    )
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", AS_NOBODY, "sh", str(ROOT), str(CACHE_DIR), site[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
