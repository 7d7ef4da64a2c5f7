"""What came of running the program in the Editor: the newest run, earlier ones, and Fix where one failed."""

from typing import Final

import streamlit as st

from codecoach.coach import runs
from codecoach.store.programs import RunRecord
from codecoach.ui import advice, run_panel
from codecoach.ui.live import Following
from codecoach.ui.session import services, t
from codecoach.ui.shown import shown
from codecoach.ui.workshop import Workshop, act

LISTED: Final = 20
_WHOLE: Final = "output:whole"


def draw(shop: Workshop, following: Following, proposed: bool) -> None:
    """Draw the run that goes on, or the newest or chosen one that has ended.

    proposed  whether a correction waits to be applied, which then is the next thing to do, and not Fix
    """
    thread = shop.program.id
    job = services().runs.find(thread)
    if job and (not job.done or job.error):
        run_panel.draw(thread, job, following)
        return
    listed = shown().programs.runs(thread, limit=LISTED)
    if not listed:
        st.caption(t("editor.not_run"))
        return
    record = _whole(thread, _chosen(listed))
    run_panel.draw_record(record, f"panel.{thread}")
    run_panel.draw_identity(job if job and job.id == record.id else None)
    _draw_fix(shop, record, proposed)


def _chosen(listed: tuple[RunRecord, ...]) -> RunRecord:
    if len(listed) == 1:
        return listed[0]
    # The newest is part of the key, so that a new run is the one that is shown.
    number = st.selectbox(
        t("editor.history"),
        range(len(listed)),
        format_func=lambda index: _line(listed[index]),
        key=f"history.{listed[0].id}",
        label_visibility="collapsed",
    )
    return listed[number or 0]


def _line(record: RunRecord) -> str:
    """A run in a list: when, in the browser's time, and how it ended."""
    return f"{run_panel.clock_words(record.at)} · {run_panel.outcome_words(record)}"


def _draw_fix(shop: Workshop, record: RunRecord, proposed: bool) -> None:
    changed = record.code_sha256 != fingerprint(shop)
    if run_panel.fixable(record):
        st.button(
            t("editor.fix"),
            key="editor:fix",
            type="secondary" if proposed or changed else "primary",
            icon=":material/build:",
            help=t("editor.fix_help"),
            on_click=act,
            args=(shop, advice.fix, shop, record),
        )
    if changed:
        st.caption(f":material/history: {t('editor.code_changed')}")


def fingerprint(shop: Workshop) -> str:
    """What a run's `code_sha256` is while the code is as it ran."""
    return runs.code_sha256(shop.handed_in)


def _whole(thread: str, record: RunRecord) -> RunRecord:
    """The run with all it printed; read once, for it never changes and every key typed draws the page anew."""
    known: RunRecord | None = st.session_state.get(_WHOLE)
    if known is None or known.id != record.id:
        known = st.session_state[_WHOLE] = shown().programs.whole(thread, record)
    return known
