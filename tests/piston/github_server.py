"""GitHub's releases as documented, on loopback: enough of the API to publish to, and the pages that readers download from.

    /api/repos/o/r/releases...   needs the token         /upload/...   the address that `upload_url` names
    /o/r/releases/...            what anybody may fetch  /blobs/...    where downloads are redirected to

It keeps GitHub's rules: two files of a release never have one name, two published releases never one tag, drafts are seen
with the token only, a draft's page is `untagged-...`. Source: docs.github.com, REST API, releases and release assets.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import ClassVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from piston import index
from tests.piston.servers import serving

TOKEN = "ghp_verysecret"
REPOSITORY = "o/r"


@dataclass
class State:
    """The repository, what was asked, and what goes wrong.

    faults       number of a request that changes something -> what happens to it, from 0
    per_page     most items that a page holds; less than is asked for, so that there are several
    digests      whether assets tell their SHA-256
    after        called after each request, the lock held
    broken       rules that were broken; at the end there must be none
    """

    releases: list[dict] = field(default_factory=list)
    latest: int | None = None
    blobs: dict[int, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    changes: int = 0
    faults: dict[int, str] = field(default_factory=dict)
    per_page: int = 2
    digests: bool = True
    after: Callable[[], None] = lambda: None
    before_change: Callable[[str], None] = lambda _: None
    broken: list[AssertionError] = field(default_factory=list)
    address: str = ""
    serial: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def next_id(self) -> int:
        self.serial += 1
        return self.serial

    def published(self) -> list[dict]:
        return [release for release in self.releases if not release["draft"]]

    def read(self) -> dict[str, str]:
        """What a reader finds now: the latest index and every package that it names, by package; checks all of it."""
        if self.latest is None:
            return {}
        latest = next(release for release in self.releases if release["id"] == self.latest)
        assert not latest["draft"]
        content = self._content(latest["tag_name"], "index")
        assert content is not None, "there is no index"
        found = {}
        for entry in index.parse(content.decode(), "reader"):
            path = urlsplit(entry.url).path.removeprefix(f"/{REPOSITORY}/releases/download/")
            package = self._content(*[unquote(part) for part in path.split("/")])
            assert package is not None, f"{entry.url} is not there"
            assert hashlib.sha256(package).hexdigest() == entry.sha256, f"{entry.url} is another"
            found[entry.package] = entry.sha256
        return found

    def _content(self, tag: str, name: str) -> bytes | None:
        for release in self.published():
            for asset in release["assets"]:
                if (release["tag_name"], asset["name"], asset["state"]) == (tag, name, "uploaded"):
                    return self.blobs[asset["id"]]
        return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: ClassVar[State]

    def do_GET(self) -> None:
        self._answer(None)

    def do_DELETE(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PATCH(self) -> None:
        self.do_POST()

    def _answer(self, body: bytes | None) -> None:
        if self.command != "GET":
            self.state.before_change(f"{self.command} {self.path}")
        try:
            self._answer_at_once(body)
        except AssertionError as broken:
            # In this thread it would fail no test.
            self.state.broken.append(broken)
            self.close_connection = True

    def _answer_at_once(self, body: bytes | None) -> None:
        with self.state.lock:
            self.state.asked.append(f"{self.command} {self.path}")
            fault = None
            if self.command != "GET":
                fault = self.state.faults.get(self.state.changes)
                self.state.changes += 1
            if fault == "cut before":
                self.close_connection = True
                return
            if fault == "500 before":
                return self._send(500, {"message": "Server Error"})
            if fault == "limit":
                return self._send(429, {"message": "Too many requests"}, {"Retry-After": "3"})
            if fault == "secondary limit":
                return self._send(403, {"message": "You have exceeded a secondary rate limit."})
            status, content, headers = self._done(body)
            if fault == "half" and self.command == "POST" and self.path.startswith("/upload"):
                # An upload that failed at GitHub's side leaves an empty file of state `starter`.
                self._spoil()
                status, content, headers = 502, {"message": "Bad Gateway"}, {}
            self.state.after()
        if fault == "cut after":
            self.close_connection = True
        elif fault == "502 after":
            self._send(502, {"message": "Bad Gateway"})
        else:
            self._send(status, content, headers)

    def _spoil(self) -> None:
        asset = max((one for release in self.state.releases for one in release["assets"]), key=lambda one: one["id"])
        asset.update(state="starter", size=0, digest=None)
        self.state.blobs[asset["id"]] = b""

    def _done(self, body: bytes | None) -> tuple[int, object, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        for method, pattern, needs_token, action in ROUTES:
            found = re.fullmatch(pattern, unquote(parts.path))
            if found and method == self.command:
                if needs_token and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    return 401, {"message": "Bad credentials"}, {}
                return action(self, query, body, *found.groups())
        return 404, {"message": "Not Found"}, {}

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        raw = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None: ...

    # --- the API ---

    def list_releases(self, query, _body):
        seen = sorted(self.state.releases, key=lambda release: -release["id"])
        return self._page(seen, query, f"/api/repos/{REPOSITORY}/releases")

    def get_latest(self, _query, _body):
        for release in self.state.releases:
            if release["id"] == self.state.latest:
                return 200, release, {}
        return 404, {"message": "Not Found"}, {}

    def create_release(self, _query, body):
        wanted = json.loads(body)
        number, web = self.state.next_id(), f"{self.state.address}/{REPOSITORY}/releases"
        assert wanted.pop("draft") is True
        release = {
            "id": number,
            "draft": True,
            "prerelease": False,
            "upload_url": f"{self.state.address}/upload/repos/{REPOSITORY}/releases/{number}/assets{{?name,label}}",
            "html_url": f"{web}/tag/untagged-{number:08x}",
            "assets": [],
            **wanted,
        }
        self.state.releases.append(release)
        return 201, release, {}

    def change_release(self, _query, body, number):
        wanted, release = json.loads(body), self._release(number)
        if release is None:
            return 404, {"message": "Not Found"}, {}
        make_latest = wanted.pop("make_latest", None)
        assert make_latest in (None, "true", "false", "legacy")
        release.update(wanted)
        if not release["draft"]:
            if any(
                other is not release and other["tag_name"] == release["tag_name"] for other in self.state.published()
            ):
                release["draft"] = True
                return self._refused("Release", "tag_name")
            release["html_url"] = f"{self.state.address}/{REPOSITORY}/releases/tag/{release['tag_name']}"
            if make_latest == "true":
                self.state.latest = release["id"]
        return 200, release, {}

    def list_assets(self, query, _body, number):
        release = self._release(number)
        return self._page(release["assets"], query, f"/api/repos/{REPOSITORY}/releases/{number}/assets")

    def upload_asset(self, query, body, number):
        release = self._release(number)
        if any(asset["name"] == query["name"] for asset in release["assets"]):
            return self._refused("ReleaseAsset", "name")
        asset_id = self.state.next_id()
        asset = {
            "id": asset_id,
            "name": re.sub(r"[^A-Za-z0-9._-]", ".", query["name"]),
            "state": "uploaded",
            "size": len(body),
            "digest": f"sha256:{hashlib.sha256(body).hexdigest()}" if self.state.digests else None,
            "url": f"{self.state.address}/api/repos/{REPOSITORY}/releases/assets/{asset_id}",
        }
        release["assets"].append(asset)
        self.state.blobs[asset_id] = body
        return 201, asset, {}

    def get_asset(self, _query, _body, number):
        assert self.headers["Accept"] == "application/octet-stream"
        return 302, None, {"Location": f"{self.state.address.replace('127.0.0.1', 'localhost')}/blobs/{number}"}

    def delete_asset(self, _query, _body, number):
        for release in self.state.releases:
            for asset in release["assets"]:
                if asset["id"] == int(number):
                    release["assets"].remove(asset)
                    return 204, None, {}
        return 404, {"message": "Not Found"}, {}

    # --- what anybody may fetch ---

    def blob(self, _query, _body, number):
        # As the storage behind GitHub does: a request with two kinds of credentials is refused.
        assert "Authorization" not in self.headers
        return 200, self.state.blobs[int(number)], {}

    def latest_download(self, _query, _body, name):
        release = next((one for one in self.state.releases if one["id"] == self.state.latest), None)
        if release is None:
            return 404, b"Not Found", {}
        return 302, None, {"Location": f"/{REPOSITORY}/releases/download/{release['tag_name']}/{quote(name)}"}

    def download(self, _query, _body, tag, name):
        content = self.state._content(tag, name)
        return (404, b"Not Found", {}) if content is None else (200, content, {})

    def _release(self, number):
        return next((release for release in self.state.releases if release["id"] == int(number)), None)

    def _page(self, items, query, path):
        size = min(int(query.get("per_page", 30)), self.state.per_page)
        page = int(query.get("page", 1))
        headers = {}
        if page * size < len(items):
            headers["Link"] = f'<{self.state.address}{path}?per_page={size}&page={page + 1}>; rel="next"'
        return 200, items[(page - 1) * size : page * size], headers

    def _refused(self, resource, name):
        fault = {"resource": resource, "code": "already_exists", "field": name}
        return 422, {"message": "Validation Failed", "errors": [fault]}, {}


API = r"/api/repos/o/r/releases"
WEB = r"/o/r/releases"
ROUTES = (
    ("GET", API, True, Handler.list_releases),
    ("POST", API, True, Handler.create_release),
    ("GET", rf"{API}/latest", True, Handler.get_latest),
    ("PATCH", rf"{API}/(\d+)", True, Handler.change_release),
    ("GET", rf"{API}/(\d+)/assets", True, Handler.list_assets),
    ("POST", r"/upload/repos/o/r/releases/(\d+)/assets", True, Handler.upload_asset),
    ("GET", rf"{API}/assets/(\d+)", True, Handler.get_asset),
    ("DELETE", rf"{API}/assets/(\d+)", True, Handler.delete_asset),
    ("GET", r"/blobs/(\d+)", False, Handler.blob),
    ("GET", rf"{WEB}/latest/download/([^/]+)", False, Handler.latest_download),
    ("GET", rf"{WEB}/download/([^/]+)/([^/]+)", False, Handler.download),
)


@contextmanager
def github_server() -> Iterator[State]:
    state = State()
    with serving(type("Bound", (Handler,), {"state": state})) as state.address:
        yield state
    assert state.broken == []
