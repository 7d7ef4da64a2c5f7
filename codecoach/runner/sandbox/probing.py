"""Whether this machine allows sandboxes, and if not, what would."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from codecoach.errors import SandboxUnavailable
from codecoach.i18n import Notice
from codecoach.runner.sandbox.process import SPARE_UID

_SETTINGS = Path("/proc/sys")
_TRY_WITHIN_S = 10


@dataclass(frozen=True)
class Problem:
    """key  of the texts `[errors.<key>]` and of the one sentence `[runtimes] <key>`"""

    key: str
    values: dict[str, str] = field(default_factory=dict)

    @property
    def notice(self) -> Notice:
        return Notice(f"runtimes.{self.key}", self.values)

    def error(self) -> SandboxUnavailable:
        return SandboxUnavailable(self.key, **self.values)


def problem(settings: Path = _SETTINGS) -> Problem | None:
    """Try an empty sandbox; where it fails, look for the cause in the kernel's settings."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return Problem("sandbox_no_bwrap")
    if not _has_libseccomp():
        return Problem("sandbox_no_libseccomp")
    said = _try(bwrap)
    return None if said is None else _explained(said, settings)


def _has_libseccomp() -> bool:
    try:
        from codecoach.runner.sandbox import seccomp  # here, because its import is what fails
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(seccomp.program())


def _try(bwrap: str) -> str | None:
    """What bubblewrap says when it fails, None where it works."""
    words = [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--ro-bind", "/", "/"]
    words += ["--proc", "/proc", "--", "/bin/true"]
    dropped = {"user": SPARE_UID, "group": SPARE_UID, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        tried = subprocess.run(
            words, capture_output=True, timeout=_TRY_WITHIN_S, env={"PATH": os.defpath}, check=False, **dropped
        )  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return None if tried.returncode == 0 else tried.stderr.decode("utf-8", "replace").strip()


def _explained(said: str, settings: Path) -> Problem:
    if _value(settings / "kernel/unprivileged_userns_clone") == "0":
        return Problem("sandbox_userns_off")
    if _value(settings / "user/max_user_namespaces") == "0":
        return Problem("sandbox_userns_none")
    if _value(settings / "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return Problem("sandbox_apparmor")
    return Problem("sandbox_refused", {"detail": said})


def _value(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
