"""The source, packed for the instances: the same content gives the same bytes, so that an unchanged one changes no instance."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
# What instances need: the app, Piston and its packages, their own scripts.
SHIPPED: Final = (
    ".dockerignore",
    ".streamlit",
    "Dockerfile",
    "Home.py",
    "LICENSE",
    "README.md",
    "codecoach",
    "deploy",
    "docker-compose.yaml",
    "pages",
    "piston",
    "pyproject.toml",
    "requirements.lock",
)
LEFT_OUT: Final = ("__pycache__", ".env", "secrets.toml")


@dataclass(frozen=True)
class Packed:
    """content  a .tar.gz with one folder at its top"""

    content: bytes

    @property
    def name(self) -> str:
        """A file name that says what is in it."""
        return f"codecoach-{hashlib.sha256(self.content).hexdigest()[:32]}.tar.gz"


def pack(root: Path = ROOT) -> Packed:
    """Pack a checkout. Owners and times are left out, and so are secrets and what Python compiled."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in SHIPPED:
            for file in _files(root / name):
                archive.add(file, f"codecoach/{file.relative_to(root)}", recursive=False, filter=_plain)
    return Packed(gzip.compress(packed.getvalue(), mtime=0))


def _files(path: Path) -> list[Path]:
    """A file, or all files below a folder, in an order that does not depend on the disk."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.is_file() and not set(file.parts) & set(LEFT_OUT)]


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
