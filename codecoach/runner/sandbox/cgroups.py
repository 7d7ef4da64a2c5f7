"""Control groups, where this machine lets us make them: the kernel then enforces memory and process limits at once.

Version 1 (a folder per controller), version 2 (one folder) and none at all occur; without them the watcher alone decides.
Names carry the launcher's process id, so that a later launcher can remove what a killed one left.
"""

import asyncio
import os
import re
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_NAME = "codecoach-{launcher}-{number}"
_LEFTOVER = re.compile(r"codecoach-(\d+)-\d+")
_REMOVE_AGAIN_AFTER_S = (0.002, 0.01, 0.05, 0.2, 1.0)


class ControlGroup:
    """The control group of one run."""

    def __init__(self, folders: dict[str, Path], version: int) -> None:
        self._folders = folders
        self._version = version

    def limit(self, memory_bytes: int, tasks: int) -> None:
        memory, pids = self._folders["memory"], self._folders["pids"]
        (pids / "pids.max").write_text(str(tasks))
        if self._version == 2:
            (memory / "memory.max").write_text(str(memory_bytes))
            _try_write(memory / "memory.swap.max", "0")
            _try_write(memory / "memory.oom.group", "1")
        else:
            (memory / "memory.limit_in_bytes").write_text(str(memory_bytes))
            _try_write(memory / "memory.memsw.limit_in_bytes", str(memory_bytes))

    def add(self, *pids: int) -> None:
        """Move processes into it; those that are gone by now are passed over."""
        for folder in set(self._folders.values()):
            for pid in pids:
                _try_write(folder / "cgroup.procs", str(pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed something in it for want of memory."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        return _counter(self._folders["memory"] / name, "oom_kill") > 0

    def out_of_tasks(self) -> bool:
        """Whether a new process or thread has been refused."""
        return _counter(self._folders["pids"] / "pids.events", "max") > 0

    def discard(self) -> None:
        """Remove it before anything was put into it."""
        self._removed()

    async def remove(self) -> None:
        """Called when everything in it is dead; the kernel may take a moment to notice."""
        for pause_s in (0.0, *_REMOVE_AGAIN_AFTER_S):
            await asyncio.sleep(pause_s)
            if self._removed():
                return

    def _removed(self) -> bool:
        for folder in set(self._folders.values()):
            with suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in self._folders.values())


class ControlGroups:
    """Makes control groups below the launcher's own; `make` gives None where that is not allowed."""

    def __init__(self, root: Path = ROOT) -> None:
        self._parents, self._version = _parents(root)
        self._number = 0
        self._sweep()

    def make(self, memory_bytes: int, tasks: int) -> ControlGroup | None:
        if not self._parents:
            return None
        self._number += 1
        name = _NAME.format(launcher=os.getpid(), number=self._number)
        group = ControlGroup({key: parent / name for key, parent in self._parents.items()}, self._version)
        try:
            for parent in set(self._parents.values()):
                (parent / name).mkdir()
            group.limit(memory_bytes, tasks)
        except OSError:
            group.discard()
            self._parents = {}  # not allowed here: do not try again for each run
            return None
        return group

    def _sweep(self) -> None:
        for parent in set(self._parents.values()):
            for folder in parent.glob("codecoach-*"):
                match = _LEFTOVER.fullmatch(folder.name)
                if match and not Path("/proc", match[1]).exists():
                    with suppress(OSError):
                        folder.rmdir()


def _parents(root: Path) -> tuple[dict[str, Path], int]:
    """Where groups can be made, per controller, and the version; ({}, 0) where they cannot."""
    own = _own_groups()
    first = {name: root / name / own.get(name, "").lstrip("/") for name in ("memory", "pids")}
    if all(os.access(folder / "cgroup.procs", os.W_OK) for folder in first.values()):
        return first, 1
    second = root / own.get("", "").lstrip("/")
    if os.access(second / "cgroup.procs", os.W_OK) and os.access(second, os.W_OK) and _delegates(second):
        return {"memory": second, "pids": second}, 2
    return {}, 0


def _own_groups() -> dict[str, str]:
    """Controller -> path of this process's group; the key of version 2 is the empty string."""
    groups: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            groups |= dict.fromkeys(controllers.split(","), path)
    return groups


def _delegates(folder: Path) -> bool:
    """Whether groups below get the controllers; asks for them if not, which fails while processes sit in `folder`."""
    with suppress(OSError):
        control = folder / "cgroup.subtree_control"
        if not {"memory", "pids"} <= set(control.read_text().split()):
            control.write_text("+memory +pids")
        return {"memory", "pids"} <= set(control.read_text().split())
    return False


def _counter(file: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            word, _, value = line.partition(" ")
            if word == name:
                return int(value)
    return 0


def _try_write(file: Path, value: str) -> None:
    with suppress(OSError):
        file.write_text(value)
