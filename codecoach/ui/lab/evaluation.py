"""A test: which prompts and models are tried on the test set, how far it has come, and earlier ones."""

import time
from dataclasses import replace
from typing import Final

import streamlit as st

from codecoach.coach.evaluator import EvaluationJob
from codecoach.errors import InputRefused
from codecoach.lab.cases import Cases
from codecoach.lab.evaluation import EvaluationState, Outcome, Plan, Variant
from codecoach.lab.sheet import Sheet
from codecoach.models import payloads
from codecoach.store.case_sets import CaseSet
from codecoach.store.evaluations import Evaluation
from codecoach.ui import notices, run_panel
from codecoach.ui.acting import attempt
from codecoach.ui.lab import outcomes, prompt
from codecoach.ui.lab.sources import BENCH, sources
from codecoach.ui.lab.workbench import Workbench
from codecoach.ui.live import Following
from codecoach.ui.session import services, t
from codecoach.ui.shown import shown

_CHOSEN: Final = "lab:evaluation"
_READ: Final = "lab:evaluation_read"
_PROMPTS: Final = 8
_MODELS: Final = 8
# How often what is under way is drawn anew: a table takes more than a word of an answer.
_FRAME_S: Final = 0.5
_STATES: Final = {
    EvaluationState.RUNNING: ("lab.state_running", ":material/progress_activity:", "blue"),
    EvaluationState.COMPLETE: ("lab.state_complete", ":material/check_circle:", "green"),
    EvaluationState.STOPPED: ("chat.stopped", ":material/stop_circle:", "gray"),
    EvaluationState.INTERRUPTED: ("chat.interrupted", ":material/link_off:", "orange"),
    EvaluationState.CAPPED: ("lab.state_capped", ":material/payments:", "orange"),
}


def draw(bench: Workbench, case_set: CaseSet, following: Following) -> None:
    """Draw what is to be tried, and what came of the test that is chosen."""
    variants = _draw_variants(bench)
    cap = st.number_input(
        t("lab.cap"),
        min_value=0.0,
        value=None,
        step=0.1,
        format="%.4f",
        key="lab:cap",
        help=t("lab.cap_help"),
        width=240,
    )
    plan = Plan(_filled_rows(case_set), variants, cap)
    started = st.button(
        t("lab.start_test", number=len(plan.trials)), key="lab:start_test", type="primary", icon=":material/play_arrow:"
    )
    # Not in a callback: what was typed into the table right before the click is known only now.
    if started:
        with notices.guard():
            job = services().evaluator.start(bench.owner, case_set.name, plan)
            st.session_state[_CHOSEN] = job.id
    if listed := _listed(bench.owner):
        _draw_evaluation(bench.owner, listed, following)


def _listed(owner: str) -> tuple[Evaluation, ...]:
    """The tests, the newest first. What another process is trying is read as it is now: when it ends, that is seen once."""
    listed = shown().evaluations.list(owner)
    elsewhere = (head for head in listed if services().evaluator.find(head.id) is None)
    if any(head.state is EvaluationState.RUNNING for head in elsewhere):
        return services().evaluations.list(owner)
    return listed


def _filled_rows(case_set: CaseSet) -> Cases:
    cases = case_set.cases
    return replace(cases, rows=tuple(row for row in cases.rows if any(cell.strip() for cell in row)))


def _draw_variants(bench: Workbench) -> tuple[Variant, ...]:
    """Draw the choice of prompts and models; returns each prompt for each model."""
    found = sources(bench)
    left, right = st.columns(2, gap="medium")
    chosen = left.multiselect(
        t("lab.tried_prompts"),
        list(found),
        default=[BENCH],
        format_func=lambda known: found[known][0] if known in found else known,
        max_selections=_PROMPTS,
        key=f"lab:tried_prompts.{bench.template.id if bench.template else ''}",
        persist_state="session",
        placeholder=t("lab.choose"),
    )
    ids = prompt.model_ids(bench.sheet.model_id)
    models = right.multiselect(
        t("lab.tried_models"),
        ids,
        default=[bench.sheet.model_id] if bench.sheet.model_id in ids else ids[:1],
        format_func=prompt.model_label,
        max_selections=_MODELS,
        key="lab:tried_models",
        persist_state="session",
        placeholder=t("lab.choose"),
    )
    tried = [(found[source], model_id) for source in chosen if source in found for model_id in models]
    return tuple(
        Variant(f"{name} · {prompt.model_label(model_id)}", _for_model(sheet, model_id))
        for (name, sheet), model_id in tried
    )


def _for_model(sheet: Sheet, model_id: str) -> Sheet:
    kept = sheet.format if sheet.format in payloads.formats(model_id) else ""
    return replace(sheet, model_id=model_id, format=kept)


def _draw_evaluation(owner: str, listed: tuple[Evaluation, ...], following: Following) -> None:
    jobs = {head.id: job for head in listed if (job := services().evaluator.find(head.id))}
    heads = {head.id: jobs[head.id].head if head.id in jobs else head for head in listed}
    st.divider()
    if st.session_state.get(_CHOSEN) not in heads:
        st.session_state[_CHOSEN] = listed[0].id
    chosen = st.selectbox(t("lab.results"), list(heads), format_func=lambda known: _title(heads[known]), key=_CHOSEN)
    head, job = heads[chosen], jobs.get(chosen)
    if (job and not job.done) or (job is None and head.state is EvaluationState.RUNNING):
        following.add(_LiveEvaluation(owner, job, head))
        return
    _draw_head(head)
    if job and job.unsaved:
        notices.show_failure(job.unsaved.what, job.unsaved.hint, job.unsaved.reference)
    plan, found = _read(head, job)
    with st.container(horizontal=True, gap="small"):
        if sum(outcome.made for outcome in found) < head.total:
            st.button(
                t("lab.resume"),
                key="lab:resume",
                icon=":material/resume:",
                on_click=attempt,
                args=(_resume, owner, head.id),
            )
        with st.popover(t("lab.delete_test"), icon=":material/delete:", key=f"lab:delete.{head.id}"):
            st.button(
                t("list.delete"),
                key="lab:delete_test",
                type="primary",
                on_click=attempt,
                args=(services().evaluations.delete, owner, head.id),
            )
    outcomes.draw(head, plan, found)


def _resume(owner: str, evaluation_id: str) -> None:
    head = services().evaluations.get(owner, evaluation_id)
    if head is None:
        raise InputRefused("no_such_test")
    services().evaluator.resume(head)


def _read(head: Evaluation, job: EvaluationJob | None) -> tuple[Plan, tuple[Outcome, ...]]:
    """The plan and all outcomes, read from the store once."""
    if job:
        return job.plan, job.outcomes
    known: tuple[str, int, Plan, tuple[Outcome, ...]] | None = st.session_state.get(_READ)
    if known is None or known[:2] != (head.id, head.version):
        plan, found = services().evaluations.plan(head), services().evaluations.outcomes(head)
        known = st.session_state[_READ] = (head.id, head.version, plan, found)
    return known[2], known[3]


def _title(head: Evaluation) -> str:
    # Nothing that changes: the browser goes on showing what a choice was called when it was made.
    return f"{head.name} · {run_panel.clock_words(head.started_at)}"


def _draw_head(head: Evaluation) -> None:
    label, icon, colour = _STATES[head.state]
    words = [t("lab.tried", done=head.done, total=head.total), t("lab.passed", number=head.passed)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(t(label), icon=icon, color=colour)  # type: ignore[arg-type]
        st.caption(" · ".join([*words, t("lab.dollars", dollars=f"{head.dollars:.6f}")]), width="content")


class _LiveEvaluation:
    """A test drawn while it goes on, here or in another process."""

    def __init__(self, owner: str, job: EvaluationJob | None, head: Evaluation) -> None:
        self._owner = owner
        self._job = job
        self._head = head
        self._version = -1
        self._drawn_at = 0.0
        self._progress = st.empty()
        st.button(
            t("lab.stop_test"),
            key="lab:stop_test",
            icon=":material/stop_circle:",
            on_click=attempt,
            args=(services().evaluator.stop, head.id),
        )
        self._summary = st.empty()

    def wait(self, timeout_s: float) -> None:
        left_s = self._drawn_at + _FRAME_S - time.monotonic()
        if (
            left_s > 0
        ):  # what is new is not drawn before: to look for it again and again would hold up everybody's pages
            time.sleep(min(left_s, timeout_s))
        elif self._job:
            self._job.wait(self._version, timeout_s)
        else:
            time.sleep(timeout_s)

    def refresh(self) -> bool:
        job, now = self._job, time.monotonic()
        if job and job.done:
            return False
        if now - self._drawn_at < _FRAME_S:
            return True
        self._drawn_at = now
        if job is None:
            self._head = services().evaluations.get(self._owner, self._head.id) or self._head
            self._draw(self._head, 0.0)
            return self._head.state is EvaluationState.RUNNING
        if job.version != self._version or job.waiting_s:
            self._version = job.version
            self._draw(job.head, job.waiting_s)
            with self._summary.container():
                outcomes.draw_summary(job.plan, job.outcomes)
        return True

    def _draw(self, head: Evaluation, waiting_s: float) -> None:
        words = [t("lab.tried", done=head.done, total=head.total), t("lab.passed", number=head.passed)]
        words.append(t("lab.dollars", dollars=f"{head.dollars:.6f}"))
        if waiting_s:
            words.append(t("lab.waiting", seconds=int(waiting_s) + 1))
        self._progress.progress(head.done / max(1, head.total), text=" · ".join(words))
