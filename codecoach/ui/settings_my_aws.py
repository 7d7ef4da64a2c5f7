"""What one's own programs may do in the AWS account of this place, and a look whether it works."""

import streamlit as st

from codecoach.aws.run_role import ALL_OF_THE_ROLE
from codecoach.store.accounts import Account
from codecoach.ui import notices, run_panel
from codecoach.ui.session import services, t


def draw_my_aws(account: Account) -> None:
    """Draw the role that programs get, or why they get none, and try it on a click."""
    st.subheader(t("settings_page.my_aws"))
    settings, gate = services().settings, services().my_aws
    if not gate.exists:
        st.caption(t("settings_page.my_aws_none"))
        return
    if not gate.allows(account):
        st.caption(t("settings_page.my_aws_not_you"))
        return
    policy = settings.run_role_policy
    narrowed = t("settings_page.my_aws_whole") if policy == ALL_OF_THE_ROLE else notices.plain(policy)
    st.markdown(t("settings_page.my_aws_role", role=notices.plain(settings.run_role_arn), policy=narrowed))
    if st.button(t("settings_page.my_aws_try"), icon=":material/key:", key="settings-try-aws"):
        with notices.guard():
            lent = gate.lend(account.username)  # thrown away at once: only who it is and until when is shown
            until = run_panel.clock_words(lent.expires_at)
            st.success(t("settings_page.my_aws_works", arn=notices.plain(lent.arn), until=until))
