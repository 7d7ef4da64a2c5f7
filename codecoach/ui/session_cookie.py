"""What the session cookie is called, how it is set, and what of a browser's cookies counts.

over HTTPS   __Host-codecoach_session   Secure, HttpOnly, SameSite=Lax, Path=/, no Domain: browsers take it from this very
                                        host over HTTPS only, so that no neighbouring host and nobody in between sets one
else         codecoach_session          HttpOnly, SameSite=Lax
"""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

COOKIE: Final = "codecoach_session"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
# As proxies tell the scheme that the browser used. Nothing is lost where a client makes this up: it only makes the cookie
# more secure than it could be, and his own browser drops it.
_FORWARDED: Final = ("x-forwarded-proto", "cloudfront-forwarded-proto")


def over_https(headers: Mapping[str, str], scheme: str = "") -> bool:
    """Whether a request came over HTTPS, to us or to a proxy before us. Names of headers are taken in lower case."""
    schemes = {scheme.lower()}
    for name in _FORWARDED:
        schemes |= {one.strip().lower() for one in headers.get(name, "").split(",")}
    return not schemes.isdisjoint({"https", "wss"})


def value_in(cookies: Mapping[str, str], https: bool) -> str:
    """The value of the session cookie, empty where there is none; over HTTPS only the one that cannot come from elsewhere."""
    return str(cookies.get(SECURE_COOKIE) or ("" if https else cookies.get(COOKIE) or ""))


def give(response: Response, value: str, https: bool, seconds: int) -> None:
    """Have the browser keep the cookie for as long as a sign-in can last."""
    response.set_cookie(
        SECURE_COOKIE if https else COOKIE, value, max_age=seconds, httponly=True, samesite="lax", secure=https
    )


def take(response: Response, https: bool) -> None:
    """Have the browser drop the cookie, under either name."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=https)
    if https:  # over HTTP browsers would refuse to hear of it
        response.delete_cookie(SECURE_COOKIE, httponly=True, samesite="lax", secure=True)
