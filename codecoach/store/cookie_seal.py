"""The signature on the session cookie: `<sid>.<signature>`, so that what we never gave out is refused without asking the store.

The sid alone cannot be guessed (256 bits); the signature keeps made-up cookies from costing a read each, and a sid that somebody
got to know some other way, from a backup of a browser's memory say, is no cookie yet.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final, cast

from codecoach.errors import VersionConflict
from codecoach.store import keys
from codecoach.store.port import Item, Json, Table

# 256 bits each, in base64url without padding.
_SEALED: Final = re.compile(r"([\w-]{43})\.([\w-]{43})", re.ASCII)


class CookieSeal:
    """Signs with the first secret and accepts signatures by any of them, so that a secret can be changed without a break."""

    def __init__(self, secrets_: Sequence[str]) -> None:
        if not secrets_:
            raise ValueError("no secret to sign with")
        self._secrets = [secret.encode() for secret in secrets_]

    def seal(self, sid: str) -> str:
        """The cookie's value for a sid."""
        return f"{sid}.{_signature(self._secrets[0], sid)}"

    def unseal(self, value: str) -> str | None:
        """The sid of a cookie's value that we made, else None. Whether it is still good, the sign-ins know."""
        found = _SEALED.fullmatch(value)
        if found is None:
            return None
        sid, signature = found.groups()
        # All are compared, and each in constant time: how long it takes tells nothing.
        right = [hmac.compare_digest(signature, _signature(secret, sid)) for secret in self._secrets]
        return sid if any(right) else None


def kept_secrets(table: Table) -> tuple[str, ...]:
    """The secrets that the table keeps for all processes; the first who asks makes one."""
    item = table.get(keys.COOKIE_SECRETS)
    if item is None:
        made: list[Json] = [secrets.token_urlsafe(32)]
        try:
            item = table.put(Item(keys.COOKIE_SECRETS, {"secrets": made}), expected_version=0)
        except VersionConflict:
            return kept_secrets(table)  # another process was quicker
    return tuple(cast(list[str], item.data["secrets"]))


def _signature(secret: bytes, sid: str) -> str:
    digest = hmac.digest(secret, f"codecoach session {sid}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
