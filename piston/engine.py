"""Packages on a running Piston.

    GET /api/v2/runtimes     what is installed; always safe to ask
    .../packages             Piston fetches its index for each of these, and crashes where that fails: every running job is
                             lost. So the index is read here first, and Piston is not asked where it cannot be used.

The index must be the one that Piston uses. It may still vanish between our look and Piston's; that cannot be excluded.
"""

import json
from dataclasses import dataclass
from typing import Any

import requests

from piston import index
from piston.errors import IndexBroken, IndexDown, PackageUnknown, PistonRefused, Unreachable
from piston.index import Entry
from piston.transfer import CONNECT_TIMEOUT_S, Patience, fetch_text, reason, shown

_ANSWER_TIMEOUT_S = 30.0
_INSTALL_TIMEOUT_S = 3600.0  # Piston answers when it has fetched and unpacked all of a package
_DETAIL_CHARS = 300
_DONE_BEFORE = "Already installed"
_NOT_THERE = "is not installed"


@dataclass(frozen=True, order=True)
class Listed:
    """A package that Piston's index names, or that is installed."""

    language: str
    version: str
    installed: bool

    @property
    def package(self) -> str:
        return f"{self.language}={self.version}"


@dataclass(frozen=True)
class Done:
    """What became of a package; `changed` is False where it was so before."""

    package: str
    changed: bool


class Engine:
    """One running Piston and the index it uses."""

    def __init__(self, address: str, index_url: str, patience: Patience | None = None) -> None:
        self._address = address.rstrip("/")
        self._index_url = index_url
        self._patience = patience or Patience(tries=2)

    def installed(self) -> tuple[Listed, ...]:
        """What is installed, without a question for the index."""
        runtimes = self._ask("GET", "runtimes", None, _ANSWER_TIMEOUT_S)
        # A package of several languages is named by `runtime`.
        found = {(item.get("runtime") or item["language"], item["version"]) for item in runtimes}
        return tuple(sorted(Listed(language, version, True) for language, version in found))

    def packages(self) -> tuple[Listed, ...]:
        """All that the index names, installed or not."""
        self.look_at_index()
        listed = self._ask("GET", "packages", None, _ANSWER_TIMEOUT_S)
        return tuple(sorted(Listed(item["language"], item["language_version"], item["installed"]) for item in listed))

    def install(self, wanted: str) -> Done:
        """Install NAME=VERSION, or the newest of NAME."""
        language, version = self.named(wanted)
        return self._change("POST", language, version or "*", _DONE_BEFORE)

    def uninstall(self, wanted: str) -> Done:
        """Remove NAME=VERSION, or the one version of NAME that is installed."""
        language, version = self.named(wanted)
        return self._change("DELETE", language, version or self._only_version(language), _NOT_THERE)

    def look_at_index(self) -> tuple[Entry, ...]:
        """What the index names; raises `IndexDown` where Piston could not use it."""
        where = shown(self._index_url)
        try:
            return index.parse(fetch_text(self._index_url, self._patience), where)
        except Unreachable as error:
            raise IndexDown(detail=error.values["detail"], address=where) from error
        except IndexBroken as error:
            raise IndexDown(detail=f"line {error.values['line']}: {error.values['content']}", address=where) from error

    def named(self, wanted: str) -> tuple[str, str]:
        """Language and version of what is wanted; raises `PackageUnknown` where the index does not name it."""
        language, _, version = wanted.partition("=")
        entries = self.look_at_index()
        if not any(entry.language == language and version in ("", entry.version) for entry in entries):
            known = ", ".join(entry.package for entry in entries)
            raise PackageUnknown("package_not_in_index", package=wanted, known=known or "-")
        return language, version

    def _only_version(self, language: str) -> str:
        """Piston itself would take the newest that its index names, installed or not."""
        versions = [listed.version for listed in self.installed() if listed.language == language]
        if len(versions) > 1:
            known = ", ".join(f"{language}={version}" for version in versions)
            raise PistonRefused(package=language, detail=f"several are installed: {known}")
        return versions[0] if versions else "*"

    def _change(self, method: str, language: str, version: str, done_before: str) -> Done:
        try:
            said = self._ask(method, "packages", {"language": language, "version": version}, _INSTALL_TIMEOUT_S)
        except PistonRefused as error:
            if done_before not in str(error.values["detail"]):
                raise
            return Done(f"{language}={version}", changed=False)
        return Done(f"{said['language']}={said['version']}", changed=True)

    def _ask(self, method: str, path: str, content: dict[str, str] | None, timeout_s: float) -> Any:  # noqa: ANN401  # what Piston says
        try:
            with requests.Session() as session:
                session.trust_env = False  # Piston is near: no proxy leads there
                address = f"{self._address}/api/v2/{path}"
                reply = session.request(method, address, json=content, timeout=(CONNECT_TIMEOUT_S, timeout_s))
        except requests.RequestException as error:
            raise PistonRefused("piston_gone", address=shown(self._address), detail=reason(error)) from error
        package = f"{content['language']}={content['version']}" if content else path
        try:
            said = reply.json()
        except ValueError:
            said = None
        if reply.status_code != 200 or said is None:
            raise PistonRefused(package=package, detail=_message(reply, said))
        return said


def _message(reply: requests.Response, said: object) -> str:
    """Piston's errors have several shapes: {"message"}, {"stack"}, {}, an empty body."""
    told = said if isinstance(said, dict) else {}
    return str(told.get("message") or told.get("stack") or json.dumps(said) + f" HTTP {reply.status_code}")[
        :_DETAIL_CHARS
    ]
