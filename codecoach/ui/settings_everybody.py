"""What everybody has used of the models, and whose limits are other than the settings say; for administrators."""

from collections.abc import Iterable
from typing import Final

import pandas as pd
import streamlit as st

from codecoach import logs
from codecoach.coach.budget import Standing, Unit, amount, defaults
from codecoach.store.accounts import Account
from codecoach.store.budgets import Budget
from codecoach.store.usage import NOTHING, MonthUsage, Spent, State
from codecoach.ui import notices, usage_chart
from codecoach.ui.administration import is_admin
from codecoach.ui.session import services, t

# Users in the chart; the table has all.
_CHARTED: Final = 20
# A spreadsheet takes a cell that begins like this for a formula, and a sign-in name may.
_FORMULA: Final = ("=", "+", "-", "@")
_FIELDS: Final[tuple[tuple[str, str, Unit], ...]] = (
    ("month_micro_dollars", "usage.month_dollars", "dollars"),
    ("month_tokens", "usage.month_tokens", "tokens"),
    ("conversation_micro_dollars", "usage.conversation_dollars", "dollars"),
    ("conversation_tokens", "usage.conversation_tokens", "tokens"),
    ("message_micro_dollars", "usage.message_dollars", "dollars"),
    ("message_tokens", "usage.message_tokens", "tokens"),
)
# (user, version) of the limits as they were first drawn, so that a change made elsewhere meanwhile is not overwritten.
_DRAWN: Final = "everybody-drawn"
_TOLD: Final = "everybody-told"


def draw_everybody(account: Account) -> None:
    """Draw a month of everybody's, and the limits of one. Draws nothing for anybody but an administrator."""
    if not is_admin(account):
        return
    month = usage_chart.choose_month("everybody-month")
    used = services().meter.everybody(month)
    budgets = services().budgets.all()
    ranked = sorted(used, key=lambda one: (-one.total.micro_dollars, -one.total.tokens, one.username))
    total = sum((one.total for one in used), NOTHING)
    if not total.calls:
        st.caption(t("usage.nothing"))
    else:
        _draw_total(total, len(ranked))
        _draw_chart(ranked, total)
        _draw_table(ranked, budgets)
        st.download_button(
            t("usage.download"),
            as_csv(ranked),
            file_name=f"codecoach-usage-{month}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="everybody-csv",
        )
        usage_chart.draw_notes(total)
    with notices.guard():
        _draw_form(account, budgets)


def as_csv(used: Iterable[MonthUsage]) -> bytes:
    """What everybody has used, a line for each; in UTF-8 with a mark by which spreadsheets know it."""
    lines = [
        {
            "user": f"'{one.username}" if one.username.startswith(_FORMULA) else one.username,
            "month": one.month,
            "dollars": f"{one.total.micro_dollars / 1e6:.6f}",
            "input_tokens": one.total.input_tokens,
            "output_tokens": one.total.output_tokens,
            "calls": one.total.calls,
            "estimated_calls": one.total.estimated,
            "unpriced_calls": one.total.unpriced,
        }
        for one in used
    ]
    return pd.DataFrame(lines).to_csv(index=False).encode("utf-8-sig")


def _draw_total(total: Spent, users: int) -> None:
    dollars = notices.plain(amount(total.micro_dollars, "dollars"))
    st.markdown(
        t("usage.all_together", dollars=dollars, tokens=f"{total.tokens:,}", calls=f"{total.calls:,}", users=users)
    )


def _draw_chart(ranked: list[MonthUsage], total: Spent) -> None:
    with st.container(horizontal=True, gap="medium"):
        by = st.segmented_control(
            t("usage.by"),
            ["day", "user"],
            default="day",
            required=True,
            format_func=lambda known: t("usage.by_day") if known == "day" else t("usage.by_user"),
            key="everybody-by",
            label_visibility="collapsed",
        )
        unit = usage_chart.choose_unit("everybody-unit", total)
    if by == "user":
        highest = sorted(ranked, key=lambda one: -usage_chart.value(one.total, unit))[:_CHARTED]
        rows = {one.username: usage_chart.value(one.total, unit) for one in highest}
        usage_chart.draw_bars(t("usage.user"), rows, unit, horizontal=True)
        if len(ranked) > _CHARTED:
            st.caption(t("usage.top", number=_CHARTED, all=len(ranked)))
        return
    days: dict[str, Spent] = {}
    for one in ranked:
        for day, spent in one.days.items():
            days[day] = days.get(day, NOTHING) + spent
    usage_chart.draw_days(days, unit)


def _draw_table(ranked: list[MonthUsage], budgets: dict[str, Budget]) -> None:
    any_unpriced = any(one.total.unpriced for one in ranked)
    percents = {one.username: _percent(one, budgets.get(one.username, Budget())) for one in ranked}
    any_limit = any(percent is not None for percent in percents.values())
    rows = [
        {
            t("usage.user"): one.username,
            t("usage.dollars"): one.total.micro_dollars / 1e6,
            t("usage.limit"): _limit(budgets.get(one.username, Budget())),
            **({t("usage.used_percent"): percents[one.username]} if any_limit else {}),
            t("usage.input_tokens"): one.total.input_tokens,
            t("usage.output_tokens"): one.total.output_tokens,
            t("usage.calls"): one.total.calls,
        }
        | ({t("usage.unpriced_calls"): one.total.unpriced} if any_unpriced else {})
        for one in ranked
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config=usage_chart.columns(),
        alt=t("usage.section_everybody"),
    )


def _limit(budget: Budget) -> str:
    """The limits on a user's month."""
    limits = budget.or_else(defaults(services().settings))
    said = [amount(limits.month_micro_dollars, "dollars")] if limits.month_micro_dollars else []
    said += [f"{limits.month_tokens:,} {t('usage.tokens')}"] if limits.month_tokens else []
    return " · ".join(said) or t("usage.no_limit_short")


def _percent(used: MonthUsage, budget: Budget) -> int | None:
    """How full the fullest limit of a month is."""
    limits = budget.or_else(defaults(services().settings))
    gauges = [g for g in Standing(State(used, NOTHING, budget), limits).gauges if g.span == "month"]
    return gauges[0].percent if gauges else None


def _draw_form(admin: Account, budgets: dict[str, Budget]) -> None:
    st.subheader(t("usage.limits"))
    if told := st.session_state.pop(_TOLD, ""):
        st.success(t("usage.limits_saved", user=notices.plain(told)), icon=":material/check:")
    names = [one.username for one in services().accounts.all()]
    name = st.selectbox(t("usage.whose"), names, key="everybody-whose")
    if name is None:
        return
    budget = budgets.get(name, Budget())
    drawn, version = st.session_state.get(_DRAWN, ("", 0))
    if drawn != name:
        version = budget.version
        st.session_state[_DRAWN] = (name, version)
    with st.form("everybody-limits", border=False):
        given = _draw_fields(f"{name}.{version}", budget)
        st.caption(t("usage.limits_help"))
        if st.form_submit_button(t("usage.save_limits"), icon=":material/check:", key="everybody-save"):
            st.session_state.pop(_DRAWN)
            _save(admin, name, Budget(**given, version=version))


def _draw_fields(key: str, budget: Budget) -> dict[str, int | None]:
    """Draw a field for each limit; returns what is given in them."""
    default, given = defaults(services().settings), {}
    for start in range(0, len(_FIELDS), 2):
        for column, (name, label, unit) in zip(st.columns(2), _FIELDS[start : start + 2], strict=True):
            with column:
                given[name] = _draw_field(
                    f"limit.{key}.{name}", t(label), unit, budget.limits[name], default.limits[name]
                )
    return given


def _draw_field(key: str, label: str, unit: Unit, value: int | None, default: int | None) -> int | None:
    said = t("usage.default", limit=amount(default, unit) if default else t("usage.no_limit_short"))
    if unit == "tokens":
        return st.number_input(label, min_value=0, value=value, step=1000, key=key, placeholder=said)
    shown = None if value is None else value / 1e6
    dollars = st.number_input(label, min_value=0.0, value=shown, step=1.0, format="%.4f", key=key, placeholder=said)
    return None if dollars is None else round(dollars * 1e6)


def _save(admin: Account, name: str, budget: Budget) -> None:
    services().budgets.put(name, budget, admin.username)
    services().meter.forget(name)
    given = ", ".join(f"{limit} {value}" for limit, value in budget.limits.items() if value is not None)
    logs.security(f"limits of {name} set by {admin.username}", to=given or "the default")
    st.session_state[_TOLD] = name
    st.rerun()
