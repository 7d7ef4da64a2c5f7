"""The code editor: streamlit-ace, and a small element beside it that mends four things it leaves open.

- It reports text 200 ms after the last key. A click on Run within that time would run the old text. So the element reports
  the text in the editor's name the moment the editor loses the focus, which a click elsewhere makes it do before
  the click itself is reported; the server gets both in one script run, the newer text first.
- Ctrl+Enter (Cmd+Enter) would insert a line; here it runs.
- Suggestions open by themselves and Enter takes them, at the end of a line too; here Ctrl+Space opens them.
- Tab indents, so that nobody could leave by keyboard; Escape leaves.

streamlit-ace stays the only one that holds the text: should the element ever fail, editing still works, 200 ms late.

Not in a fragment: Streamlit joins what happens at the same moment into one script run, and if the edit comes first from a
fragment, the click beside it would be dropped.
"""

from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final

import streamlit as st
from streamlit_ace import st_ace

from codecoach.ui.session import t

# Each edit sends the whole file.
MAX_CHARS: Final = 200_000
_SCOPE: Final = "code-editor"
MIN_LINES: Final = 18
MAX_LINES: Final = 32
# Without an edge nobody sees where the editor ends, on a white page least of all.
_STYLE: Final = f"""<style>
.st-key-{_SCOPE} iframe {{ box-sizing: border-box; border: 1px solid rgba(128, 128, 128, .35); border-radius: 8px; }}
</style>"""


def code_editor(
    text: str, mode: str, key: str, *, min_lines: int = MIN_LINES, max_lines: int = MAX_LINES, wrap: bool = False
) -> None:
    """Draw the editor. What is typed is found under `key` in the session state.

    key  names the text being edited: another key shows `text`, the same one keeps what was typed and ignores `text`
    """
    st.html(_STYLE)
    with st.container(key=_SCOPE):
        st_ace(
            value=text,
            key=key,
            language=mode,
            theme="tomorrow_night" if _dark() else "chrome",
            auto_update=True,
            min_lines=min_lines,
            max_lines=max_lines,
            height=None,
            font_size=14,
            show_print_margin=False,
            wrap=wrap,
        )


def draw_link(on_run: Callable[[], None], label: str = "") -> None:
    """Draw the element beside the editor, which takes a line of its own; `on_run` is called for Ctrl+Enter.

    label  the editor's name for those who do not see it; by default that of a program's
    """
    data = {"scope": _SCOPE, "label": label or t("editor.code"), "dark": _dark()}
    _link()(key="editor:link", data=data, on_run_change=on_run, height=1)


def _dark() -> bool:
    return st.context.theme.type == "dark"


@cache
def _link() -> Callable[..., Any]:
    script = resources.files("codecoach.ui").joinpath("ace_link.js").read_text("utf-8")
    return st.components.v2.component("codecoach_ace_link", js=script)
