"""Chat: ask for code, watch it come, run it where it stands."""

import streamlit as st

from codecoach.chat.messages import MessageState
from codecoach.ui import acting, conversation, fresh, notices, page, running, sidebar
from codecoach.ui.live import Following
from codecoach.ui.reply import Surroundings

account = page.open_page("nav.chat")
owner = account.username
current, last, following = None, None, Following()

with notices.guard():
    current = sidebar.open_conversation(owner)
sidebar.draw(owner, current)

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    conversation.draw_header(owner, current)
    running.draw_aws_choice(owner)

with fresh.container(current.id if current else ""), notices.guard():
    if current:
        last = conversation.draw_messages(owner, current, Surroundings(owner, current.id, following))
    else:
        conversation.draw_empty(owner)
acting.show_problem()

stop = st.bottom.empty()
if current and last and last.state is MessageState.STREAMING:
    with stop.container(horizontal_alignment="center"):
        conversation.draw_stop(current, last)
# Not inside `st.bottom`: only where Streamlit itself puts the input there does the page keep to its end.
conversation.draw_composer(owner, current)

if not sidebar.draw_dialog(owner, current):
    with notices.guard():
        following.until_done()
    stop.empty()
