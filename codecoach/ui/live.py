"""Things on a page that change by themselves, followed inside the script run.

Asking for a rerun on a timer (`st.fragment(run_every=...)`) starves when fifty people do it; one loop per page does not.
The loop ends when nothing changes any more, or when Streamlit ends the script run because the user did something; the work
itself goes on either way, and the next script run attaches to it again.
"""

from typing import Final, Protocol

import streamlit as st

from codecoach.ui import session

# The longest wait before Streamlit gets its chance to end the script run.
TICK_S: Final = 0.2


class Live(Protocol):
    """Something drawn that changes by itself."""

    def wait(self, timeout_s: float) -> None:
        """Return when there may be something new, at the latest after `timeout_s`; at most 20 times a second."""
        ...

    def refresh(self) -> bool:
        """Draw what is new. False once nothing will change any more; it is not asked again."""
        ...


class Following:
    """What this script run follows."""

    def __init__(self) -> None:
        self._parts: list[Live] = []

    def add(self, part: Live) -> None:
        """Follow a part; may be called while following."""
        self._parts.append(part)

    def until_done(self) -> bool:
        """Draw until nothing changes any more; False where there was nothing to follow."""
        followed = bool(self._parts)
        while self._parts:
            current, self._parts = self._parts, []
            self._parts = [part for part in current if part.refresh()] + self._parts
            if self._parts:
                # Only access to Streamlit lets it end the script run: without it a Stop could wait for the model.
                st.session_state.get("live")
                if not session.still_signed_in():  # from memory, but for a look at the store each second
                    st.rerun()
                self._parts[0].wait(TICK_S)
        return followed
