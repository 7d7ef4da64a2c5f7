"""The choice of the model: pick one, test it with a real call, then save it."""

import threading
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final

import streamlit as st

from codecoach.i18n import Notice
from codecoach.models.port import ModelCard, Payer
from codecoach.models.trial import Trial, trial
from codecoach.store.accounts import Account
from codecoach.ui import notices, session
from codecoach.ui.live import TICK_S
from codecoach.ui.session import services, t
from codecoach.ui.shown import shown

_TRIALS: Final = "settings-trials"
_CHOSEN: Final = "settings-model"
# Text and colour of a model's state.
_STATES: Final = {
    "active": ("settings_page.state_active", "green"),
    "legacy": ("settings_page.state_legacy", "orange"),
    "retired": ("settings_page.state_retired", "red"),
    "unknown": ("settings_page.state_unknown", "gray"),
}
_ABILITIES: Final = {"vision": "settings_page.vision", "tools": "settings_page.tools"}


@dataclass(frozen=True)
class Failed:
    """A test that failed: what is shown of it."""

    what: Notice
    hint: Notice
    reference: str


def draw_model(account: Account) -> None:
    """Draw the model in use, the list to choose from, and Test and Save."""
    saved = shown().preferences.get(account.username).model_id
    directory = services().directory
    cards = {card.id: card for card in directory.cards()}
    problem = directory.why_unlisted()
    in_use = saved or services().default_model_id
    label = cards[in_use].label if in_use in cards else in_use
    st.markdown(t("settings_page.in_use", model=notices.plain(label)))
    if problem:
        notices.show_failure(problem.what, problem.hint, problem.reference)
        st.caption(t("settings_page.from_catalogue"))
    elif saved and saved not in cards:
        st.warning(t("settings_page.saved_is_gone", model=notices.plain(saved)))
    for note in directory.notes():
        st.info(notices.told(note), icon=":material/info:")
    if not cards:
        st.info(t("settings_page.no_models"))
        return
    ids = list(cards)
    model_id = st.selectbox(
        t("settings_page.choose"),
        ids,
        index=ids.index(in_use) if in_use in cards else 0,
        format_func=lambda known: f"{cards[known].label} · {cards[known].provider}" if known in cards else known,
        key=_CHOSEN,
    )
    _draw_card(cards[model_id])
    _draw_test_and_save(account, model_id, saved)


def _draw_card(card: ModelCard) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, gap="small"):
            text, colour = _STATES[card.state]
            st.badge(t(text), color=colour)  # type: ignore[arg-type]
            for ability, able in (("vision", card.vision), ("tools", card.tools)):
                if able:
                    st.badge(t(_ABILITIES[ability]), color="blue")
        facts = [f"`{card.id}`"]
        if card.context_tokens:
            facts.append(t("settings_page.context", tokens=f"{card.context_tokens:,}"))
        if card.max_output_tokens:
            facts.append(t("settings_page.output", tokens=f"{card.max_output_tokens:,}"))
        if card.price_in_per_mtok is not None and card.price_out_per_mtok is not None:
            said = "settings_page.price_assumed" if card.price_assumed else "settings_page.price"
            facts.append(t(said, input=f"{card.price_in_per_mtok:g}", output=f"{card.price_out_per_mtok:g}"))
        if card.end_of_life:
            facts.append(t("settings_page.end_of_life", date=card.end_of_life))
        st.markdown("  \n".join(facts))


def _draw_test_and_save(account: Account, model_id: str, saved: str) -> None:
    trials: dict[str, Trial | Failed] = st.session_state.setdefault(_TRIALS, {})
    with st.container(horizontal=True):
        test = st.button(t("settings_page.test"), icon=":material/play_arrow:", key="settings-test")
        # Filled in below, when the outcome of a test in this very run is known.
        save_place = st.container(width="content")
    if test:
        with st.spinner(t("settings_page.testing", model=model_id)):
            _test(account, model_id, trials)
    outcome = trials.get(model_id)
    passed = isinstance(outcome, Trial)
    with save_place:
        save = st.button(
            t("settings_page.save"),
            type="primary",
            icon=":material/check:",
            disabled=not passed or model_id == saved,
            help=None if passed else t("settings_page.test_first"),
            key="settings-save",
        )
    if save and passed:
        session.keep(account.username, model_id=model_id)
        st.toast(t("settings_page.saved"), icon=":material/check:")
        st.rerun()
    _draw_outcome(outcome, model_id, saved)


def _test(account: Account, model_id: str, trials: dict[str, Trial | Failed]) -> None:
    """Test a model, in a thread of its own: a model that does not answer must not hold up whoever goes to another page."""

    def test() -> None:
        trials[model_id] = _tested(account, model_id)

    within = copy_context().run  # as the user who tests, and under the same reference in the log
    testing = threading.Thread(target=within, args=(test,), name="settings-test", daemon=True)
    testing.start()
    while testing.is_alive():
        testing.join(TICK_S)
        st.session_state.get("live")  # here Streamlit can end the script run


def _tested(account: Account, model_id: str) -> Trial | Failed:
    try:
        outcome = trial(services().metered_model, model_id, Payer(account.username))
        services().preferences.record_test(account.username, model_id)
    except Exception as error:
        known = notices.record(error)
        return Failed(known.what, known.hint, known.reference)
    return outcome


def _draw_outcome(outcome: Trial | Failed | None, model_id: str, saved: str) -> None:
    if isinstance(outcome, Trial):
        st.success(t("settings_page.passed"), icon=":material/check_circle:")
        usage = outcome.usage
        st.caption(
            t(
                "settings_page.measured",
                seconds=f"{outcome.latency_s:.2f}",
                input=usage.input_tokens,
                output=usage.output_tokens,
            )
        )
        st.code(outcome.text, language=None, wrap_lines=True)
    elif outcome:
        notices.show_failure(outcome.what, outcome.hint, outcome.reference)
        if saved and saved != model_id:
            st.info(t("settings_page.kept", model=notices.plain(saved)))
    else:
        st.caption(t("settings_page.test_first"))
