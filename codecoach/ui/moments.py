"""Dates and times, as the clock where the browser is shows them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import streamlit as st


def moment(at: datetime) -> str:
    """Date and time to the minute, `2026-11-29 09:20`; in UTC, and saying so, where the browser's zone is not known."""
    zone = st.context.timezone
    try:
        return at.astimezone(ZoneInfo(zone or "")).strftime("%Y-%m-%d %H:%M")
    except (KeyError, ValueError):
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
