"""What came of a test: how each prompt and model has done, as a table and a chart, every answer, and all of it as CSV."""

from typing import Any, Final

import pandas as pd
import streamlit as st

from codecoach.chat.messages import MessageState
from codecoach.i18n import tell
from codecoach.lab.cases import table_csv
from codecoach.lab.evaluation import Outcome, Plan, Summary, Verdict, summaries
from codecoach.store.evaluations import Evaluation
from codecoach.ui import notices
from codecoach.ui.lab.answer import STATES
from codecoach.ui.lab.cases import KINDS
from codecoach.ui.session import language, t

_CELL_CHARS: Final = 80
_COLOURS: Final = ("#2e9e5b", "#d1453b", "#9aa3af", "#e08a1e")
_MARKS: Final = {True: "✓", False: "✗", None: "–"}
_CHOSEN_ROW: Final = "lab:outcome_row"
_CHOSEN_VARIANT: Final = "lab:outcome_variant"


def draw(head: Evaluation, plan: Plan, found: tuple[Outcome, ...]) -> None:
    """Draw all that is known of a test that has ended."""
    draw_summary(plan, found)
    _draw_matrix(head, plan, found)
    st.download_button(
        t("lab.export_results"),
        data=lambda: exported(plan, found),
        file_name="results.csv",
        mime="text/csv",
        icon=":material/download:",
        key="lab:export_results",
        on_click="ignore",
    )
    if found:
        _draw_outcome(plan, found)


def draw_summary(plan: Plan, found: tuple[Outcome, ...]) -> None:
    """Draw how each variant has done so far."""
    counted = summaries(plan, found)
    st.dataframe(pd.DataFrame([_line(one) for one in counted]), hide_index=True, alt=t("lab.summary"))
    shares = {
        t("lab.share_passed"): [one.passed for one in counted],
        t("lab.share_failed"): [one.failed for one in counted],
    }
    shares |= {
        t("lab.share_unclear"): [one.unclear for one in counted],
        t("lab.share_broken"): [one.failed_calls for one in counted],
    }
    frame = pd.DataFrame({t("lab.variant"): [one.label for one in counted], **shares})
    st.bar_chart(
        frame,
        x=t("lab.variant"),
        y=list(shares),
        color=[*_COLOURS],
        horizontal=True,
        sort=False,
        height=110 + 40 * len(counted),
        x_label="",
        y_label="",
        alt=t("lab.summary"),
    )


def _line(one: Summary) -> dict[str, Any]:
    return {
        t("lab.variant"): one.label,
        t("lab.share_passed"): f"{one.passed}/{one.made}",
        t("lab.median"): None if one.median_ms is None else f"{one.median_ms:,.0f} ms",
        t("lab.tokens"): f"{one.usage.input_tokens:,} / {one.usage.output_tokens:,}",
        t("lab.cost"): t("lab.price_unknown") if one.dollars is None else f"${one.dollars:.6f}",
    }


def _draw_matrix(head: Evaluation, plan: Plan, found: tuple[Outcome, ...]) -> None:
    """A row for each case, a column for each variant; choosing a cell shows its answer below."""
    places = {(outcome.row, outcome.variant): outcome for outcome in found}
    columns: dict[str, list[str]] = {"#": [str(row + 1) for row in range(len(plan.cases.rows))]}
    for name in plan.cases.columns:
        columns[name] = [_short(plan.cases.values(row)[name]) for row in range(len(plan.cases.rows))]
    for number, variant in enumerate(plan.variants):
        cells = [_cell(places.get((row, number))) for row in range(len(plan.cases.rows))]
        columns[f"{number + 1} · {variant.label}"] = cells
    frame = pd.DataFrame(columns)
    state = st.dataframe(
        frame,
        hide_index=True,
        key=f"lab:matrix.{head.id}.{head.version}",
        on_select="rerun",
        selection_mode="single-cell",
        height=min(420, 38 + 35 * max(1, len(frame))),
        alt=t("lab.matrix"),
    )
    for row, name in state.selection.cells:
        st.session_state[_CHOSEN_ROW] = row
        place = list(columns).index(name) - 1 - len(plan.cases.columns)
        if place >= 0:
            st.session_state[_CHOSEN_VARIANT] = place


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    if not outcome.made:
        return t(STATES[outcome.state][0])
    return f"{_MARKS[outcome.passed]} {_short(outcome.text)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _CELL_CHARS else f"{line[: _CELL_CHARS - 1]}…"


def _draw_outcome(plan: Plan, found: tuple[Outcome, ...]) -> None:
    """Draw one answer, with what each check found."""
    places = {(outcome.row, outcome.variant): outcome for outcome in found}
    rows, variants = range(len(plan.cases.rows)), range(len(plan.variants))
    for key, known in ((_CHOSEN_ROW, rows), (_CHOSEN_VARIANT, variants)):
        if st.session_state.get(key) not in known:
            st.session_state[key] = 0
    left, right = st.columns([1, 3])
    row = left.selectbox(t("lab.case"), list(rows), format_func=lambda number: str(number + 1), key=_CHOSEN_ROW)
    variant = right.selectbox(
        t("lab.variant"), list(variants), format_func=lambda number: plan.variants[number].label, key=_CHOSEN_VARIANT
    )
    outcome = places.get((row, variant))
    if outcome is None:
        st.caption(t("lab.not_tried"))
        return
    if outcome.state in STATES:
        label, icon, colour = STATES[outcome.state]
        st.badge(t(label), icon=icon, color=colour)  # type: ignore[arg-type]
    if outcome.error:
        notices.show_failure(outcome.error.what, outcome.error.hint, outcome.error.reference)
    for verdict in outcome.verdicts:
        _draw_verdict(verdict)
    if outcome.text:
        st.code(outcome.text, language="markdown", wrap_lines=True)


def _draw_verdict(verdict: Verdict) -> None:
    icon = {True: ":green[:material/check_circle:]", False: ":red[:material/cancel:]"}.get(
        verdict.passed,  # type: ignore[arg-type]
        ":gray[:material/help:]",
    )
    why = f" — {notices.told(verdict.reason)}" if verdict.reason else ""
    st.markdown(f"{icon} **{t(KINDS[verdict.kind])}**{why}")
    if verdict.detail.strip():
        st.code(verdict.detail, language=None, wrap_lines=True)


def exported(plan: Plan, found: tuple[Outcome, ...]) -> bytes:
    """Everything as CSV, a line for each trial."""
    head = ["row", *plan.cases.columns, "variant", "model", "state", "passed", "reasons", "answer"]
    head += ["input_tokens", "output_tokens", "dollars", "first_token_ms", "total_ms", "stop_reason"]
    return table_csv([head, *(_exported(plan, outcome) for outcome in found)])


def _exported(plan: Plan, outcome: Outcome) -> list[Any]:
    variant = plan.variants[outcome.variant]
    why = [f"{verdict.kind}: {tell(language(), verdict.reason)}" for verdict in outcome.verdicts if verdict.reason]
    state = MessageState(outcome.state).value
    return [
        *(outcome.row + 1, *plan.cases.rows[outcome.row], variant.label, variant.sheet.model_id, state),
        *("" if outcome.passed is None else outcome.passed, "; ".join(why), outcome.text),
        *(outcome.usage.input_tokens, outcome.usage.output_tokens, outcome.dollars),
        *(outcome.first_token_ms, outcome.total_ms, outcome.stop_reason),
    ]
