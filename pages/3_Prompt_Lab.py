"""Prompt Lab: write a prompt, see what travels, and compare what comes back."""

import streamlit as st

from codecoach.chat.messages import MessageState
from codecoach.ui import acting, budget, icon_only, notices, page, shown
from codecoach.ui.lab import answer, cases, compare, evaluation, modes, prompt, templates, workbench
from codecoach.ui.live import Following

account = page.open_page("nav.lab", layout="wide")
following = Following()

bench = workbench.enter(account.username)
icon_only.draw_style()
templates.draw_list(bench)
mode = modes.draw()
with notices.guard():
    templates.draw_bar(bench)
    templates.draw_conflicts(bench)
acting.show_problem()
budget.draw_warning(account.username)

if mode == "prompt":
    left, right = st.columns(2, gap="medium")
    with left, notices.guard():
        last = shown.bench_answer(account.username, prompt.PLACE)
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
elif mode == "compare":
    with notices.guard():
        compare.draw(bench, following)
else:
    with notices.guard():
        case_set = cases.draw(bench)
        evaluation.draw(bench, case_set, following)

if not templates.draw_dialog(bench):
    with notices.guard():
        # What has ended changes what can be done: the buttons are drawn anew.
        if following.until_done():
            st.rerun()
