"""The choices of how the interface looks and speaks: language, and light or dark."""

from typing import Final

import streamlit as st

from codecoach.i18n import Language
from codecoach.ui import cookie, session
from codecoach.ui.session import t

LANGUAGE_NAMES: Final = {Language.EN: "English", Language.ZH: "中文"}
_LANGUAGE = "codecoach.language_switch"
PATHS: Final = ("", "Chat", "Editor", "Prompt_Lab", "Settings")

# Streamlit keeps a browser's theme in its local storage, one entry for each address a page was opened at. Should a later
# Streamlit rename them, the choice has no effect and the page follows the system again.
_THEME_JS: Final = """
const entry = (path) => `stActiveTheme-${path}-v2`;
const names = ["System", "Light", "Dark"];
export default function ({ data: [data], parentElement }) {
  const box = parentElement.querySelector("[role=radiogroup]");
  const chosen = localStorage.getItem("codecoach-theme") ?? "System";
  box.setAttribute("aria-label", data.label);
  box.replaceChildren(...names.map((name, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = data.choices[index];
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(name === chosen));
    button.onclick = () => {
      if (name === chosen) return;
      localStorage.setItem("codecoach-theme", name);
      for (const path of data.paths) {
        if (name === "System") localStorage.removeItem(entry(path));
        else localStorage.setItem(entry(path), JSON.stringify(name));
      }
      window.location.reload();
    };
    return button;
  }));
}
"""
_THEME_CSS: Final = """
[role=radiogroup] { display: flex; }
button {
  flex: 1; height: 2rem; padding: 0 0.6rem; cursor: pointer; font: inherit; font-size: 0.875rem;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color);
}
button + button { border-left: 0; }
button:first-child { border-radius: var(--st-base-radius) 0 0 var(--st-base-radius); }
button:last-child { border-radius: 0 var(--st-base-radius) var(--st-base-radius) 0; }
button:hover, button:focus-visible { color: var(--st-primary-color); }
button[aria-checked="true"] {
  color: var(--st-primary-color); box-shadow: inset 0 0 0 1px var(--st-primary-color);
  background: color-mix(in srgb, var(--st-primary-color) 10%, var(--st-background-color));
}
"""


def language_switch(place: str) -> None:
    """Draw the choice of the interface's language; `place` tells apart where it is drawn twice."""
    key = f"{_LANGUAGE}-{place}"
    st.session_state[key] = session.language()
    st.segmented_control(
        t("nav.language"),
        list(Language),
        required=True,
        format_func=LANGUAGE_NAMES.__getitem__,
        key=key,
        on_change=_language_chosen,
        args=(key,),
        label_visibility="collapsed",
        width="stretch",
    )


def theme_switch(place: str) -> None:
    """Draw the choice of system, light and dark. It is the browser's own, and reloads the page."""
    element = st.components.v2.component(
        "codecoach_theme", html='<div role="radiogroup"></div>', css=_THEME_CSS, js=_THEME_JS
    )
    data = {
        "label": t("nav.theme"),
        "choices": [t("nav.theme_system"), t("nav.theme_light"), t("nav.theme_dark")],
        "paths": [f"{cookie.base_path()}/{path}" for path in PATHS],
    }
    # In a list: in a bare dictionary Streamlit looks for data frames, and imports pandas for it before the first page.
    element(key=f"codecoach.theme_switch-{place}", data=[data])


def theme_is_dark() -> bool:
    """True where the page is drawn dark; may be wrong in the very first run of a session."""
    return st.context.theme.type == "dark"


def _language_chosen(key: str) -> None:
    # Gone where the click met the end of a sign-in, which forgets what the session knew.
    if chosen := st.session_state.get(key):
        session.choose_language(chosen)
