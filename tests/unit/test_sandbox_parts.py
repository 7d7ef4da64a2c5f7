"""The parts of the sandbox that can be seen alone: endings, output, result files, what the probe explains."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import pytest

from codecoach.i18n import Language, tell
from codecoach.runner.installed import Installed
from codecoach.runner.port import File, Limits, OutputChunk, RunRequest, RunStatus
from codecoach.runner.sandbox import endings, exits, probing
from codecoach.runner.sandbox.cgroups import ControlGroups
from codecoach.runner.sandbox.collect import collect
from codecoach.runner.sandbox.endings import Circumstances
from codecoach.runner.sandbox.job import Job
from codecoach.runner.sandbox.output import Output
from codecoach.runner.sandbox.process import End, SandboxBroken


def end(code: int | None = None, number: int | None = None) -> End:
    return End(code, number, 0.0, 0)


@pytest.mark.parametrize(
    ("ended", "seen", "status"),
    [
        (end(0), Circumstances(None), RunStatus.OK),
        (end(0), Circumstances(None, out_of_memory=True, disk_full=True), RunStatus.OK),
        (end(1), Circumstances(None), RunStatus.FAILED),
        (end(1), Circumstances(None, disk_full=True), RunStatus.FILE_LIMIT),
        (end(1), Circumstances(None, out_of_tasks=True), RunStatus.PROCESS_LIMIT),
        (end(None, signal.SIGKILL), Circumstances(None, out_of_memory=True), RunStatus.MEMORY),
        (end(None, signal.SIGKILL), Circumstances(None), RunStatus.SIGNAL),
        (end(None, signal.SIGXFSZ), Circumstances(None), RunStatus.FILE_LIMIT),
        (end(None, signal.SIGKILL), Circumstances(RunStatus.TIMEOUT, out_of_memory=True), RunStatus.TIMEOUT),
        (end(0), Circumstances(RunStatus.CANCELLED), RunStatus.CANCELLED),
    ],
)
def test_the_status_follows_from_how_it_ended_and_what_was_seen(ended, seen, status):
    assert endings.status(ended, seen) is status


@pytest.mark.parametrize("language", Language)
def test_every_status_and_signal_has_its_own_sentence(language):
    sentences = [
        tell(language, notice)
        for status in RunStatus
        for number in (signal.valid_signals() if status is RunStatus.SIGNAL else [0])
        if (notice := endings.reason(status, end(3, number), Limits(), 30.0))
    ]
    assert len(set(sentences)) == len(sentences)


def test_before_linux_can_tell_only_likely_signals_are_guessed_from_an_exit_code():
    assert exits.guessed(139) == (None, signal.SIGSEGV)
    assert exits.guessed(137) == (137, None)
    assert exits.guessed(200) == (200, None)
    assert exits.guessed(1) == (1, None)


def test_output_is_passed_on_at_once_and_then_only_after_a_while():
    events: list[OutputChunk] = []
    output = Output("stdout", 100, events.append)
    output.feed(b"a", 10.0)
    output.feed(b"b", 10.001)
    output.feed(b"c", 10.002)
    output.pass_on(10.05)
    output.finish(10.06)
    assert [event.text for event in events] == ["a", "bc"]
    assert (output.text, output.truncated) == ("abc", False)


def test_a_character_that_the_limit_cuts_is_dropped():
    output = Output("stdout", 4, lambda chunk: None)
    output.feed("aé中".encode(), 0.0)
    output.finish(0.0)
    assert (output.text, output.truncated) == ("aé", True)


def collected(folder: Path, **bounds):
    fd = os.open(folder, os.O_RDONLY)
    try:
        return collect(fd, bounds.get("known", {}), bounds.get("files", 10), bounds.get("size", 1000))
    finally:
        os.close(fd)


def test_only_regular_files_with_one_link_are_collected(tmp_path):
    (tmp_path / "plain").write_bytes(b"1")
    (tmp_path / "twice").write_bytes(b"2")
    os.link(tmp_path / "twice", tmp_path / "again")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    found = collected(tmp_path)
    assert (found.files, found.left_out) == ([File("plain", b"1")], 5)


def test_what_went_in_and_was_not_changed_is_no_result_however_large(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 2000)
    (tmp_path / "main").write_bytes(b"m")
    (tmp_path / "new").write_bytes(b"n")
    known = {"data": b"x" * 2000, "main": b"m"}
    assert collected(tmp_path, known=known, files=1).left_out == 0
    (tmp_path / "data").write_bytes(b"y" * 2000)
    (tmp_path / "main").write_bytes(b"M")
    found = collected(tmp_path, known=known)
    assert ([file.name for file in found.files], found.left_out) == (["main", "new"], 1)


async def _started_with_few_descriptors() -> int:
    """Start jobs with ever more free descriptors, from none on; how many of them lost one."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    request = RunRequest("job", "python", (File("main.py", b""),))
    lost = 0
    for free in range(8):
        job = Job(request, Installed("none", "/none"), "/none", ControlGroups(), print)
        before = len(os.listdir("/proc/self/fd"))
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + free, most))
        try:
            with pytest.raises((OSError, SandboxBroken)):
                await job.run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
        lost += len(os.listdir("/proc/self/fd")) > before
    return lost


def test_where_descriptors_run_out_none_is_lost():
    assert asyncio.run(_started_with_few_descriptors()) == 0


def test_what_tools_leave_and_what_is_too_deep_is_no_result(tmp_path):
    deep = tmp_path / Path(*"abcdefghij")
    deep.mkdir(parents=True)
    (deep / "x").write_bytes(b"")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_bytes(b"")
    found = collected(tmp_path)
    assert (found.files, found.left_out) == ([], 1)


@pytest.mark.parametrize(
    ("setting", "value", "key"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sandbox_userns_off"),
        ("user/max_user_namespaces", "0", "sandbox_userns_none"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "sandbox_apparmor"),
        ("kernel/apparmor_restrict_unprivileged_userns", "0", "sandbox_refused"),
    ],
)
def test_each_cause_why_sandboxes_fail_is_told_with_the_command_that_mends_it(
    tmp_path, monkeypatch, setting, value, key
):
    bwrap = tmp_path / "bin" / "bwrap"
    bwrap.parent.mkdir()
    bwrap.write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bwrap.parent}:{os.environ['PATH']}")
    file = tmp_path / "sys" / setting
    file.parent.mkdir(parents=True)
    file.write_text(value + "\n")
    problem = probing.problem(tmp_path / "sys")
    assert problem.key == key
    assert tell(Language.EN, problem.notice)
    assert tell(Language.EN, problem.error().hint)
    if key != "sandbox_refused":
        assert f"{setting.replace('/', '.')}=" in tell(Language.ZH, problem.notice)


def test_a_missing_bubblewrap_is_told_with_the_package_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    problem = probing.problem()
    assert "apt-get install bubblewrap" in tell(Language.EN, problem.notice)
    assert "apt-get install bubblewrap" in tell(Language.EN, problem.error().hint)


def test_where_control_groups_may_not_be_made_there_is_none(tmp_path):
    assert ControlGroups(tmp_path).make(1, 1) is None


def test_control_groups_of_a_launcher_that_is_gone_are_removed(tmp_path, monkeypatch):
    # The tree of version 2 as a plain folder: what is looked at are names alone.
    monkeypatch.setattr("codecoach.runner.sandbox.cgroups._own_groups", lambda: {"": "/"})
    (tmp_path / "cgroup.procs").write_text("")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids")
    gone, here = tmp_path / "codecoach-4194305-1", tmp_path / f"codecoach-{os.getpid()}-1"
    gone.mkdir()
    here.mkdir()
    ControlGroups(tmp_path)
    assert not gone.exists()
    assert here.exists()
