"""Where a page is looked at: from which address, in what kind of browser, over HTTPS or not."""

import ipaddress
from typing import Final

import streamlit as st

from codecoach.ui import session_cookie

# The first that is found counts: browsers also name those they want to be taken for.
_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS": "Firefox",
    "Chrome/": "Chrome",
    "CriOS": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS: Final = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def address(client_address_header: str) -> str:
    """The address that failures are counted by: the trusted proxy's word where one is set, else the socket's.

    Empty, and so not counted, where the visitor is on this machine: it may be a proxy that stands for everybody.
    """
    if client_address_header:
        return address_group(st.context.headers.get(client_address_header, "").split(",")[-1].strip())
    return address_group(str(st.context.ip_address or ""))


def address_group(address: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64, which one subscriber has to himself; a port is dropped."""
    for candidate in (address, address.rpartition(":")[0].strip("[]")):
        try:
            parsed = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network(f"{parsed}/64", strict=False))
    return address


def device() -> str:
    """The browser and the system it runs on, as in "Firefox, Linux"; empty where it says nothing that is known here."""
    return device_of(str(st.context.headers.get("User-Agent", "")))


def device_of(user_agent: str) -> str:
    """The same of a User-Agent header. Only words of ours come back, whatever it says."""
    found = [next((name for mark, name in known.items() if mark in user_agent), "") for known in (_BROWSERS, _SYSTEMS)]
    return ", ".join(name for name in found if name)


def over_https() -> bool:
    """Whether the page came over HTTPS, to us or to a proxy before us."""
    return session_cookie.over_https(st.context.headers, "https" if st.get_option("server.sslCertFile") else "")
