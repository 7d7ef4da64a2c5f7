"""Everybody's accounts and the open invitations, for administrators."""

import hashlib
from typing import Final, Literal

import streamlit as st

from codecoach.i18n import Notice
from codecoach.store import usernames
from codecoach.store.accounts import Account
from codecoach.ui import account_panel, acting, confirm, notices, session, told_once
from codecoach.ui.administration import Administration, is_admin
from codecoach.ui.moments import moment
from codecoach.ui.roster import Entry, matching, roster
from codecoach.ui.session import services, t

# With the panel below in sight on a screen of ordinary height.
ON_A_PAGE: Final = 10
# How many were added in this session: the form's fields begin anew after each that was, and after none that was not.
_ADDED: Final = "accounts-added"
_CHOSEN: Final = "accounts-chosen"


def draw_accounts(account: Account) -> None:
    """Draw everybody, and what may be done with one of them. Draws nothing for anybody but an administrator."""
    if not is_admin(account):
        return
    acting.show_problem()
    told_once.draw()
    confirm.draw()
    with st.expander(t("accounts.add"), icon=":material/person_add:"):
        _draw_adding()
    everybody = roster(services())
    words = st.text_input(
        t("accounts.search"), placeholder=t("accounts.search_hint"), icon=":material/search:", key="accounts-search"
    )
    found = matching(everybody, words)
    st.caption(t("accounts.count", shown=len(found), all=len(everybody)))
    if found:
        _draw_found(found, account)
    else:
        st.info(t("accounts.none_found", words=notices.plain(words)))


def _draw_found(found: tuple[Entry, ...], account: Account) -> None:
    place = st.container()
    pages = -(-len(found) // ON_A_PAGE)
    # Under a key for each search: another result begins with its first page.
    page = st.pagination(pages, max_visible_pages=5, key=f"accounts-page-{_digest(found)}") if pages > 1 else 1
    shown = found[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    last = services().last_sign_ins.of([one.username for one in shown])
    with place:
        chosen = _draw_table(shown, {name: moment(at) for name, at in last.items()})
    if chosen:
        with notices.guard():
            account_panel.draw_panel(chosen, last.get(chosen.username), account)


def _draw_table(shown: tuple[Entry, ...], last: dict[str, str]) -> Entry | None:
    """Draw a page of everybody; the one that is chosen: the one before where it is still there, else the only one there is."""
    names = [one.username for one in shown]
    chosen = st.session_state.get(_CHOSEN)
    rows = [names.index(chosen)] if chosen in names else [0] if len(names) == 1 else []
    state = st.dataframe(
        [
            {
                t("accounts.address"): one.username,
                t("accounts.standing"): t(f"accounts.{one.standing}"),
                t("accounts.role"): account_panel.role_words(one),
                t("accounts.last_sign_in"): last.get(one.username, t("accounts.never")),
            }
            for one in shown
        ],
        hide_index=True,
        height="content",
        # A row is known by its number alone: under another key where the rows are others.
        key=f"accounts-table-{_digest(shown)}",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": rows, "columns": [], "cells": []}},
        column_config={t("accounts.address"): st.column_config.Column(width="medium")},
    )
    picked = [number for number in state.selection.rows if number < len(shown)]
    entry = shown[picked[0]] if picked else None
    st.session_state[_CHOSEN] = entry.username if entry else None
    return entry


def _draw_adding() -> None:
    turn = st.session_state.get(_ADDED, 0)
    with st.form("accounts-add", border=False):
        st.text_input(t("accounts.address"), key=f"accounts-new-name-{turn}", autocomplete="off")
        st.radio(
            t("accounts.begins_with"),
            ["invitation", "password"],
            format_func={
                "invitation": t("accounts.begins_invitation"),
                "password": t("accounts.begins_password"),
            }.__getitem__,
            key=f"accounts-new-how-{turn}",
        )
        st.checkbox(t("accounts.may_manage"), key=f"accounts-new-admin-{turn}")
        st.caption(t("accounts.add_hint"))
        st.form_submit_button(
            t("accounts.add_button"), icon=":material/person_add:", on_click=acting.attempt, args=(_add, turn)
        )


def _add(turn: int) -> None:
    name = str(st.session_state[f"accounts-new-name-{turn}"])
    how: Literal["invitation", "password"] = st.session_state[f"accounts-new-how-{turn}"]
    admin = bool(st.session_state[f"accounts-new-admin-{turn}"])
    if how == "invitation":
        account_panel.invite(name, admin)
    else:
        password = Administration(services(), session.username()).add(name, admin)
        sentence = Notice("accounts.added", {"user": usernames.folded(name)})
        told_once.tell_next(sentence, one_time_password=password)
    st.session_state[_ADDED] = turn + 1
    st.session_state[_CHOSEN] = usernames.folded(name)


def _digest(entries: tuple[Entry, ...]) -> str:
    return hashlib.sha256("\n".join(one.username for one in entries).encode()).hexdigest()[:16]
