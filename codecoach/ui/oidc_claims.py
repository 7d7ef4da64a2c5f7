"""What an OpenID provider says of who signed in, and whether that is enough for us.

Streamlit's callback, by Authlib, has checked the ID token's signature, issuer, nonce and expiry. Checked here is what it leaves
open: whom the token is for (it takes one for somebody else that names us as its party), and whose e-mail address it really is.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

from codecoach.i18n import Notice

# A round trip signs in within so many seconds of the token, by clocks that may differ by as much.
FRESH_S: Final = 600.0

Claims = Mapping[str, object]
"""The ID token's claims, as OpenID Connect Core 1.0 names them."""


def proof(claims: Claims, now: float) -> str | None:
    """What tells this round trip from every other, or None for one that is too old, or has nothing of the kind."""
    nonce, issued_at = claims.get("nonce"), claims.get("iat")
    if not (isinstance(nonce, str) and nonce and isinstance(issued_at, int | float)):
        return None
    if abs(now - issued_at) > FRESH_S:
        return None
    return f"{claims.get('iss')} {nonce}"


def email(claims: Claims, client_id: str, trusted: bool) -> str | Notice:
    """The e-mail address of who signed in, in lower case, or why the claims do not do.

    trusted  the provider's addresses count as verified although it does not say so
    """
    if client_id not in _audience(claims):
        return Notice("oidc.incomplete")
    address = claims.get("email")
    # Of an address in other characters than it seems to have (a Kelvin sign for a K), lower case makes somebody else's.
    if not isinstance(address, str) or "@" not in address or unicodedata.normalize("NFKC", address) != address:
        return Notice("oidc.no_email")
    # Cognito says "true" in some of its answers.
    if not (trusted or claims.get("email_verified") in (True, "true")):
        return Notice("oidc.not_verified", {"email": address})
    return address.strip().lower()


def _audience(claims: Claims) -> list[object]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]
