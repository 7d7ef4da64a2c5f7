"""The reader's place: kept where something is put in above it, and left for the end by whoever asks something.

Neither the browser nor Streamlit does that by itself. Streamlit draws a list of other length into the elements that stand
there, from the first one on; to the browser nothing has moved, only all texts have changed. And it follows the end of a
conversation only for readers who are there already.
"""

from typing import Final

import streamlit as st

_ORDER: Final = "place:order"

# Once for each order: the wanted element is brought to the top of what scrolls, or the end of the messages into sight, and
# held there while elements still come and grow, until the reader scrolls or all has been still for a while.
_KEEP: Final = """
const STILL_MS = 1500, AT_MOST_MS = 20000, FROM_TOP_PX = 96;
export default function ({ data: [data] }) {
  if (window.codecoachPlace === data.order) return;
  window.codecoachPlace = data.order;
  const began = performance.now();
  let moved = began, ended = false;
  const end = () => { ended = true; };
  for (const kind of ["wheel", "touchstart", "keydown", "pointerdown"]) {
    window.addEventListener(kind, end, { once: true, passive: true, capture: true });
  }
  const hold = () => {
    const now = performance.now();
    if (ended || now - moved > STILL_MS || now - began > AT_MOST_MS) return;
    const wanted = data.wanted
      ? document.querySelector(`.st-key-${data.wanted}`)
      : document.querySelector('[data-testid="stChatMessage"]');
    let scroller = wanted?.parentElement;
    while (scroller && !/auto|scroll/.test(getComputedStyle(scroller).overflowY)) scroller = scroller.parentElement;
    if (scroller) {
      const off = data.wanted
        ? wanted.getBoundingClientRect().top - scroller.getBoundingClientRect().top - FROM_TOP_PX
        : scroller.scrollHeight;
      const before = scroller.scrollTop;
      scroller.scrollTop += off;
      if (Math.abs(scroller.scrollTop - before) > 1) moved = now;
    }
    requestAnimationFrame(hold);
  };
  hold();
}
"""


def keep(key: str) -> None:
    """Hold the container of that key where it is read, in the script run that follows."""
    number, _ = st.session_state.get(_ORDER, (0, ""))
    st.session_state[_ORDER] = (number + 1, key)


def to_end() -> None:
    """Bring the end of the messages into sight, in the script run that follows; Streamlit keeps to it from there on."""
    keep("")


def carry_out_order() -> None:
    """Let the browser hold the place where that was asked for; at the end of what it may stand in."""
    number, key = st.session_state.get(_ORDER, (0, ""))
    if number:
        st.components.v2.component("codecoach_keep_place", js=_KEEP)(
            key="place:keep", data=[{"order": number, "wanted": key}], height=1
        )
