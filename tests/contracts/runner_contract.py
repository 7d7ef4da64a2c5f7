"""What every runner must do, whichever it is; each runner's tests inherit this.

A subclass gives the fixture `runner`. Programs are Python, since every runner has it.
"""

import threading
import time
import uuid

import pytest

from codecoach.errors import InputRefused
from codecoach.i18n import Language, tell
from codecoach.runner.port import (
    File,
    Limits,
    OutputChunk,
    Runner,
    RunRequest,
    RunResult,
    RunStatus,
    StageChanged,
)


def request(source: str, *more: File, language: str = "python", **fields) -> RunRequest:
    fields.setdefault("limits", Limits(timeout_s=20))
    return RunRequest(uuid.uuid4().hex, language, (File("main.py", source.encode()), *more), **fields)


def result(runner: Runner, asked: RunRequest) -> RunResult:
    *_, last = runner.run(asked)
    assert isinstance(last, RunResult)
    return last


class RunnerContract:
    @pytest.fixture
    def runner(self) -> Runner:
        raise NotImplementedError

    def run(self, runner: Runner, source: str, *more: File, **fields) -> RunResult:
        return result(runner, request(source, *more, **fields))

    # --- how a program ends

    def test_a_program_that_ends_well_is_ok_and_has_no_reason(self, runner):
        ended = self.run(runner, "print('hello')")
        assert (ended.status, ended.run.exit_code, ended.run.signal) == (RunStatus.OK, 0, None)
        assert (ended.run.stdout, ended.run.stderr, ended.reason) == ("hello\n", "", None)

    def test_what_stands_on_stderr_does_not_make_a_program_fail(self, runner):
        ended = self.run(runner, "import sys; print('a warning', file=sys.stderr)")
        assert (ended.status, ended.run.stderr) == (RunStatus.OK, "a warning\n")

    @pytest.mark.parametrize("code", [1, 2, 77, 128, 130, 137, 139, 143, 255])
    def test_an_exit_code_is_the_programs_own_even_where_a_shell_would_mean_a_signal(self, runner, code):
        ended = self.run(runner, f"import os; os._exit({code})")
        assert (ended.status, ended.run.exit_code, ended.run.signal) == (RunStatus.FAILED, code, None)

    @pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGTERM", "SIGABRT", "SIGUSR1"])
    def test_a_signal_is_named(self, runner, name):
        ended = self.run(runner, f"import os, signal; os.kill(os.getpid(), signal.{name})")
        assert (ended.status, ended.run.exit_code, ended.run.signal) == (RunStatus.SIGNAL, None, name)

    def test_a_time_out_ends_the_program_and_what_it_started(self, runner):
        ended = self.run(
            runner,
            "import os, subprocess, time\nos.write(1, b'started\\n')\nsubprocess.Popen(['sleep', '1000'])\ntime.sleep(1000)",
            limits=Limits(timeout_s=1),
        )
        assert (ended.status, ended.run.stdout) == (RunStatus.TIMEOUT, "started\n")

    def test_too_much_memory_is_named_as_the_cause(self, runner):
        ended = self.run(
            runner,
            "kept = []\nwhile True: kept.append(bytearray(4_000_000))",
            limits=Limits(timeout_s=20, memory_bytes=200 * 1024 * 1024),
        )
        assert ended.status is RunStatus.MEMORY

    def test_every_ending_but_ok_has_a_sentence_of_its_own_in_both_languages(self, runner):
        endings = [
            self.run(runner, "raise SystemExit(3)"),
            self.run(runner, "import os; os.kill(os.getpid(), 11)"),
            self.run(runner, "while True: pass", limits=Limits(timeout_s=0.5)),
            self.run(runner, "while True: print('x' * 1000)", limits=Limits(output_bytes=10_000)),
        ]
        for language in Language:
            sentences = {tell(language, ended.reason) for ended in endings}
            assert len(sentences) == len(endings)

    # --- output

    def test_output_comes_while_the_program_runs(self, runner):
        asked = request("import sys\nprint('first', flush=True)\nsys.stdin.read()\nimport time; time.sleep(1000)")
        events = runner.run(asked)
        seen = ""
        for event in events:
            if isinstance(event, OutputChunk):
                seen += event.text
                break
        events.close()
        assert seen.startswith("first")

    def test_the_chunks_together_are_the_output_of_the_result(self, runner):
        events = list(
            runner.run(request("import sys\nfor i in range(2000): print(i, 'ü', file=(sys.stdout, sys.stderr)[i % 2])"))
        )
        for stream in ("stdout", "stderr"):
            chunks = [event.text for event in events if isinstance(event, OutputChunk) and event.stream == stream]
            assert "".join(chunks) == getattr(events[-1].run, stream)
            assert events[-1].run.stdout.count("\n") == 1000

    def test_output_that_comes_byte_by_byte_makes_few_events(self, runner):
        events = list(runner.run(request("import os\nfor _ in range(3000): os.write(1, b'x')")))
        assert events[-1].run.stdout == "x" * 3000
        assert len([event for event in events if isinstance(event, OutputChunk)]) < 300

    def test_a_character_cut_by_a_chunk_survives(self, runner):
        source = "import os, time\nfor byte in 'é中😀'.encode():\n    os.write(1, bytes([byte])); time.sleep(0.06)"
        events = list(runner.run(request(source)))
        assert events[-1].run.stdout == "é中😀"
        assert all("\ufffd" not in event.text for event in events if isinstance(event, OutputChunk))

    def test_bytes_that_are_no_text_are_replaced(self, runner):
        ended = self.run(runner, "import os; os.write(1, b'a\\xff\\x00b\\xe4')")
        assert ended.run.stdout == "a\ufffd\0b\ufffd"

    def test_output_exactly_at_the_limit_is_whole(self, runner):
        ended = self.run(runner, "import os; os.write(1, b'x' * 5000)", limits=Limits(output_bytes=5000))
        assert (ended.status, len(ended.run.stdout), ended.run.truncated) == (RunStatus.OK, 5000, False)

    @pytest.mark.parametrize("stream", [1, 2])
    def test_output_over_the_limit_keeps_what_came_before_and_says_so(self, runner, stream):
        ended = self.run(
            runner,
            f"import os\nos.write({stream}, b'start')\nwhile True: os.write({stream}, b'x' * 999)",
            limits=Limits(timeout_s=20, output_bytes=5000),
        )
        kept = ended.run.stdout if stream == 1 else ended.run.stderr
        assert (ended.status, ended.run.truncated) == (RunStatus.OUTPUT_LIMIT, True)
        assert kept.startswith("start")
        assert len(kept) == 5000

    def test_a_program_that_closes_its_output_and_goes_on_is_waited_for(self, runner):
        ended = self.run(runner, "import os, time\nos.close(1); os.close(2); time.sleep(0.3); os._exit(5)")
        assert (ended.status, ended.run.exit_code) == (RunStatus.FAILED, 5)

    # --- input

    def test_stdin_arguments_and_further_files_reach_the_program(self, runner):
        ended = self.run(
            runner,
            "import sys\nfrom parts.more import word\nprint(sys.stdin.read(), sys.argv[1:], word)",
            File("parts/more.py", b"word = 'ja'"),
            stdin="grüß\nGott".encode(),
            args=("a b", "", "-x", "'"),
        )
        assert ended.run.stdout == "grüß\nGott ['a b', '', '-x', \"'\"] ja\n"

    def test_no_stdin_is_an_empty_one(self, runner):
        assert self.run(runner, "import sys; print(repr(sys.stdin.read()))").run.stdout == "''\n"

    def test_a_program_need_not_read_its_stdin(self, runner):
        assert self.run(runner, "print('done')", stdin=b"x" * 3_000_000).status is RunStatus.OK

    def test_a_program_may_print_much_before_it_reads_much(self, runner):
        source = "import sys\nprint('y' * 700_000)\nprint(len(sys.stdin.read()))"
        ended = self.run(runner, source, stdin=b"x" * 3_000_000)
        assert ended.run.stdout.endswith("\n3000000\n")

    @pytest.mark.parametrize(
        "name", ["../up.py", "/etc/x", "a//b", "a/../b", "", ".", "a\nb", "a\0b", "main.py", "x" * 300]
    )
    def test_a_file_name_that_is_not_plainly_inside_is_refused(self, runner, name):
        with pytest.raises(InputRefused):
            self.run(runner, "print(1)", File(name, b""))

    def test_a_request_without_files_or_with_an_unknown_language_is_refused(self, runner):
        with pytest.raises(InputRefused):
            result(runner, RunRequest("j", "python", ()))
        with pytest.raises(InputRefused):
            self.run(runner, "", language="cobol")

    # --- files

    def test_new_and_changed_files_come_back_and_others_do_not(self, runner):
        ended = self.run(
            runner,
            "import os\nos.mkdir('out')\nopen('out/new.bin', 'wb').write(bytes(range(256)))\nopen('b.txt', 'a').write('!')",
            File("a.txt", b"a"),
            File("b.txt", b"b"),
        )
        assert ended.files == (File("b.txt", b"b!"), File("out/new.bin", bytes(range(256))))

    def test_more_files_than_allowed_are_counted_and_left_out(self, runner):
        ended = self.run(
            runner, "for i in range(20): open(f'{i:02}', 'w').write('x')", limits=Limits(timeout_s=20, files=5)
        )
        assert len(ended.files) == 5
        assert ended.files_left_out > 0

    def test_a_file_over_the_byte_limit_is_left_out_whole(self, runner):
        source = "open('big', 'wb').write(bytes(3000)); open('small', 'wb').write(b's')"
        ended = self.run(runner, source, limits=Limits(timeout_s=20, file_bytes=2000))
        assert (ended.files, ended.files_left_out) == ((File("small", b"s"),), 1)

    # --- stopping

    def test_stop_ends_a_run_and_keeps_what_it_printed(self, runner):
        asked = request("import os, time\nos.write(1, b'here\\n')\ntime.sleep(1000)")
        events = []
        for event in runner.run(asked):
            events.append(event)
            if isinstance(event, OutputChunk):
                runner.cancel(asked.job_id)
        assert events[-1].status is RunStatus.CANCELLED
        assert events[-1].run.stdout == "here\n"

    def test_stopping_an_unknown_or_ended_run_does_nothing(self, runner):
        asked = request("print(1)")
        result(runner, asked)
        runner.cancel(asked.job_id)
        runner.cancel("never heard of")
        assert self.run(runner, "print(1)").status is RunStatus.OK

    def test_a_run_outlives_the_thread_that_started_it(self, runner):
        events = runner.run(request("import time\nprint('on', flush=True)\ntime.sleep(0.5)\nprint('done')"))
        starter = threading.Thread(target=lambda: next(event for event in events if isinstance(event, StageChanged)))
        starter.start()
        starter.join()
        *_, last = events
        assert (last.status, last.run.stdout) == (RunStatus.OK, "on\ndone\n")

    # --- figures

    def test_times_and_memory_of_the_whole_tree_are_measured(self, runner):
        source = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import time; x = bytearray(60_000_000); end = time.process_time() + 0.3\\nwhile time.process_time() < end: pass"])
"""
        ended = self.run(runner, source)
        assert ended.run.cpu_s > 0.3
        assert ended.run.peak_memory_bytes > 60_000_000
        assert ended.run.wall_s >= 0.3

    def test_several_runs_go_on_at_the_same_time(self, runner):
        sources = [f"import time; time.sleep(0.2); print({number})" for number in range(6)]
        ended: dict[int, RunResult] = {}
        threads = [
            threading.Thread(target=lambda n=n, s=s: ended.__setitem__(n, self.run(runner, s)))
            for n, s in enumerate(sources)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [ended[number].run.stdout for number in range(6)] == [f"{number}\n" for number in range(6)]


def wait_until(holds, within_s: float = 10.0) -> bool:
    """Whether `holds()` becomes true in time."""
    deadline = time.monotonic() + within_s
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held
