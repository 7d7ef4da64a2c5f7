"""What is told once, in the script run after it was done: a sentence, and secrets that nobody can read again."""

from typing import Final

import streamlit as st

from codecoach.i18n import Notice
from codecoach.ui import notices
from codecoach.ui.markup import unlinked
from codecoach.ui.session import t

_TOLD: Final = "told-once"


def tell_next(sentence: Notice, **secrets: str) -> None:
    """Have a sentence told; `secrets` by the key of what each is called, under `accounts`."""
    st.session_state[_TOLD] = (sentence, secrets)


def draw() -> None:
    """Tell what is to be told, and forget it."""
    sentence, secrets = st.session_state.pop(_TOLD, (None, {}))
    if sentence is None:
        return
    st.success(unlinked(notices.told(sentence)), icon=":material/check:")
    for name, secret in secrets.items():
        if len(secrets) > 1:  # of one alone the sentence says what it is
            st.caption(t(f"accounts.{name}"))
        st.code(secret, language=None, wrap_lines=True)
    if secrets:
        st.caption(t("accounts.told_once"))
