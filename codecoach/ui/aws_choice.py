"""Which AWS the programs of this browser session see, and what is said before one of them uses the user's own."""

from typing import Final

import streamlit as st

from codecoach.aws import actions, regions
from codecoach.runner.credentials import AwsAccess, AwsMode
from codecoach.runner.port import File
from codecoach.settings import Backend
from codecoach.ui import notices
from codecoach.ui.acting import attempt
from codecoach.ui.session import seen_account, services, t

_MODE: Final = "runs:aws"
_REGION: Final = "runs:region"


def offered() -> tuple[AwsMode, ...]:
    """The modes that this user may choose from."""
    mine = services().my_aws.allows(seen_account())
    return (AwsMode.SIMULATED, AwsMode.MINE, AwsMode.NONE) if mine else (AwsMode.SIMULATED, AwsMode.NONE)


def mode() -> AwsMode:
    """Which AWS the programs of this browser session see."""
    chosen = st.session_state.get(_MODE)
    return AwsMode(chosen) if chosen in offered() else _usual_mode()


def access() -> AwsAccess:
    """The same for a run, which gets its address or its credentials when it starts."""
    return AwsAccess(mode(), region=_region())


def draw(owner: str) -> None:
    """Draw the choice of AWS and its region, and the way to start over with a simulated one."""
    names = {
        AwsMode.SIMULATED: (t("run_ui.aws_simulated"), t("run_ui.aws_simulated_what")),
        AwsMode.MINE: (t("run_ui.aws_mine"), t("run_ui.aws_mine_what")),
        AwsMode.NONE: (t("run_ui.aws_none"), t("run_ui.aws_none_what")),
    }
    modes, current = list(offered()), mode()
    if st.session_state.get(_MODE) not in modes:  # nothing chosen yet, or not allowed any more
        st.session_state[_MODE] = current
    with st.popover(t("run_ui.aws_label", mode=names[current][0]), icon=":material/cloud:"):
        st.radio(
            t("run_ui.aws_question"),
            modes,
            format_func=lambda one: names[one][0],
            captions=[names[one][1] for one in modes],
            key=_MODE,
            persist_state="session",
        )
        if current is not AwsMode.NONE:
            _draw_region(current)
        if current is not AwsMode.MINE:
            _draw_reset(owner)


def draw_actions(language_id: str, files: tuple[File, ...]) -> None:
    """Draw which AWS actions a program holds, where it would use the user's own AWS."""
    if mode() is AwsMode.MINE and (seen := actions.found(language_id, files)):
        st.caption(f":material/cloud: {t('run_ui.aws_actions', actions=told(seen))}")


def told(seen: tuple[actions.Action, ...]) -> str:
    """Actions in Markdown, those that do harm in colour."""
    names = ((notices.plain(str(action)), action.destructive) for action in seen)
    return ", ".join(f":red[{name}]" if harm else name for name, harm in names)


def _usual_mode() -> AwsMode:
    if services().settings.backend is Backend.EMBEDDED:
        return AwsMode.SIMULATED
    return AwsMode.MINE if AwsMode.MINE in offered() else AwsMode.NONE


def _region() -> str:
    usual = services().settings.region
    chosen = st.session_state.get(_REGION)
    return str(chosen) if chosen in regions.alike(usual) else usual


def _draw_region(current: AwsMode) -> None:
    usual = services().settings.region
    st.session_state.setdefault(_REGION, usual)
    simulated = current is AwsMode.SIMULATED
    st.selectbox(
        t("run_ui.aws_region"),
        regions.alike(usual),
        key=_REGION,
        persist_state="session",
        help=t("run_ui.aws_region_simulated", region=usual) if simulated else None,
    )


def _draw_reset(owner: str) -> None:
    st.button(
        t("run_ui.aws_reset"),
        icon=":material/restart_alt:",
        key="runs:aws_reset",
        help=t("run_ui.aws_reset_what"),
        on_click=attempt,
        args=(_reset, owner),
    )


def _reset(owner: str) -> None:
    services().simulated.reset(owner)
    st.toast(t("run_ui.aws_reset_done"), icon=":material/check:")
