"""The Home page: what this is, where to begin, whether everything works."""

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach.settings import Backend
from codecoach.ui import notices, page, parts
from codecoach.ui.live import TICK_S
from codecoach.ui.session import services, t

# How many times it waits for checks that are under way; they are seen at the next look then.
_TICKS: Final = 10


def draw() -> None:
    """Draw the page."""
    page.open_page("nav.home")
    st.title(t("home.title"))
    st.markdown(t("home.what"))
    with st.container(horizontal=True):
        if st.button(t("home.get_started"), type="primary", icon=":material/forum:"):
            st.switch_page("pages/1_Chat.py")
        if st.button(t("home.open_editor"), icon=":material/code:"):
            st.switch_page("pages/2_Editor.py")
    st.subheader(t("home.state"))
    place = st.container()
    embedded = services().settings.backend is Backend.EMBEDDED
    st.caption(t("home.embedded") if embedded else t("home.in_aws", region=services().settings.region))
    with place:  # last, because it may wait
        draw_parts()


@st.fragment(run_every=5)
def draw_parts() -> None:
    """Draw the state of model, store and runner; renews itself.

    What is known is drawn at once, and what the checks find that this started as soon as they end: else each look would
    show what the look before it had asked for.
    """
    page.check_gate()
    with notices.guard():
        known, place = parts.of(services()), st.empty()
        states = known.snapshot()
        _draw_all(place, states)
        for _ in range(_TICKS):
            if known.settled(TICK_S):
                break
            st.session_state.get("live")  # here Streamlit can end the script run
        if known.snapshot() != states:
            _draw_all(place, known.snapshot())


def _draw_all(place: DeltaGenerator, states: tuple[parts.PartState, ...]) -> None:
    with place.container():
        for state in states:
            draw_part(state)


def draw_part(state: parts.PartState) -> None:
    """Draw one part: its name, in words and colour whether it works, and what it is or what is wrong."""
    badges = {
        "ok": (t("home.works"), ":material/check_circle:", "green"),
        "down": (t("home.does_not_work"), ":material/error:", "red"),
        "loading": (t("home.loading"), ":material/hourglass_top:", "blue"),
        "checking": (t("home.checking"), ":material/hourglass_empty:", "gray"),
    }
    names = {"model": t("home.model"), "store": t("home.store"), "runner": t("home.runner")}
    label, icon, colour = badges[state.word]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{names[state.name]}**", width="content")
            st.badge(label, icon=icon, color=colour)  # type: ignore[arg-type]
        if state.problem:
            st.caption("  \n".join(notices.told(said) for said in (state.problem, state.hint) if said))
        elif state.version:
            version = notices.plain(state.version)
            st.caption(t("home.more_models", model=version, count=state.more) if state.more else version)
