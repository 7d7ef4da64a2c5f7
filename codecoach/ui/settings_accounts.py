"""Everybody's accounts, for administrators."""

import logging
from typing import Final

import streamlit as st

from codecoach.settings import MyAws
from codecoach.store.accounts import ROLE_MY_AWS, Account
from codecoach.ui import notices, session
from codecoach.ui.administration import Administration, is_admin
from codecoach.ui.session import services, t

log = logging.getLogger(__name__)

# (sentence, account, one-time password); drawn once and forgotten.
_TOLD: Final = "settings-told"


def draw_accounts(account: Account) -> None:
    """Draw all accounts, and what may be done with them. Draws nothing for anybody but an administrator."""
    if not is_admin(account):
        return
    _tell_once()
    everybody = services().accounts.all()
    st.dataframe(
        [
            {
                t("signin.username"): one.username,
                t("settings_page.role"): t("settings_page.admin") if is_admin(one) else t("settings_page.user"),
                t("settings_page.standing"): _standing(one),
                t("settings_page.created"): one.created_at.date(),
            }
            | ({t("settings_page.my_aws"): services().my_aws.allows(one)} if services().my_aws.exists else {})
            for one in everybody
        ],
        hide_index=True,
        # A long name would push all that is said of it off a narrow screen.
        column_config={t("signin.username"): st.column_config.Column(width="medium")},
    )
    with notices.guard():
        _change(account, everybody)
    with notices.guard():
        _add()


def _change(admin: Account, everybody: tuple[Account, ...]) -> None:
    others = {one.username: one for one in everybody if one.username != admin.username}
    if not others:
        return
    name = st.selectbox(t("settings_page.change_account"), list(others), key="settings-other")
    administration = Administration(services().accounts, services().sign_ins)
    with st.container(horizontal=True):
        if st.button(t("settings_page.reset"), icon=":material/lock_reset:", key="settings-reset"):
            _remember_to_tell("settings_page.reset_done", name, administration.reset(name))
        if others[name].disabled:
            if st.button(t("settings_page.enable"), icon=":material/check:", key="settings-enable"):
                administration.enable(name)
                _remember_to_tell("settings_page.enabled", name)
        elif st.button(t("settings_page.disable"), icon=":material/block:", key="settings-disable"):
            administration.disable(name)
            _remember_to_tell("settings_page.disabled", name)
        _change_my_aws(others[name], administration)
    st.caption(t("settings_page.change_account_hint"))


def _change_my_aws(other: Account, administration: Administration) -> None:
    """Only where it is for administrators to decide, and for whom it changes anything."""
    decided_here = services().my_aws.exists and services().settings.my_aws is MyAws.CHOSEN
    if not decided_here or is_admin(other):
        return
    if ROLE_MY_AWS in other.roles:
        if st.button(t("settings_page.my_aws_refuse"), icon=":material/cloud_off:", key="settings-no-aws"):
            administration.allow_my_aws(other.username, False)
            _remember_to_tell("settings_page.my_aws_refused", other.username)
    elif st.button(t("settings_page.my_aws_allow"), icon=":material/cloud:", key="settings-aws"):
        administration.allow_my_aws(other.username, True)
        _remember_to_tell("settings_page.my_aws_allowed", other.username)


def _add() -> None:
    st.subheader(t("settings_page.add"))
    with st.form("settings-add", clear_on_submit=True):
        email = st.text_input(t("signin.username"), key="settings-new-name", autocomplete="off")
        admin = st.checkbox(t("settings_page.may_manage"), key="settings-new-admin")
        if st.form_submit_button(t("settings_page.add_button"), icon=":material/person_add:"):
            if services().accounts.get(email):
                st.error(t("settings_page.exists", user=notices.plain(email)))
                return
            password = Administration(services().accounts, services().sign_ins).add(email, admin)
            _remember_to_tell("settings_page.added", email.strip().lower(), password)


def _standing(account: Account) -> str:
    if account.disabled:
        return t("settings_page.is_disabled")
    return t("settings_page.must_change") if account.must_change_password else t("settings_page.is_active")


def _remember_to_tell(key: str, user: str, password: str = "") -> None:
    log.info("%s: %s by %s", key, user, session.username())
    st.session_state[_TOLD] = (key, user, password)
    st.rerun()


def _tell_once() -> None:
    key, user, password = st.session_state.pop(_TOLD, ("", "", ""))
    if key:
        st.success(t(key, user=notices.plain(user)), icon=":material/check:")
    if password:
        st.code(password, language=None)
        st.caption(t("settings_page.told_once"))
