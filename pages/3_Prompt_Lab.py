"""Prompt Lab: write a prompt, see what travels, and compare what comes back."""

import streamlit as st

from codecoach.chat.messages import MessageState
from codecoach.ui import acting, icon_only, notices, page
from codecoach.ui.lab import answer, compare, prompt, templates, workbench
from codecoach.ui.live import Following
from codecoach.ui.session import services

account = page.open_page("nav.lab", layout="wide")
following = Following()

bench = workbench.enter(account.username)
icon_only.draw_style()
templates.draw_list(bench)
mode = compare.draw_mode()
with notices.guard():
    templates.draw_bar(bench)
acting.show_problem()

if mode == "prompt":
    left, right = st.columns(2, gap="medium")
    with left, notices.guard():
        last = services().bench.answer(account.username, prompt.PLACE)
        writing = last is not None and last.state is MessageState.STREAMING
        prompt.draw_model(bench)
        prompt.draw_texts(bench)
        prompt.draw_variables(bench)
        buttons = st.container()
        images = prompt.draw_images(bench)
        prompt.draw_more(bench)
        with buttons:
            prompt.draw_buttons(bench, images, writing)
        prompt.draw_keys(bench, images)
        with right, notices.guard():
            answer.draw(bench, following, images, last)
else:
    with notices.guard():
        compare.draw(bench, following)

if not templates.draw_dialog(bench):
    with notices.guard():
        # What has ended changes what can be done: the buttons are drawn anew.
        if following.until_done():
            st.rerun()
