"""What the two views of usage have in common: the choice of month and unit, and the bars."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from codecoach.coach.budget import Unit
from codecoach.store.records import now
from codecoach.store.usage import Spent
from codecoach.ui.session import t

# Months that can be looked at, this one included; older ones are kept in the store.
MONTHS: Final = 12
_COLOUR: Final = "#4674dc"
_UNITS: Final[dict[Unit, str]] = {"dollars": "usage.dollars", "tokens": "usage.tokens"}


def choose_month(key: str) -> str:
    """Draw the choice of month; returns it as 2026-11."""
    return st.selectbox(t("usage.month"), _months(now()), key=key, width=160) or _months(now())[0]


def choose_unit(key: str, total: Spent) -> Unit:
    """Draw the choice of what is charted; dollars first, unless there are none."""
    first: Unit = "dollars" if total.micro_dollars else "tokens"
    chosen = st.segmented_control(
        t("usage.unit"),
        list(_UNITS),
        default=first,
        required=True,
        format_func=lambda unit: t(_UNITS[unit]),
        key=f"{key}.{first}",
        label_visibility="collapsed",
    )
    return chosen or first


def value(spent: Spent, unit: Unit) -> float:
    """What is charted."""
    return spent.micro_dollars / 1e6 if unit == "dollars" else spent.tokens


def draw_days(days: Mapping[str, Spent], unit: Unit) -> None:
    """Draw a bar for each day up to the last one on which something was used."""
    last = int(max(days, default="01"))
    rows = {f"{day:02d}": value(days.get(f"{day:02d}", Spent()), unit) for day in range(1, last + 1)}
    draw_bars(t("usage.day"), rows, unit, horizontal=False)


def draw_bars(name: str, rows: Mapping[str, float], unit: Unit, horizontal: bool) -> None:
    """Draw a bar for each row, in their order."""
    label = t(_UNITS[unit])
    st.bar_chart(
        pd.DataFrame({name: list(rows), label: list(rows.values())}),
        x=name,
        y=label,
        color=_COLOUR,
        horizontal=horizontal,
        sort=False,
        height=60 + 26 * len(rows) if horizontal else 240,
        x_label="" if horizontal else name,
        y_label=label,
        alt=f"{label}, {name}",
    )


def columns() -> dict[str, ColumnConfig]:
    """How the columns of figures look, by their names."""
    counts = ("usage.input_tokens", "usage.output_tokens", "usage.calls", "usage.unpriced_calls")
    shown = {t(key): st.column_config.NumberColumn(format="localized") for key in counts}
    return {t("usage.dollars"): st.column_config.NumberColumn(format="$%.4f"), **shown}


def draw_notes(total: Spent) -> None:
    """Draw what must be known to read the figures."""
    if total.estimated:
        st.caption(t("usage.estimated", number=f"{total.estimated:,}"))
    if total.unpriced:
        st.caption(t("usage.unpriced", number=f"{total.unpriced:,}"))
    st.caption(t("usage.prices_as_of"))


def _months(at: datetime) -> list[str]:
    """This month and those before it, as 2026-11."""
    counted = (at.year * 12 + at.month - 1 - back for back in range(MONTHS))
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in counted]
