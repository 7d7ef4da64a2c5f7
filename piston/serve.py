"""Serving a folder of packages on this machine: an address for PISTON_REPO_URL.

    GET /index         the packages in the folder, at the address by which it was asked
    GET /<file name>   one of them, in parts too

The index is made anew at each question, so that a package just built is there at once; half-written ones never are.
"""

import asyncio
import socket
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from piston import index


def application(folder: Path) -> Starlette:
    """What serves a folder."""
    checksums: dict[Path, tuple[tuple[int, int], str]] = {}

    async def send_index(request: Request) -> Response:
        files = await asyncio.to_thread(_scan, folder, checksums)
        base_url = str(request.base_url)
        return PlainTextResponse(index.text(file.entry(base_url) for file in files))

    async def send_file(request: Request) -> Response:
        path = folder / request.path_params["name"]
        # A name of one part cannot leave the folder; hidden ones are not whole.
        if path.name.startswith(".") or not path.name.endswith(index.SUFFIX) or not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, media_type="application/gzip")

    return Starlette(routes=[Route("/index", send_index), Route("/{name}", send_file)])


def _scan(folder: Path, known: "dict[Path, tuple[tuple[int, int], str]]") -> tuple[index.PackageFile, ...]:
    """The folder's packages; a file is read again only when it has changed."""
    for path in folder.glob(f"*{index.SUFFIX}"):
        state = path.stat()
        mark = (state.st_size, state.st_mtime_ns)
        if known.get(path, (None,))[0] != mark:
            known[path] = (mark, index.sha256(path))
    return index.scan(folder, {path: found for path, (_, found) in known.items()})


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; raises OSError where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
