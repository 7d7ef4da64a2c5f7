"""An OpenID provider that says what a test tells it to, also what no honest one would: tokens for others, expired, forged."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "codecoach"
CLIENT_SECRET = "a secret of the provider and ours"


class ScriptedProvider:
    """A provider on a port of its own.

    claims   what the next ID token says, instead of and beside what it must; None leaves a claim out
    key      what it is signed with; `published` is the one that the provider tells of
    answer   makes of the ID token what the token endpoint says: (status, JSON)
    """

    def __init__(self) -> None:
        self.published = RSAKey.generate_key(2048, {"kid": "one"})
        self.reset()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.metadata_url = f"{self.url}/.well-known/openid-configuration"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def reset(self) -> None:
        self.nonce = ""
        self.claims: dict[str, Any] = {}
        self.key = self.published
        self.answer: Callable[[str], tuple[int, dict]] = lambda token: (
            200,
            {"access_token": "for nobody", "token_type": "Bearer", "id_token": token},
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _metadata(self) -> dict:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def _token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": "1", "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": self.nonce}
        claims |= {"email": "ann@example.com", "email_verified": True} | self.claims
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, given, self.key)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/jwks":
                    self._say(200, {"keys": [provider.published.as_dict(private=False)]})
                else:
                    self._say(200, provider._metadata())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self._say(*provider.answer(provider._token()))

            def _say(self, status: int, body: dict) -> None:
                said = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        return Handler
