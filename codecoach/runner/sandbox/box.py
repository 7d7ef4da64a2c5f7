"""What a program sees: its files, its runtime, a read-only system, and nothing else of the machine."""

import os
from collections.abc import Iterable, Mapping

from codecoach.runner.port import File
from codecoach.runner.sandbox.collect import is_executable

BOX = "/box"
UID = 1000  # inside; any will do, many programs dislike 0
GATE = 'echo; read -r _; . "$0" "$@"'
"""Runs before the program: says that the sandbox stands, waits for a line on stdin, then goes on as the package's script.

The shell reads byte by byte, so all that follows that line is left for the program. It is the one that the script is for, so
that none has to be started once the gate is open.
"""

_USERS = "root:x:0:0:root:/root:/sbin/nologin\ncoder:x:1000:1000:coder:/box:/bin/bash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
_GROUP = "root:x:0:\ncoder:x:1000:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost sandbox\n::1 localhost\n"
_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs", "/etc/localtime", "/etc/mime.types")
_BASE_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": BOX,
    "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
    "LANG": "C.UTF-8",
    "USER": "coder",
}


class Descriptors:
    """Descriptors that a sandbox inherits; closed here once it has started."""

    def __init__(self) -> None:
        self.fds: list[int] = []

    def holding(self, content: bytes) -> int:
        """A descriptor from which `content` is read."""
        fd = os.memfd_create("box")
        self.fds.append(fd)
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def duplicate(self, fd: int) -> int:
        """A descriptor for the same open file."""
        self.fds.append(os.dup(fd))
        return self.fds[-1]

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def command(
    status_fd: int,
    descriptors: Descriptors,
    *,
    script: Iterable[str],
    files: Iterable[File],
    products: Mapping[str, int],
    system_files: Mapping[str, bytes],
    mounts: Mapping[str, str],
    environment: Mapping[str, str],
    disk_bytes: Mapping[str, int],
    seccomp: bytes,
) -> list[str]:
    """The bubblewrap command line of a sandbox.

    status_fd     bubblewrap writes the process id of the sandbox's init there
    descriptors   gets what bubblewrap must inherit
    script        what runs inside: path of a Bash script, and its arguments
    files         go into the working folder
    products      so do these, name -> open file
    system_files  read-only files elsewhere, path -> content
    mounts        read-only folders of this machine, path inside -> path here
    disk_bytes    sizes of the places it can write to, by path without the leading slash
    """
    words = ["bwrap", *_namespaces()]
    # Not on the command line, which everybody on this machine may read: they may be secret.
    words += ["--args", str(descriptors.holding(_arguments({**_BASE_ENVIRONMENT, **environment})))]
    words += _system(system_files, descriptors)
    for inside, here in mounts.items():
        words += ["--ro-bind", here, inside]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for place, size in disk_bytes.items():
        words += ["--perms", "0700" if place == "box" else "1777", "--size", str(size), "--tmpfs", f"/{place}"]
    for name, fd in products.items():
        mode = "0755" if is_executable(fd) else "0644"
        words += ["--perms", mode, "--file", str(descriptors.duplicate(fd)), f"{BOX}/{name}"]
    for file in files:
        if file.name in products:
            continue  # compiling has changed it
        words += ["--perms", "0644", "--file", str(descriptors.holding(file.content)), f"{BOX}/{file.name}"]
    # bubblewrap's own / and /dev are tmpfs without a size: they must not be writable.
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", BOX]
    words += ["--seccomp", str(descriptors.holding(seccomp)), "--json-status-fd", str(status_fd)]
    return [*words, "--", "/bin/bash", "-c", GATE, *script]


def _arguments(environment: Mapping[str, str]) -> bytes:
    """The options that set these variables, as `--args` reads them."""
    words = [word for pair in environment.items() for word in ("--setenv", *pair)]
    if any("\0" in word for word in words):
        raise ValueError("a variable with a zero byte would be read as further options")
    return "".join(f"{word}\0" for word in words).encode()


def _namespaces() -> list[str]:
    words = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", "--uid", str(UID), "--gid", str(UID), "--hostname", "sandbox", "--clearenv"]
    return words


def _system(files: Mapping[str, bytes], descriptors: Descriptors) -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    for path in _SYSTEM_FILES:
        words += ["--ro-bind-try", path, path]
    own = {"/etc/passwd": _USERS.encode(), "/etc/group": _GROUP.encode(), "/etc/hosts": _HOSTS.encode()}
    for path, content in {**own, **files}.items():
        words += ["--perms", "0644", "--ro-bind-data", str(descriptors.holding(content)), path]
    return words
