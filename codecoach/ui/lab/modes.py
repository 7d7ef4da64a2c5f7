"""What is done in the Prompt Lab: one prompt, several side by side, or a test set."""

from typing import Final, Literal

import streamlit as st

from codecoach.ui.session import t

Mode = Literal["prompt", "compare", "test"]

_MODES: Final[dict[Mode, str]] = {"prompt": "lab.mode_prompt", "compare": "lab.mode_compare", "test": "lab.mode_test"}
_KEY: Final = "lab:mode"


def draw() -> Mode:
    """Draw the choice; returns it."""
    chosen = st.segmented_control(
        t("lab.mode"),
        list(_MODES),
        default="prompt",
        format_func=lambda mode: t(_MODES[mode]),
        required=True,
        key=_KEY,
        label_visibility="collapsed",
        persist_state="session",
    )
    return chosen or "prompt"
