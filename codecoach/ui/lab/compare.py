"""Two to four answers side by side: other models, templates or versions of one, on the same variables."""

from dataclasses import replace
from typing import Final

import streamlit as st

from codecoach.chat.messages import Message, MessageState
from codecoach.errors import CodeCoachError, InputRefused
from codecoach.lab.sheet import Sheet
from codecoach.models import catalogue, payloads
from codecoach.ui import notices
from codecoach.ui.acting import attempt
from codecoach.ui.lab import answer, prompt
from codecoach.ui.lab.sources import BENCH, sources
from codecoach.ui.lab.workbench import Workbench, act
from codecoach.ui.live import Following
from codecoach.ui.session import services, t
from codecoach.ui.shown import bench_answer

_COUNT: Final = "lab:columns"


def draw(bench: Workbench, following: Following) -> None:
    """Draw the variables that all columns share, and the columns."""
    count = st.segmented_control(
        t("lab.columns"), [2, 3, 4], default=2, required=True, key=_COUNT, persist_state="session"
    )
    number = int(count or 2)
    sheets = sources(bench)
    prompt.draw_variables(bench)
    answers = [bench_answer(bench.owner, _place(index)) for index in range(number)]
    _draw_buttons(bench, number, any(_writing(message) for message in answers))
    for index, column in enumerate(st.columns(number, gap="medium")):
        with column, notices.guard():
            sheet = _draw_source(bench, index, sheets)
            _draw_problem(bench, sheet)
            message = answers[index]
            if message is None:
                st.caption(t("lab.no_answer"))
            else:
                answer.draw_answer(bench.owner, _place(index), message, following)


def _place(index: int) -> str:
    return f"column-{index}"


def _writing(message: Message | None) -> bool:
    return message is not None and message.state is MessageState.STREAMING


def _draw_source(bench: Workbench, index: int, sheets: dict[str, tuple[str, Sheet]]) -> Sheet:
    if len(sheets) > 1:
        st.selectbox(
            t("lab.column_prompt", number=index + 1),
            list(sheets),
            format_func=lambda known: sheets[known][0] if known in sheets else known,
            key=f"lab:source.{index}",
            persist_state="session",
        )
    ids = prompt.model_ids(bench.sheet.model_id)
    st.selectbox(
        t("lab.column_model", number=index + 1),
        ids,
        index=_first(bench, ids, index),
        format_func=prompt.model_label,
        key=f"lab:model.{index}",
        persist_state="session",
    )
    return _sheet(bench, index, sheets)


def _first(bench: Workbench, ids: list[str], index: int) -> int:
    """The bench's own model first, beside it others that answer here: not the same by another profile."""
    others: dict[str, str] = {}
    for model_id in (bench.sheet.model_id, *prompt.answering()):
        if model_id in ids:
            others.setdefault(catalogue.base_id(model_id), model_id)
    return ids.index(list(others.values())[index]) if index < len(others) else 0


def _sheet(bench: Workbench, index: int, sheets: dict[str, tuple[str, Sheet]]) -> Sheet:
    """What a column sends: its prompt for its model, in that model's own format where the prompt's does not fit."""
    source = st.session_state.get(f"lab:source.{index}", BENCH)
    sheet = sheets.get(source, sheets[BENCH])[1]
    ids = prompt.model_ids(bench.sheet.model_id)
    model_id = st.session_state.get(f"lab:model.{index}") or ids[_first(bench, ids, index)]
    kept = sheet.format if sheet.format in payloads.formats(model_id) else ""
    return replace(sheet, model_id=model_id, format=kept, values=dict(bench.sheet.values))


def _draw_problem(bench: Workbench, sheet: Sheet) -> None:
    foreign = [name for name in sheet.unfilled if name not in bench.sheet.variables]
    if foreign:
        st.warning(t("lab.unfilled", names=", ".join(notices.plain(name) for name in foreign)))
    try:
        answer.draw_notes(payloads.build(sheet.filled(partly=True)))
    except CodeCoachError as error:
        st.caption(notices.told(error.what))


def _draw_buttons(bench: Workbench, number: int, writing: bool) -> None:
    if writing:
        st.button(
            t("lab.stop_all"),
            key="lab:stop_all",
            icon=":material/stop_circle:",
            shortcut="Esc",
            on_click=attempt,
            args=(_stop_all, bench, number),
        )
        return
    # In a container: a button that took the place of another would leave it, greyed, until the answers are whole.
    with st.container():
        st.button(
            t("lab.submit_all"),
            key="lab:submit_all",
            type="primary",
            icon=":material/send:",
            shortcut="Ctrl+Enter",
            on_click=act,
            args=(bench, _submit_all, bench, number),
        )


def _submit_all(bench: Workbench, number: int) -> None:
    """Send all columns. What cannot be sent is told once the others are on their way."""
    sheets, problem = sources(bench), None
    for index in range(number):
        try:
            sheet = _sheet(bench, index, sheets)
            if sheet.unfilled:
                raise InputRefused("lab_unfilled", names=", ".join(sheet.unfilled))
            services().bench.submit(bench.owner, _place(index), payloads.build(sheet.filled()))
        except CodeCoachError as error:
            problem = error
    if problem:
        raise problem


def _stop_all(bench: Workbench, number: int) -> None:
    for index in range(number):
        services().bench.stop(bench.owner, _place(index))
