"""An entry of a list in the sidebar: a button that opens a thing, and for the open one a menu to rename or delete it.

Dialogs are fragments, and what is clicked in a fragment waits while the page follows something live. So a page with an
open dialog does not follow; it goes on when the dialog is closed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st

from codecoach.errors import InputRefused
from codecoach.ui import narrow, notices, page, shown
from codecoach.ui.icon_only import icon_only
from codecoach.ui.session import t

TITLE_CHARS: Final = 80
_DIALOG: Final = "list:dialog"
_OPENED: Final = "list:name_when_opened"
_SEEN: Final = "list:name_seen_since"


# Streamlit centres a button's label; a list reads from the left.
_STYLE: Final = """<style>
.st-key-entries button { justify-content: flex-start; text-align: left; }
.st-key-entries button > div { justify-content: flex-start; min-width: 0; }
</style>"""


@contextmanager
def entries() -> Iterator[None]:
    """The place of a list's entries."""
    st.html(_STYLE)
    with st.container(gap=None, key="entries"):
        yield


def draw_entry(item_id: str, title: str, is_open: bool, show: Callable[[str], None]) -> None:
    """Draw an entry; `show` opens the item of the given id."""
    with st.container(horizontal=True, gap=None, vertical_alignment="center", wrap=False):
        st.button(
            notices.plain(title),
            key=f"open.{item_id}",
            type="secondary" if is_open else "tertiary",
            on_click=_open,
            args=(item_id, show),
            width="stretch",
        )
        if is_open:
            _draw_menu(item_id)


def _open(item_id: str, show: Callable[[str], None]) -> None:
    show(item_id)
    narrow.put_sidebar_away()


def _draw_menu(item_id: str) -> None:
    labels = {"rename": t("list.rename"), "delete": t("list.delete")}
    with icon_only(item_id):
        chosen = st.menu_button(
            t("list.menu"),
            list(labels),
            format_func=labels.__getitem__,
            icon=":material/more_horiz:",
            type="tertiary",
            help=t("list.menu"),
            key=f"menu.{item_id}",
        )
    if chosen:
        _close()
        st.session_state[_DIALOG] = (item_id, chosen)


def draw_dialog(item_id: str, title: str, rename: Callable[[str, str], None], delete: Callable[[], None]) -> bool:
    """Draw the dialog that was asked for. True where one is open.

    `rename` is given the new name and the one that was seen before; where it raises `InputRefused("renamed_elsewhere")`, the
    other name is shown, and has been seen when the new one is saved again.
    """
    asked_id, asked = st.session_state.get(_DIALOG, ("", ""))
    if asked_id != item_id:
        return False
    if asked == "rename":
        st.dialog(t("list.rename"), on_dismiss=_close)(_rename)(title, rename)
    else:
        st.dialog(t("list.delete"), on_dismiss=_close)(_delete)(title, delete)
    return True


def _rename(title: str, rename: Callable[[str, str], None]) -> None:
    # As it was called when the dialog was opened, whatever it is called by now.
    opened = st.session_state.setdefault(_OPENED, title)

    def save(new: str) -> None:
        try:
            rename(new, st.session_state.get(_SEEN, opened))
        except InputRefused as error:
            if error.key == "renamed_elsewhere":
                st.session_state[_SEEN] = error.values["name"]
            raise

    # Cut only when it is saved: where the field has a limit, a longer text cannot even be pasted.
    with st.form("list:rename", border=False):
        new = st.text_input(t("list.title"), value=opened)
        if st.form_submit_button(t("list.save"), type="primary") and new and new.strip():
            _do(lambda: save(new.strip()[:TITLE_CHARS]))


def _delete(title: str, delete: Callable[[], None]) -> None:
    st.markdown(t("list.delete_question", title=notices.plain(title)))
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button(t("list.cancel"), key="list:no"):
            _do(lambda: None)
        if st.button(t("list.delete"), key="list:yes", type="primary", icon=":material/delete:"):
            _do(delete)


def _do(action: Callable[[], None]) -> None:
    page.check_gate()  # a dialog runs again without its page
    notices.begin()
    shown.look_anew()
    with notices.guard():
        action()
        _close()
        st.rerun()


def _close() -> None:
    for key in (_DIALOG, _OPENED, _SEEN):
        st.session_state.pop(key, None)
