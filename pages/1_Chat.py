"""Chat: ask for code, watch it come, run it where it stands."""

import streamlit as st

from codecoach.chat.messages import MessageState
from codecoach.ui import (
    acting,
    aws_choice,
    budget,
    conversation,
    fresh,
    icon_only,
    notices,
    page,
    run_panel,
    running,
    sidebar,
)
from codecoach.ui.live import Following
from codecoach.ui.reply import Surroundings

account = page.open_page("nav.chat")
owner = account.username
current, last, following = None, None, Following()
known = readable = False  # which conversation is open, and what stands in it: neither while the store is away

with notices.guard():
    current = sidebar.open_conversation(owner)
    known = True
sidebar.draw(owner, current)

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    spent = conversation.draw_header(owner, current)
    aws_choice.draw(owner)
icon_only.draw_style()
run_panel.draw_style()

with fresh.container(current.id if current else ""), notices.guard():
    if current:
        last = conversation.draw_messages(owner, current, Surroundings(owner, current.id, following))
    if last is None and known:
        conversation.draw_empty(owner, current)
    readable = known
if not readable:
    conversation.draw_look_again()
running.draw_confirmation(owner)
acting.show_problem()

dialog_open = sidebar.draw_dialog(owner, current)
stop = st.bottom.empty()
if current and last and last.state is MessageState.STREAMING and not dialog_open:
    with stop.container(horizontal_alignment="center"):
        conversation.draw_stop(current, last)
warning = st.bottom.empty()
if current:
    budget.draw_spent(spent, owner, current)
budget.draw_warning(owner, current.id if current else "", warning)
# Not inside `st.bottom`: only where Streamlit itself puts the input there does the page keep to its end.
conversation.draw_composer(owner, current, disabled=not readable)

if not dialog_open:
    with notices.guard():
        if following.until_done() and current:  # that has cost something
            budget.draw_spent(spent, owner, current)
            budget.draw_warning(owner, current.id, warning)
    stop.empty()
