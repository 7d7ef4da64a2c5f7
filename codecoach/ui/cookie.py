"""The browser's session cookie: only a response of ours can set an HttpOnly cookie, so the browser is told to fetch one.

    script run                              browser                        route (`ui.routes`)
    password is right
    open sign-in (sid), issue ticket  --->  POST /auth/start, ticket  ---> redeem the ticket (once, within 30 s): sid
                                            cookie is stored         <---  Set-Cookie: sid; HttpOnly; SameSite=Lax
    next page load: the cookie comes with the websocket's handshake

The ticket is worthless after its one use, and the sid never passes through the page's own code.
"""

import hashlib
from typing import Final
from urllib.parse import urlsplit

import streamlit as st

from codecoach.ui import session

# An order is carried out once per browser window, however often Streamlit draws the element again.
_CARRY_OUT: Final = """
export default function ({ data }) {
  if (!data || !data.id) return;
  const done = (window.codecoachOrders ??= new Set());
  if (done.has(data.id)) return;
  done.add(data.id);
  const call = () => fetch(data.url, {
    method: "POST",
    credentials: "same-origin",
    keepalive: true,
    headers: { "content-type": "application/json", "x-codecoach": "1" },
    body: JSON.stringify({ ticket: data.ticket }),
  });
  call().catch(() => setTimeout(() => call().catch(() => {}), 1000));
}
"""


def base_path() -> str:
    """The path the app is served under, without a slash at its end; empty at the root."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def origin() -> str:
    """Scheme and host that the browser opened this page at, as `https://coach.example.com`; empty where it is not known."""
    address = urlsplit(st.context.url or "")
    return f"{address.scheme}://{address.netloc}" if address.netloc else ""


def carry_out_order() -> None:
    """Let the browser fetch or drop its cookie where this session has asked for it."""
    order = session.cookie_order()
    if order is None:
        return
    action, ticket = order
    # Not the ticket itself: Streamlit takes no key with "__" in it, and one in a hundred tickets has that.
    order_id = hashlib.sha256(ticket.encode()).hexdigest()
    element = st.components.v2.component("codecoach_cookie", js=_CARRY_OUT)
    element(
        key=f"codecoach.order.{order_id}",
        data={"id": order_id, "url": f"{base_path()}/auth/{action}", "ticket": ticket if action == "start" else ""},
        height=1,
    )
