"""The pages that stand open in this process, so that those whose sign-in is ended elsewhere are thrown out.

A page that nobody touches runs no script and would go on showing what it showed. One task of the process looks at the
revocations, which costs the one read a second that it is allowed anyway, and draws anew the pages that they concern; each
page's own gate does the rest. A sign-in that merely runs out throws nobody out: whoever is in the midst of typing then would
lose it, and the next thing he does meets the gate.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

log = logging.getLogger(__name__)

# The version it asks for is itself a second old at most.
LOOK_EVERY_S: Final = 0.25

# Streamlit's id of a browser tab's session -> the secret of the sign-in it shows. Held by the module, as everything that must not
# be cleared by any visitor.
_open: dict[str, str] = {}


def note(sid: str) -> None:
    """The page that runs now shows this sign-in."""
    if context := get_script_run_ctx(suppress_warning=True):
        _open[context.session_id] = sid


def forget() -> None:
    """The page that runs now shows nobody's any more."""
    if context := get_script_run_ctx(suppress_warning=True):
        _open.pop(context.session_id, None)


async def throw_out(version: Callable[[], int], holds: Callable[[str], bool]) -> None:
    """Draw anew, for as long as this runs, every open page whose sign-in is ended.

    version  of the revocations, which rises when any is; holds: whether the sign-in with this secret does. Both ask the store.
    """
    seen = -1
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            latest = await asyncio.to_thread(version)
            if latest == seen:
                continue
            ended = await asyncio.to_thread(_ended, holds)
        except Exception as error:  # the store's, mostly: the next look may go well, and the gates stand meanwhile
            log.debug("revocations not looked at: %s", error)
            continue
        seen = latest
        for page in ended:
            _draw_anew(page)


def _ended(holds: Callable[[str], bool]) -> list[str]:
    for page in list(_open):
        if runtime.get_instance().get_app_session(page) is None:
            _open.pop(page, None)  # the tab was closed
    return [page for page, sid in list(_open.items()) if not holds(sid)]


def _draw_anew(page: str) -> None:
    """As Streamlit itself does when a source file has changed; in the event loop."""
    _open.pop(page, None)
    session = runtime.get_instance().get_app_session(page)
    if session:
        session.request_rerun(session._client_state)
