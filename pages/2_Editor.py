"""Editor: change a program, run it, have it fixed or explained."""

import streamlit as st

from codecoach.ui import (
    acting,
    advice,
    budget,
    editor,
    icon_only,
    notices,
    output,
    page,
    programs,
    run_panel,
    running,
    workshop,
)
from codecoach.ui.live import Following

account = page.open_page("nav.editor", layout="wide")
owner = account.username
following = Following()

shop = workshop.enter(lambda: programs.open_program(owner))
icon_only.draw_style()
run_panel.draw_style()
programs.draw_list(owner, shop.program if shop else None)

if shop is None:
    editor.draw_empty(owner)
    acting.show_problem()
    st.stop()

editor.draw_heading(shop)
running.draw_confirmation(owner)
acting.show_problem()
left, right = st.columns([11, 9], gap="medium")
with left, notices.guard():
    editor.draw_files(shop)
    editor.draw_conflict(shop)
    editor.draw_code(shop)
    editor.draw_buttons(shop)
    budget.draw_warning(owner)
    editor.draw_inputs(shop)
    editor.draw_keys(shop)
with right, notices.guard():
    given = advice.read(shop)
    output.draw(shop, following, proposed=advice.proposes(shop, given))
    advice.draw(shop, following, given)

if not programs.draw_dialog(owner, shop.program):
    with notices.guard():
        # What has ended changes what can be done: the buttons are drawn anew.
        if following.until_done():
            st.rerun()
