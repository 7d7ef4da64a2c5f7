"""A question before something that cannot simply be taken back.

`ask` is a button's callback; the page draws the question with `draw`. What is then done is done as `acting.attempt` does it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import streamlit as st

from codecoach.i18n import Notice
from codecoach.ui import acting, notices
from codecoach.ui.markup import unlinked
from codecoach.ui.session import t

_ASKED: Final = "confirm:asked"
_TYPED: Final = "confirm-typed"
_MISTYPED: Final = "confirm:mistyped"


@dataclass(frozen=True)
class Question:
    """What is asked, the key of what the button that does it says, and what it does."""

    sentence: Notice
    button: str
    action: Callable[..., object]
    args: tuple[object, ...] = ()
    typed: str = ""
    """What must be typed in to do it, for what can never be taken back; empty: a click is enough."""


def ask(question: Question) -> None:
    """Have the question drawn."""
    st.session_state[_ASKED] = question


def draw() -> None:
    """Draw the question that was asked, where there is one; once on a page."""
    question: Question | None = st.session_state.get(_ASKED)
    if question:
        st.dialog(t(question.button), on_dismiss=_close)(_question)(question)


def _question(question: Question) -> None:
    if _ASKED not in st.session_state:
        st.rerun()  # answered: the page is drawn without the dialog
    st.markdown(unlinked(notices.told(question.sentence)))
    if question.typed:
        _draw_typing(question)
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button(t("accounts.cancel"), key="confirm-no", on_click=_close)
        st.button(t(question.button), key="confirm-yes", type="primary", on_click=_do, args=(question,))


def _draw_typing(question: Question) -> None:
    with st.form("confirm-form", border=False):
        label = t("accounts.type_to_confirm", typed=notices.plain(question.typed))
        st.text_input(unlinked(label), key=_TYPED, autocomplete="off")
        if st.session_state.pop(_MISTYPED, False):
            st.error(t("accounts.mistyped"))
        with st.container(horizontal=True, horizontal_alignment="right"):
            st.form_submit_button(t("accounts.cancel"), key="confirm-no", on_click=_close)
            st.form_submit_button(t(question.button), key="confirm-yes", type="primary", on_click=_do, args=(question,))


def _do(question: Question) -> None:
    if question.typed and str(st.session_state.get(_TYPED, "")).strip() != question.typed:
        st.session_state[_MISTYPED] = True
        return
    _close()
    acting.attempt(question.action, *question.args)


def _close() -> None:
    st.session_state.pop(_ASKED, None)
