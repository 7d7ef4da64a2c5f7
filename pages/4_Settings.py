"""Settings: the model, one's account and usage, the state of the parts; for administrators the runtimes and everybody's."""

import streamlit as st

from codecoach.ui import fresh, notices, page
from codecoach.ui.administration import is_admin
from codecoach.ui.session import t
from codecoach.ui.settings_account import draw_account
from codecoach.ui.settings_accounts import draw_accounts
from codecoach.ui.settings_everybody import draw_everybody
from codecoach.ui.settings_model import draw_model
from codecoach.ui.settings_runtimes import draw_runtimes
from codecoach.ui.settings_state import draw_state
from codecoach.ui.settings_usage import draw_usage

account = page.open_page("nav.settings")

SECTIONS = {
    "model": (t("settings_page.model"), ":material/neurology:", draw_model),
    "account": (t("settings_page.account"), ":material/person:", draw_account),
    "usage": (t("usage.section"), ":material/payments:", draw_usage),
    "state": (t("settings_page.state"), ":material/monitor_heart:", draw_state),
}
if is_admin(account):
    SECTIONS["runtimes"] = (t("settings_page.runtimes"), ":material/deployed_code:", draw_runtimes)
    SECTIONS["accounts"] = (t("settings_page.accounts"), ":material/group:", draw_accounts)
    SECTIONS["everybody"] = (t("usage.section_everybody"), ":material/bar_chart:", draw_everybody)

st.title(t("nav.settings"))
chosen = st.pills(
    t("nav.settings"),
    list(SECTIONS),
    default="model",
    required=True,
    format_func=lambda section: f"{SECTIONS[section][1]} {SECTIONS[section][0]}",
    key="settings-section",
    label_visibility="collapsed",
)
with fresh.container(f"settings {chosen}"), notices.guard():
    SECTIONS[chosen][2](account)
