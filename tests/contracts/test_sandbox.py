"""The bubblewrap sandbox keeps the runner's contract, its queue and its promise to leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from codecoach.errors import InputRefused, RunnerFull, RunnerUnavailable, RuntimeMissing
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File, Limits, OutputChunk, Queued, RunStatus, StageChanged
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


def test_up_to_the_configured_length_of_the_queue_nothing_is_refused_and_then_it_is_said():
    small = Sandbox(Settings(cache_dir=CACHE_DIR, run_workers=1, run_queue=2))
    asked = [request("import time; time.sleep(1000)") for _ in range(4)]
    running = [small.run(each) for each in asked]
    assert [next(each) for each in running[:3]] == [StageChanged("run"), Queued(1), Queued(2)]
    with pytest.raises(RunnerFull) as refused:
        next(running[3])
    assert refused.value.values == {"waiting": 2}
    small.cancel(asked[0].job_id)
    assert list(running[0])[-1].status is RunStatus.CANCELLED
    assert next(small.run(request("print(1)"))) == Queued(2)
    for each in running[1:3]:
        each.close()
    small.close()


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


def test_an_app_that_is_killed_leaves_no_process_mount_file_or_control_group(tmp_path):
    sandbox("python").close()
    mark, mounts, groups = uuid.uuid4().hex, Path("/proc/mounts").read_text(), control_groups()
    command = [sys.executable, "-c", APP, CACHE_DIR, mark]
    temporary = {**os.environ, "TMPDIR": str(tmp_path)}
    app = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=temporary)
    assert app.stdout.readline() == "running\n"
    assert wait_until(lambda: len(running_with(mark)) > 3)
    launchers = launchers_of(app.pid)
    app.kill()
    app.wait()
    app.stdout.close()
    assert launchers
    assert wait_until(
        lambda: (
            not running_with(mark)
            and not any(Path(f"/proc/{pid}").exists() for pid in launchers)
            and control_groups() <= groups
        ),
        within_s=3,  # the one promise about time: so long after its end nothing may be left of an app
    )
    assert Path("/proc/mounts").read_text() == mounts
    assert list(tmp_path.iterdir()) == []


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


def launched_by(sandbox_of: Callable[[], Sandbox]) -> tuple[Sandbox, int]:
    """A sandbox that has run something, and the process id of its launcher."""
    others = set(launchers_of(os.getpid()))
    made = sandbox_of()
    result(made, request("print(1)"))
    (launcher,) = set(launchers_of(os.getpid())) - others
    return made, launcher


RUNS = 1000
# (program, how it ends; None: it is left alone in mid-way)
MIXED = (
    ("print(1)", RunStatus.OK),
    ("raise SystemExit(1)", RunStatus.FAILED),
    ("import os; os.kill(os.getpid(), 9)", RunStatus.SIGNAL),
    ("while True: print('x' * 999)", RunStatus.OUTPUT_LIMIT),
    ("open('out', 'w').write('x' * 5000); open('/tmp/x', 'w').write('x')", RunStatus.OK),
    ("import subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])", RunStatus.OK),
    ("import time; time.sleep(1000)", RunStatus.TIMEOUT),
    ("import time; print('on', flush=True); time.sleep(1000)", RunStatus.CANCELLED),
    ("import time; print('left', flush=True); time.sleep(1000)", None),
    ("import os, urllib.request as u; u.urlopen(os.environ['AWS_ENDPOINT_URL'])", RunStatus.FAILED),
)


def test_a_thousand_mixed_runs_leave_no_descriptor_process_memory_mount_or_group():
    made, launcher = launched_by(lambda: sandbox("python"))

    def held() -> tuple[int, int, str]:
        children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
        mounts = Path(f"/proc/{launcher}/mounts").read_text()
        return len(os.listdir(f"/proc/{launcher}/fd")), len(children), mounts

    def ours() -> int:
        return len(os.listdir("/proc/self/fd"))

    def resident_mb() -> int:
        return int(Path(f"/proc/{launcher}/statm").read_text().split()[1]) * 4096 // 1_000_000

    def one(number: int) -> None:
        source, how = MIXED[number % len(MIXED)]
        limits = Limits(timeout_s=0.3 if how is RunStatus.TIMEOUT else 60, output_bytes=5000)
        asked = request(source, limits=limits, aws=AwsAccess(AwsMode.SIMULATED, "127.0.0.1", 9))
        events = made.run(asked)
        for event in events:
            if isinstance(event, OutputChunk) and how is RunStatus.CANCELLED:
                made.cancel(asked.job_id)
            elif isinstance(event, OutputChunk) and how is None:
                events.close()
                return
        assert event.status is how, (source, event)

    # In this process what earlier tests have left may go meanwhile; nothing may come.
    before, descriptors, threads, groups = held(), ours(), set(threading.enumerate()), control_groups()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(100)))
        warm_mb = resident_mb()
        list(pool.map(one, range(100, RUNS)))
    assert wait_until(lambda: held() == before), held()
    assert wait_until(lambda: ours() <= descriptors)
    assert wait_until(lambda: control_groups() <= groups)
    assert set(threading.enumerate()) <= threads
    assert resident_mb() < warm_mb + 5
    made.close()


def test_runs_stopped_while_their_sandbox_is_set_up_leave_no_process(one_worker):
    _, launcher = launched_by(lambda: one_worker)
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


GROUPS = Path("/sys/fs/cgroup")
# $1 repository, $2 runtimes, $3 packages of the tests, $4 user, $5 whether there are control groups; the rest are tests.
ELSEWHERE = """
set -e
mount -t tmpfs none /mnt
mkdir /mnt/repo /mnt/cache /mnt/site
mount --bind "$1" /mnt/repo; mount --bind "$2" /mnt/cache; mount --bind "$3" /mnt/site
user=$4 groups=$5
shift 5
[ "$groups" = with ] || mount -t tmpfs none /sys/fs/cgroup
cd /mnt/repo
export HOME=/tmp TEST_CACHE_DIR=/mnt/cache PYTHONPATH=/mnt/site PYTHONDONTWRITEBYTECODE=1
[ "$user" = 0 ] || set -- setpriv --reuid=$user --regid=$user --clear-groups --inh-caps=-all "$@"
exec "$@"
"""
PYTEST = "/usr/bin/python3 -m pytest -q -p no:cacheprovider -p no:xdist --junit-xml=/dev/null -W ignore::pytest.PytestConfigWarning"
HOSTILE = ("tests/contracts/test_sandbox_hostile.py", "tests/contracts/test_sandbox_compile.py")
NOBODY = 65534


@contextmanager
def groups_of(user: int) -> Iterator[Callable[[], None] | None]:
    """What moves a process into control groups of its own that this user may divide; None where there are none to have."""
    made: list[Path] = []
    try:
        for controller in ("memory", "pids"):  # version 2 lets nobody divide a group that has processes in it
            own = GROUPS / controller / f"test-{os.getpid()}"
            own.mkdir()
            made.append(own)
            for place in (own, *own.iterdir()):
                os.chown(place, user, user)
        yield lambda: [(own / "cgroup.procs").write_text("0") for own in made]
    except OSError:
        yield None
    finally:
        for own in made:
            assert wait_until(lambda own=own: (own / "cgroup.procs").read_text() == "")
            own.rmdir()


@pytest.mark.skipif(
    not reachable_as_nobody(), reason="needs root, and a system Python like the one that runs the tests"
)
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("user", "groups"), [(NOBODY, "without"), (NOBODY, "with"), (0, "without")], ids=["user", "user-groups", "root"]
)
def test_all_of_it_holds_for_other_users_and_with_or_without_control_groups(user, groups):
    sandbox("python", "bash", "javascript").close()
    site = json.loads(
        subprocess.check_output([sys.executable, "-c", "import json, site; print(json.dumps(site.getsitepackages()))"])
    )
    tests = list(HOSTILE)
    if user and groups == "without":
        leaks = "tests/contracts/test_sandbox.py::test_a_thousand_mixed_runs_leave_no_descriptor_process_memory_mount_or_group"
        tests += ["tests/contracts/test_sandbox.py", "tests/contracts/test_aws_endpoints.py", "--deselect", leaks]
    with groups_of(user) if groups == "with" else nullcontext(enter_result=lambda: None) as enter:
        if enter is None:
            pytest.skip("no control groups can be given away here")
        words = [str(ROOT), str(CACHE_DIR), site[0], str(user), groups, *PYTEST.split(), *tests]
        ran = subprocess.run(
            ["unshare", "--mount", "sh", "-c", ELSEWHERE, "sh", *words],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=enter,
            env={**os.environ, "TEST_CONTROL_GROUPS": groups},
        )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
