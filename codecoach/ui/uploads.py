"""Uploads, under names that do no harm, and from whom we take them.

They are for who is signed in: Streamlit keeps in memory what anybody sends who has its page open, the sign-in form too.
"""

import re
import threading
from collections import OrderedDict
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.scriptrunner import get_script_run_ctx

_UPLOAD: Final = re.compile(r"/_stcore/upload_file/([^/]+)/")
_UNUSUAL: Final = re.compile(r"[^\w.-]+", re.ASCII)
NAME_CHARS: Final = 100
# Sessions that are remembered; who has not been seen for so many others must have the page drawn anew.
REMEMBERED: Final = 10_000

_signed_in: OrderedDict[str, None] = OrderedDict()
_noting: Final = threading.Lock()


def note(signed_in: bool) -> None:
    """Note whether somebody is signed in in this browser session."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return
    with _noting:
        _signed_in.pop(context.session_id, None)
        if signed_in:
            _signed_in[context.session_id] = None
        while len(_signed_in) > REMEMBERED:
            _signed_in.popitem(last=False)


def safe_name(name: str) -> str:
    """The name under which an uploaded file is handed to a program: no folder, no other characters than `\\w.-`, none too long."""
    plain = _UNUSUAL.sub("_", re.split(r"[/\\]", name)[-1])[-NAME_CHARS:]
    return plain if plain.strip("._-") else f"file{plain.replace('.', '_')}"


class UploadsOfSignedIn:
    """ASGI middleware that refuses uploads into browser sessions in which nobody is signed in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = _UPLOAD.search(scope["path"]) if scope["type"] == "http" and scope["method"] != "OPTIONS" else None
        if wanted and wanted[1] not in _signed_in:
            await PlainTextResponse("Nobody is signed in here.\n", 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)
