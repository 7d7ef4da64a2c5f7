"""The list of conversations in the sidebar, and which of them is open.

The open conversation stands in the page's address (`?c=<id>`), so that F5, a bookmark and a second tab find it.
"""

import time
from typing import Final

import streamlit as st

from codecoach.chat.messages import Conversation
from codecoach.ui import acting, list_entry, narrow, notices, page
from codecoach.ui.session import services, t
from codecoach.ui.shown import shown

PARAMETER: Final = "c"
PAGE_SIZE: Final = 20
FOUND_FOR_S: Final = 30.0

_LAST: Final = "chat:last"
_SHOWN: Final = "chat:conversations_shown"
_WORDS: Final = "chat:search"
_FOUND: Final = "chat:found"


def open_conversation(owner: str) -> Conversation | None:
    """The conversation that is open, or None for a new one."""
    wanted = st.query_params.get(PARAMETER) or st.session_state.get(_LAST)
    if not wanted:
        return None
    found = _of_list(owner, wanted) or shown().conversations.get(owner, wanted)
    if found is None and not acting.has_problem("no_such_conversation"):
        st.info(t("chat.no_such_conversation"), icon=":material/search_off:")
    show(found.id if found else None)
    return found


def _of_list(owner: str, wanted: str) -> Conversation | None:
    """The conversation, if it is one of those that the list will show; that needs no further look into the store."""
    if str(st.session_state.get(_WORDS) or "").strip():
        return None
    listed, _ = _listed(owner, "", st.session_state.get(_SHOWN, PAGE_SIZE))
    return next((one for one in listed if one.id == wanted), None)


def show(conversation_id: str | None) -> None:
    """Open a conversation, or with None a new one, in the script run that follows."""
    if conversation_id:
        st.query_params[PARAMETER] = conversation_id
        st.session_state[_LAST] = conversation_id
    else:
        st.query_params.pop(PARAMETER, None)
        st.session_state.pop(_LAST, None)


def draw(owner: str, current: Conversation | None) -> None:
    """Draw the list: newest first, page by page, or what a search finds."""
    with notices.guard(), page.sidebar():  # what is wrong is told on the page: a sidebar may be put away
        st.button(t("chat.new"), icon=":material/add_comment:", on_click=_begin, key="chat:new", width="stretch")
        words = st.text_input(
            t("chat.search"),
            key=_WORDS,
            type="search",
            placeholder=t("chat.search"),
            label_visibility="collapsed",
            icon=":material/search:",
        )
        limit = st.session_state.get(_SHOWN, PAGE_SIZE)
        listed, more = _listed(owner, words or "", limit)
        with list_entry.entries():
            for conversation in listed:
                is_open = bool(current and conversation.id == current.id)
                list_entry.draw_entry(conversation.id, title_of(conversation), is_open, show)
        note = (
            st.empty()
        )  # always there: what stood here before the first question would stay beside it until its reply ends
        if not listed:
            note.caption(t("chat.nothing_found") if words else t("chat.none_yet"))
        if more:
            st.button(
                t("chat.more"), on_click=_show_more, key="chat:more", type="tertiary", icon=":material/expand_more:"
            )


def _begin() -> None:
    show(None)
    narrow.put_sidebar_away()


def _listed(owner: str, words: str, limit: int) -> tuple[tuple[Conversation, ...], bool]:
    """What to list, and whether there is more."""
    if words.strip():
        return _found(owner, words.strip()), False
    page_of_all = shown().conversations.list(owner, limit=limit)
    return page_of_all.conversations, page_of_all.next is not None


def _found(owner: str, words: str) -> tuple[Conversation, ...]:
    """What a search finds; it reads many messages, so the next script runs take its answer from the session."""
    known: tuple[str, float, tuple[Conversation, ...]] | None = st.session_state.get(_FOUND)
    if known is None or known[0] != words or time.monotonic() - known[1] > FOUND_FOR_S:
        known = (words, time.monotonic(), services().conversations.search(owner, words).conversations)
        st.session_state[_FOUND] = known
    return known[2]


def draw_dialog(owner: str, current: Conversation | None) -> bool:
    """Draw the dialog that was asked for. True where one is open."""

    def rename(title: str, was: str) -> None:
        # What stands for a title is none.
        seen = conversation.title if was == title_of(conversation) else was
        services().conversations.rename(owner, conversation.id, title, seen)
        st.session_state.pop(_FOUND, None)

    def delete() -> None:
        if generation := services().generations.find(conversation.id):
            generation.stop()
        services().conversations.delete(owner, conversation.id)
        st.session_state.pop(_FOUND, None)
        show(None)

    if current is None:
        return False
    conversation = current
    return list_entry.draw_dialog(conversation.id, title_of(conversation), rename, delete)


def _show_more() -> None:
    st.session_state[_SHOWN] = st.session_state.get(_SHOWN, PAGE_SIZE) + PAGE_SIZE


def title_of(conversation: Conversation) -> str:
    """The conversation's title, or what stands for one while it has none."""
    return conversation.title or t("chat.untitled")
