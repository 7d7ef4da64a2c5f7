"""The only place that shows errors: what happened, what to do, and a reference that is also in the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from codecoach.errors import CodeCoachError, InputRefused, StoreUnavailable
from codecoach.i18n import Notice
from codecoach.ui.markup import plain as plain
from codecoach.ui.session import t

log = logging.getLogger(__name__)

_TOLD = "notices:store_away"


def told(notice: Notice) -> str:
    """The sentence of a notice, in this session's language, its values escaped."""
    return t(notice.key, **{name: plain(value) for name, value in notice.values.items()})


def begin() -> None:
    """Begin a page, or an action of a dialog: what is said once in each may be said again."""
    st.session_state.pop(_TOLD, None)


def show(error: Exception) -> None:
    """Show an error and log it with its traceback. That the store is away, which every part of a page finds, is said once."""
    known = record(error)
    if isinstance(known, StoreUnavailable):
        if st.session_state.get(_TOLD):
            return
        st.session_state[_TOLD] = True
    show_failure(known.what, known.hint, "" if isinstance(known, InputRefused) else known.reference)


def record(error: Exception) -> CodeCoachError:
    """Log an error with its traceback, and return what may be shown of it: itself, or an internal error."""
    known = error if isinstance(error, CodeCoachError) else CodeCoachError()
    log.error("shown to a user as %s", known, exc_info=error)
    return known


def show_failure(what: Notice, hint: Notice, reference: str) -> None:
    """Show a failure that was logged where it happened, for example one that a message carries.

    reference  empty where there is nothing to look up: what was typed was refused
    """
    lines = [f"**{told(what)}**", told(hint)]
    if reference:
        lines.append(f":small[:gray[{t('nav.reference', reference=reference)}]]")
    st.error("  \n".join(lines), icon=":material/error:")


@contextmanager
def guard() -> Iterator[None]:
    """Show what goes wrong inside the block, then let the page go on drawing what still works."""
    try:
        yield
    except Exception as error:  # Streamlit's own control flow (stop, rerun) is no Exception and passes
        show(error)
