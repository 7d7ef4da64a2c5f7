"""GitHub's releases, as far as publishing packages needs them.

Each method is one request and one try; `patiently` repeats an action as GitHub asks for it. Actions that change something
look first whether an earlier try did it: an answer may be lost on the way.
Source: docs.github.com, REST API: releases, release assets, rate limits, best practices.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import requests

from piston.errors import GitHubRefused
from piston.transfer import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Failed, Patience, reason, retry_after_s

API = "https://api.github.com"
MOST_BYTES = 2**31 - 1
"""Of one file; GitHub takes files of less than 2 GiB."""
MOST_FILES = 1000
"""Of one release."""

_PER_PAGE = 100
_UPLOAD_TIMEOUT_S = 600.0  # GitHub answers when it has stored all of it
_DETAIL_CHARS = 300
# What GitHub asks to wait at least after a secondary limit that names no time.
_SECONDARY_WAIT_S = 60.0
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Asset:
    """A file of a release; `sha256` is "" where GitHub does not tell it."""

    id: int
    name: str
    size_bytes: int
    whole: bool
    sha256: str
    url: str


@dataclass(frozen=True)
class Release:
    """A release; nobody but the repository's owners sees a draft."""

    id: int
    tag: str
    draft: bool
    upload_url: str
    web_url: str
    assets: tuple[Asset, ...]

    @property
    def repository_url(self) -> str:
        return self.web_url.partition("/releases/")[0]


class GitHub:
    """One repository's releases.

    pace_s  pause before each request that changes something, as GitHub asks for

    The token goes to this API and to the upload address that it names, and into no message.
    """

    def __init__(self, repository: str, token: str, patience: Patience, api: str = API, pace_s: float = 1) -> None:
        if not _REPOSITORY.fullmatch(repository):
            raise GitHubRefused(action=repository, detail="a repository is named OWNER/NAME")
        _check_address(api)
        self._releases = f"{api.rstrip('/')}/repos/{repository}/releases"
        self._token = token
        self._patience = patience
        self._pace_s = pace_s
        self.repository = repository

    def patiently(self, action: str, once: Callable[[], Result]) -> Result:
        """The result of an action, tried again where that may help; raises `GitHubRefused` where it does not."""
        failed = 0
        while True:
            try:
                return once()
            except Failed as failure:
                failed += 1
                asked_s = failure.asked_s
                if failure.again and asked_s is not None and asked_s > self._patience.most_wait_s:
                    raise GitHubRefused("github_waits", seconds=round(asked_s)) from failure
                if not failure.again or not self._patience.wait(failed, asked_s):
                    raise GitHubRefused(action=action, detail=failure.detail) from failure

    def releases(self) -> list[Release]:
        """All of them, drafts too."""
        return [_release(item) for item in self._pages(f"{self._releases}?per_page={_PER_PAGE}")]

    def latest(self) -> Release | None:
        """The one that the address `releases/latest` leads to."""
        try:
            return _release(_json(self._ask("GET", f"{self._releases}/latest")))
        except _Missing:
            return None

    def assets(self, release: Release) -> list[Asset]:
        return [_asset(item) for item in self._pages(f"{self._releases}/{release.id}/assets?per_page={_PER_PAGE}")]

    def create_draft(self, tag: str, about: str) -> Release:
        content = {"tag_name": tag, "name": tag, "body": about, "draft": True}
        return _release(_json(self._ask("POST", self._releases, json=content)))

    def rename_draft(self, release: Release, tag: str) -> Release:
        content = {"tag_name": tag, "name": tag}
        return _release(_json(self._ask("PATCH", f"{self._releases}/{release.id}", json=content)))

    def make_latest(self, release: Release) -> Release:
        """Publish a release, or an older one again, as the latest: in this one request everybody's index changes."""
        content = {"draft": False, "make_latest": "true"}
        return _release(_json(self._ask("PATCH", f"{self._releases}/{release.id}", json=content)))

    def delete(self, asset: Asset) -> None:
        try:
            self._ask("DELETE", f"{self._releases}/assets/{asset.id}")
        except _Missing:
            return

    def upload(self, release: Release, name: str, content: "BinaryIO", size_bytes: int) -> Asset:
        """Raises `Failed` for a name that is taken too: look what is there, then try again."""
        address = f"{release.upload_url.partition('{')[0]}?name={quote(name, safe='')}"
        _check_address(address)
        headers = {"Content-Type": "application/octet-stream"}
        # Nothing to stream would be sent in chunks, without the length that GitHub asks for.
        data = content if size_bytes else b""
        return _asset(_json(self._ask("POST", address, data=data, headers=headers, timeout_s=_UPLOAD_TIMEOUT_S)))

    def download(self, asset: Asset) -> str:
        """A small file's text, a draft's too."""
        return self._ask("GET", asset.url, headers={"Accept": "application/octet-stream"}).text

    def _pages(self, address: str) -> Iterator[dict[str, Any]]:
        while address:
            reply = self._ask("GET", address)
            yield from _json(reply)
            address = reply.links.get("next", {}).get("url", "")

    def _ask(
        self,
        method: str,
        address: str,
        json: Mapping[str, object] | None = None,
        data: "BinaryIO | bytes | None" = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = READ_TIMEOUT_S,
    ) -> requests.Response:
        _check_address(address)
        if method != "GET":
            self._patience.sleep(self._pace_s)
        plain = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        try:
            reply = requests.request(
                method,
                address,
                json=json,
                data=data,
                headers=plain | dict(headers or {}),
                auth=self._sign,
                timeout=(CONNECT_TIMEOUT_S, timeout_s),
            )
        except requests.RequestException as error:
            raise Failed(self._discreet(reason(error)), again=True) from None
        if reply.status_code >= 400:
            raise self._failure(reply)
        return reply

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, no .netrc entry takes its place; requests drops it where a redirect leaves the host.
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _failure(self, reply: requests.Response) -> Failed:
        detail = self._discreet(f"HTTP {reply.status_code} {_said(reply)}".strip())
        limited = _limited(reply, detail)
        taken = reply.status_code == 422 and "already_exists" in detail
        again = limited or taken or reply.status_code >= 500
        kind = _Missing if reply.status_code == 404 else Failed
        return kind(detail, again, asked_wait_s(reply) if limited else None)

    def _discreet(self, detail: str) -> str:
        return detail.replace(self._token, "***")[:_DETAIL_CHARS]


class _Missing(Failed):
    """There is nothing at this address."""


def _check_address(address: str) -> None:
    """A token goes nowhere in the open, but to this machine itself."""
    parts = urlsplit(address)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise GitHubRefused(action=f"{parts.scheme}://{parts.hostname}", detail="only https keeps the token secret")


def _said(reply: requests.Response) -> str:
    """GitHub's own words: {"message": "...", "errors": [{"field": "name", "code": "already_exists"}]}"""
    try:
        content = reply.json()
        faults = [
            f"{one.get('field', '')} {one.get('code', '')} {one.get('message', '')}"
            for one in content.get("errors", [])
        ]
        return " ".join([str(content.get("message", "")), *faults])
    except (ValueError, AttributeError, TypeError):
        return ""


def _limited(reply: requests.Response, detail: str) -> bool:
    """Whether a limit of requests was met: 403 means that too, but mostly a missing permission."""
    return reply.status_code == 429 or (
        reply.status_code == 403
        and (
            "Retry-After" in reply.headers
            or reply.headers.get("X-RateLimit-Remaining") == "0"
            or "rate limit" in detail.lower()
        )
    )


def asked_wait_s(reply: requests.Response) -> float:
    """Seconds to wait after a limit was met."""
    asked_s = retry_after_s(reply)
    if asked_s is not None:
        return asked_s
    reset = reply.headers.get("X-RateLimit-Reset", "")
    if reply.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        return max(0.0, int(reset) - time.time()) + 1
    return _SECONDARY_WAIT_S


def _json(reply: requests.Response) -> Any:  # noqa: ANN401  # what GitHub says
    try:
        return reply.json()
    except ValueError as error:
        raise Failed(f"an answer that is no JSON: {reply.text[:_DETAIL_CHARS]}", again=True) from error


def _release(content: dict[str, Any]) -> Release:
    with _as_documented(content):
        return Release(
            content["id"],
            content["tag_name"],
            content["draft"],
            content["upload_url"],
            content["html_url"],
            tuple(_asset(item) for item in content.get("assets", [])),
        )


def _asset(content: dict[str, Any]) -> Asset:
    with _as_documented(content):
        checksum = (content.get("digest") or "").removeprefix("sha256:")
        whole = content["state"] == "uploaded"
        return Asset(content["id"], content["name"], content["size"], whole, checksum, content["url"])


@contextmanager
def _as_documented(content: object) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise Failed(f"an answer in another form: {json.dumps(content)[:_DETAIL_CHARS]}", again=False) from error
