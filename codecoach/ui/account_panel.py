"""What an administrator sees of one account or invitation, and may do to it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import streamlit as st

from codecoach.i18n import Notice
from codecoach.settings import MyAws
from codecoach.store import usernames
from codecoach.store.accounts import ROLE_ADMIN, ROLE_MY_AWS, Account
from codecoach.store.invitations import KEPT_DAYS
from codecoach.ui import acting, confirm, cookie, invited, notices, session, told_once
from codecoach.ui.administration import Administration, is_admin
from codecoach.ui.confirm import Question
from codecoach.ui.markup import unlinked
from codecoach.ui.moments import moment
from codecoach.ui.roster import Entry, Standing
from codecoach.ui.session import services, t


@dataclass(frozen=True)
class Action:
    """Something that can be done to an account; its texts are `accounts.<name>`, `<name>_done` and, asked first, `<name>_question`.

    do  returns a new one-time password, or nothing
    """

    icon: str
    asked_first: bool
    do: Callable[[Administration, str], str | None]


ACTIONS: Final = {
    "reset": Action("lock_reset", True, Administration.reset),
    "unlock": Action("lock_open", False, Administration.unlock),
    "sign_out": Action("logout", True, Administration.sign_out),
    "make_admin": Action("shield_person", True, lambda admin, name: admin.make_admin(name, True)),
    "take_admin": Action("remove_moderator", True, lambda admin, name: admin.make_admin(name, False)),
    "allow_my_aws": Action("cloud", False, lambda admin, name: admin.allow_my_aws(name, True)),
    "refuse_my_aws": Action("cloud_off", False, lambda admin, name: admin.allow_my_aws(name, False)),
    "enable": Action("check", False, Administration.enable),
    "disable": Action("block", True, Administration.disable),
    "delete": Action("delete_forever", True, Administration.delete),
    "withdraw": Action("cancel_schedule_send", True, Administration.withdraw),
}


def draw_panel(entry: Entry, last_sign_in_at: datetime | None, admin: Account) -> None:
    """Draw one of everybody, and what `admin` may do to them."""
    with st.container(border=True, key="account-panel"):
        st.subheader(unlinked(notices.plain(entry.username)), anchor=False)
        if entry.account is None:
            _draw_invitation(entry)
        else:
            _draw_account(entry, entry.account, last_sign_in_at, entry.username == admin.username)


def role_words(entry: Entry) -> str:
    """The roles of an entry in words."""
    gate = services().my_aws
    words = [t("accounts.admin") if ROLE_ADMIN in entry.roles else t("accounts.user")]
    if entry.account and gate.exists and gate.allows(entry.account):
        words.append(t("accounts.my_aws"))
    return " · ".join(words)


def invite(username: str, admin: bool) -> None:
    """Invite somebody and have told what to hand over; a click's action."""
    code = Administration(services(), session.username()).invite(username, admin)
    sentence = Notice("accounts.invited_now", {"user": usernames.folded(username), "days": KEPT_DAYS})
    told_once.tell_next(sentence, link=_link(code), code=code)


def _draw_invitation(entry: Entry) -> None:
    until = moment(entry.expires_at) if entry.expires_at else ""
    made = moment(entry.created_at)
    st.caption(t("accounts.invitation_facts", made=made, until=until, role=role_words(entry)))
    with st.container(horizontal=True):
        st.button(
            t("accounts.invite_again"),
            icon=":material/refresh:",
            key="accounts-invite_again",
            on_click=acting.attempt,
            args=(invite, entry.username, ROLE_ADMIN in entry.roles),
        )
        _draw_action("withdraw", entry.username)


def _draw_account(entry: Entry, account: Account, last_sign_in_at: datetime | None, oneself: bool) -> None:
    last = moment(last_sign_in_at) if last_sign_in_at else t("accounts.never")
    standing, made = t(f"accounts.{entry.standing}"), moment(entry.created_at)
    with st.container(gap="xxsmall"):
        st.caption(t("accounts.facts", standing=standing, role=role_words(entry), made=made, last=last))
        st.caption(t("accounts.this_is_you") if oneself else _sign_ins(entry.username))
    if oneself:
        return
    if (locked_s := services().failures.wait_s(entry.username, "")) > 0:
        st.warning(t("accounts.locked", minutes=-(-locked_s // 60)), icon=":material/lock_clock:")
    with st.container(horizontal=True):
        for name in _possible(entry, account):
            _draw_action(name, entry.username)


def _sign_ins(username: str) -> str:
    count = len(services().sign_ins.all_of(username))
    if count > 1:
        return t("accounts.open_sign_ins", count=count)
    return t("accounts.open_sign_in") if count else t("accounts.no_sign_in")


def _possible(entry: Entry, account: Account) -> list[str]:
    possible = ["reset", "unlock", "sign_out", "take_admin" if is_admin(account) else "make_admin"]
    # Only where it is for administrators to decide, and for whom it changes anything.
    if services().my_aws.exists and services().settings.my_aws is MyAws.CHOSEN and not is_admin(account):
        possible.append("refuse_my_aws" if ROLE_MY_AWS in account.roles else "allow_my_aws")
    return [*possible, "enable" if entry.standing is Standing.DISABLED else "disable", "delete"]


def _draw_action(name: str, username: str) -> None:
    action, label = ACTIONS[name], f"accounts.{name}"
    callback: Callable[..., None] = acting.attempt
    args: tuple[object, ...] = (_act, name, username)
    if action.asked_first:
        question = "delete_admitted" if name == "delete" and _comes_back(username) else name
        sentence = Notice(f"accounts.{question}_question", {"user": username})
        typed = username if name == "delete" else ""
        callback, args = confirm.ask, (Question(sentence, label, _act, (name, username), typed),)
    st.button(t(label), icon=f":material/{action.icon}:", key=f"accounts-{name}", on_click=callback, args=args)


def _comes_back(username: str) -> bool:
    """Whether the sign-in provider would make them a new account, as it does for everybody of some domains."""
    return username.rpartition("@")[2] in services().settings.oidc_allowed_domains


def _act(name: str, username: str) -> None:
    password = ACTIONS[name].do(Administration(services(), session.username()), username)
    secrets = {"one_time_password": password} if password else {}
    told_once.tell_next(Notice(f"accounts.{name}_done", {"user": username}), **secrets)


def _link(code: str) -> str:
    """The address that the invited opens: that of the settings, else the one this page was opened at; with the code."""
    address = services().settings.public_url or f"{cookie.origin()}{cookie.base_path()}"
    return f"{address}/?{invited.PARAMETER}={code}"
