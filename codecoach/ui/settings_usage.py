"""What one has used of the models: this month against its limits, by day and by model."""

from typing import Final

import pandas as pd
import streamlit as st

from codecoach.coach.budget import Gauge, Standing, Unit, amount, resets_on
from codecoach.store.accounts import Account
from codecoach.store.records import now
from codecoach.store.usage import OTHER_MODELS, MonthUsage, Spent
from codecoach.ui import models, notices, usage_chart
from codecoach.ui.session import services, t

_ONES: Final[tuple[tuple[str, Unit, str], ...]] = (
    ("conversation_micro_dollars", "dollars", "usage.per_conversation_dollars"),
    ("conversation_tokens", "tokens", "usage.per_conversation_tokens"),
    ("message_micro_dollars", "dollars", "usage.per_message_dollars"),
    ("message_tokens", "tokens", "usage.per_message_tokens"),
)


def draw_usage(account: Account) -> None:
    """Draw what the signed-in user has used."""
    meter = services().meter
    month = usage_chart.choose_month("usage-month")
    standing = meter.standing(account.username)
    is_current = month == standing.state.month.month
    if is_current:
        _draw_limits(standing)
    used = standing.state.month if is_current else meter.month(account.username, month)
    if not used.total.calls:
        st.caption(t("usage.nothing"))
        return
    _draw_totals(used.total)
    unit = usage_chart.choose_unit("usage-unit", used.total)
    usage_chart.draw_days(used.days, unit)
    st.caption(t("usage.by_model"))
    _draw_models(used)
    usage_chart.draw_notes(used.total)


def _draw_limits(standing: Standing) -> None:
    gauges = [gauge for gauge in standing.gauges if gauge.span == "month"]
    for gauge in gauges:
        st.progress(min(1.0, gauge.used / gauge.limit), text=_told(gauge))
    if not gauges:
        st.caption(t("usage.no_limit"))
    limits = standing.limits.limits
    for name, unit, key in _ONES:
        if limit := limits[name]:
            st.caption(t(key, limit=notices.plain(amount(limit, unit))))
    st.caption(t("usage.resets", resets=resets_on(now())))


def _told(gauge: Gauge) -> str:
    used, limit = (notices.plain(amount(value, gauge.unit)) for value in (gauge.used, gauge.limit))
    key = "usage.of_limit_dollars" if gauge.unit == "dollars" else "usage.of_limit_tokens"
    return t(key, used=used, limit=limit, percent=gauge.percent)


def _draw_totals(total: Spent) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(t("usage.dollars"), notices.plain(amount(total.micro_dollars, "dollars")), width="content")
        st.metric(t("usage.tokens"), f"{total.tokens:,}", width="content")
        st.metric(t("usage.calls"), f"{total.calls:,}", width="content")


def _draw_models(used: MonthUsage) -> None:
    by_cost = sorted(used.models.items(), key=lambda one: (-one[1].micro_dollars, -one[1].tokens))
    rows = [
        {
            t("usage.model"): t("usage.other_models") if model_id == OTHER_MODELS else models.label(model_id),
            t("usage.dollars"): _cost(spent),
            t("usage.input_tokens"): spent.input_tokens,
            t("usage.output_tokens"): spent.output_tokens,
            t("usage.calls"): spent.calls,
        }
        for model_id, spent in by_cost
    ]
    columns = usage_chart.columns()
    del columns[t("usage.dollars")]  # a word, where no price is known
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=columns, alt=t("usage.by_model"))


def _cost(spent: Spent) -> str:
    """What it cost; where no price is known, that. Of both together the part that is known, marked."""
    if spent.unpriced == spent.calls and spent.calls:
        return t("budget.cost_unknown")
    return amount(spent.micro_dollars, "dollars") + (" + ?" if spent.unpriced else "")
