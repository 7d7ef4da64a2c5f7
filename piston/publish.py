"""Publishing packages as GitHub releases, so that a reader finds at every moment a whole index and all it names.

    tag packages-<hash>   a release for each publishing: the packages that are new in it, and `index`

GitHub cannot replace a file of a release at once: it must be deleted before another may take its name. So nothing is ever
replaced. New packages and the new index are uploaded into a draft, which nobody sees; the index names them there, and
unchanged packages where they were published before; then one request makes the draft the latest release:

    draft created - packages uploaded - index uploaded - checked ------ published as latest
    releases/latest/download/index: the index before, whole .......... | the new one, whole

PISTON_REPO_URL is that address of the latest release's index. A publishing that was killed goes on in its draft. A state
that was published before only becomes the latest again.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from piston import index
from piston.errors import GitHubRefused
from piston.github import MOST_BYTES, MOST_FILES, Asset, GitHub, Release
from piston.index import Entry, PackageFile
from piston.mirror import Watch
from piston.transfer import Failed

ABOUT = "Packages for Piston, and the index that names them."

_OVERTAKEN_TRIES = 3
_TAG_CHARS = 12
# Other characters are not kept by GitHub in the name of a file.
_NOT_KEPT = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Plan:
    """What publishing comes to.

    before    the release that is the latest now
    ready     the release that has published all of this already
    carried   packages whose files have been published before
    uploads   those that have not
    """

    tag: str
    before: Release | None
    ready: Release | None
    carried: tuple[Entry, ...]
    uploads: tuple[PackageFile, ...]

    @property
    def count(self) -> int:
        return len(self.carried) + len(self.uploads)

    @property
    def nothing(self) -> bool:
        return self.before is not None and self.ready is not None and self.before.id == self.ready.id


@dataclass(frozen=True)
class Published:
    plan: Plan
    release: Release

    @property
    def repo_url(self) -> str:
        """For PISTON_REPO_URL; stays the same with every publishing."""
        return f"{self.release.repository_url}/releases/latest/download/{index.INDEX}"


def plan(github: GitHub, files: Sequence[PackageFile], exactly: bool = False) -> Plan:
    """What publishing these files would do.

    exactly  the index will name these packages and no others; else those that it names now stay, but for new builds

    Raises `GitHubRefused` for files that GitHub does not take, and where a package to be kept has gone.
    """
    for file in files:
        if file.size_bytes > MOST_BYTES:
            raise GitHubRefused("github_too_large", file=file.path.name, size=file.size_bytes)
    before = github.patiently("releases/latest", github.latest)
    releases = github.patiently("releases", github.releases)
    own = {f"{file.language}={file.version}": file for file in files}
    named = {entry for entry in _named_by(github, before) if entry.package in own or not exactly}
    same = {entry for entry in named if entry.package in own and own[entry.package].sha256 == entry.sha256}
    others = {entry for entry in named if entry.package not in own}
    lost = _lost(github, releases, same | others)
    if lost - same:
        raise GitHubRefused("github_lost", packages=", ".join(sorted(entry.package for entry in lost - same)))
    carried = tuple(sorted((same | others) - lost))
    there = {entry.package for entry in carried}
    uploads = tuple(file for name, file in own.items() if name not in there)
    if len(uploads) >= MOST_FILES:
        raise GitHubRefused(action="upload", detail=f"more than {MOST_FILES} files in one release")
    tag, ready = _tag(carried, uploads), None
    while ready is None and (same_tag := [one for one in releases if one.tag == tag and not one.draft]):
        if _whole(github, releases, same_tag[0]):
            ready = same_tag[0]
        else:
            tag += "a"  # what it published is damaged: the same packages once more
    return Plan(tag, before, ready, carried, uploads)


def publish(github: GitHub, files: Sequence[PackageFile], watch: Watch, exactly: bool = False) -> Published:
    """Bring these packages and an index with them to where everybody finds them.

    Raises `GitHubRefused`; what has been uploaded by then stays in the draft, and the next call goes on with it.
    """
    draft: Release | None = None
    for _ in range(_OVERTAKEN_TRIES):
        chosen = plan(github, files, exactly)
        if chosen.nothing and chosen.before:
            return Published(chosen, chosen.before)
        release = chosen.ready
        if release is None:
            release = draft = _draft(github, chosen.tag, draft)
            _fill(github, draft, chosen, watch)
        now = github.patiently("releases/latest", github.latest)
        if (now and now.id) != (chosen.before and chosen.before.id):
            continue  # somebody else published meanwhile: their packages must be named too
        release = github.patiently("publish", partial(github.make_latest, release))
        return Published(chosen, release)
    raise GitHubRefused("github_overtaken")


def _named_by(github: GitHub, release: Release | None) -> tuple[Entry, ...]:
    if release is None:
        return ()
    assets = github.patiently("assets", partial(github.assets, release))
    found = next((asset for asset in assets if asset.name == index.INDEX), None)
    if found is None:
        return ()  # a release of something else; it is not ours to read
    return index.parse(github.patiently("index", partial(github.download, found)), index.INDEX)


def _whole(github: GitHub, releases: Sequence[Release], release: Release) -> bool:
    """Whether a release has an index, and all that it names is there."""
    entries = _named_by(github, release)
    return bool(entries) and not _lost(github, releases, entries)


def _lost(github: GitHub, releases: Sequence[Release], entries: Iterable[Entry]) -> set[Entry]:
    """Packages published in this repository whose files are not there any more, or are others."""
    if not releases:
        return set()
    base = f"{releases[0].repository_url}/releases/download/"
    by_tag = {release.tag: release for release in releases if not release.draft}
    lost = set()
    for entry in entries:
        if entry.url.startswith(base):
            tag = entry.url.removeprefix(base).rpartition("/")[0]
            if tag not in by_tag or not _has(github, by_tag[tag], base + tag, entry):
                lost.add(entry)
    return lost


def _has(github: GitHub, release: Release, base: str, entry: Entry) -> bool:
    def among(assets: Iterable[Asset]) -> bool:
        return any(
            asset.whole and asset.sha256 in ("", entry.sha256) and index.address(base, asset.name) == entry.url
            for asset in assets
        )

    # Many of them may be cut short in the list of releases.
    return among(release.assets) or among(github.patiently("assets", partial(github.assets, release)))


def _draft(github: GitHub, tag: str, own: Release | None) -> Release:
    """The draft of this tag: one that an earlier call left, else the one this call began with, else a new one."""

    def once() -> Release:
        same = [release for release in github.releases() if release.tag == tag and release.draft]
        if same:
            return min(same, key=lambda release: release.id)
        return github.rename_draft(own, tag) if own else github.create_draft(tag, ABOUT)

    return github.patiently("create a release", once)


def _fill(github: GitHub, draft: Release, chosen: Plan, watch: Watch) -> None:
    """Upload into a draft what is not there yet, the index last."""
    base = f"{draft.repository_url}/releases/download/{chosen.tag}"
    entries = list(chosen.carried)
    for file in chosen.uploads:
        entry = Entry(file.language, file.version, file.sha256, index.address(base, _name(file)))
        watch.begins(entry)
        try:
            _settle(github, draft, _name(file), _Upload(file, partial(watch.arrived, entry)))
        finally:
            watch.ended(entry)
        entries.append(entry)
    content = index.text(entries).encode()
    _settle(github, draft, index.INDEX, _Upload(content))


class _Upload:
    """What is to be uploaded; opened anew for each try."""

    def __init__(self, content: PackageFile | bytes, arrived: Callable[[int, int], None] = lambda *_: None) -> None:
        self._content, self._arrived = content, arrived
        if isinstance(content, bytes):
            self.sha256, self.size_bytes = hashlib.sha256(content).hexdigest(), len(content)
        else:
            self.sha256, self.size_bytes = content.sha256, content.size_bytes

    def open(self) -> BinaryIO:
        if isinstance(self._content, bytes):
            return io.BytesIO(self._content)
        return cast(BinaryIO, _Told(self._content.path, lambda done: self._arrived(done, self.size_bytes)))

    def matches(self, asset: Asset) -> bool:
        return asset.whole and asset.size_bytes == self.size_bytes and asset.sha256 in ("", self.sha256)


class _Told(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path, read_to: Callable[[int], None]) -> None:
        super().__init__(path)
        self._read_to = read_to

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size if size is not None else -1) or b""
        self._read_to(self.tell())
        return block


def _settle(github: GitHub, draft: Release, name: str, wanted: _Upload) -> None:
    """See to it that the draft has this file under this name."""

    def once() -> None:
        for asset in github.assets(draft):
            if asset.name == name:
                # Without a checksum from GitHub, only what this very call uploaded is known to be right.
                if wanted.matches(asset) and (asset.sha256 or asset.id in uploaded):
                    return
                github.delete(asset)
        with wanted.open() as content:
            asset = github.upload(draft, name, content, wanted.size_bytes)
        if asset.name != name or not wanted.matches(asset):
            raise Failed(f"{name} arrived as {asset.name}, {asset.size_bytes} bytes", again=True)
        uploaded.add(asset.id)

    uploaded: set[int] = set()
    github.patiently(f"upload {name}", once)


def _name(file: PackageFile) -> str:
    """The package's file name, or one like it where GitHub would not keep that."""
    name = file.path.name
    if not _NOT_KEPT.search(name):
        return name
    plain = _NOT_KEPT.sub("_", name.removesuffix(index.SUFFIX))
    return f"{plain}-{file.sha256[:8]}{index.SUFFIX}"


def _tag(*packages: Iterable[Entry | PackageFile]) -> str:
    """Named by what its index will name: the same packages have the same tag."""
    all_of_it = sorted((one.language, one.version, one.sha256) for one in chain(*packages))
    content = "".join(f"{language},{version},{checksum}\n" for language, version, checksum in all_of_it)
    return f"packages-{hashlib.sha256(content.encode()).hexdigest()[:_TAG_CHARS]}"
