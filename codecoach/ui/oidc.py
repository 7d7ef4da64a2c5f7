"""Sign-in through an OpenID provider, by Streamlit's own `st.login`.

    sign-in form              browser                                  `ui.oidc_routes` around Streamlit's routes
    button: st.login  --->    GET /auth/login                    --->  to the provider, with state and nonce
                              provider asks who it is
                              GET /oauth2callback?code=...       --->  Streamlit checks the ID token, sets its cookie;
                                                                       ours makes it last minutes, not a month
    form drawn again: `arrive`  <---  websocket, with that cookie
    claims are good, for the first time: our own sign-in (`session.sign_in`), as after a password

From there Streamlit's cookie means nothing: `store.arrivals` knows that it was used.
"""

import logging
import time
from typing import Final
from urllib.parse import urlsplit

import streamlit as st
from streamlit.runtime.secrets import SecretsValue

from codecoach import logs
from codecoach.i18n import Notice
from codecoach.settings import Settings
from codecoach.ui import notices, oidc_claims, session
from codecoach.ui.admission import Admission
from codecoach.ui.session import services, t

log = logging.getLogger(__name__)

# How `ui.oidc_routes` tells the form, in its address, what became of a round trip that did not end well.
OUTCOME: Final = "signin"
OUTCOMES: Final = ("cancelled", "incomplete", "unavailable")
CALLBACK: Final = "/oauth2callback"
_REFUSED: Final = "codecoach.oidc_refused"
_LOOKED_AT: Final = "codecoach.oidc_looked_at"


def secrets(settings: Settings) -> dict[str, SecretsValue]:
    """What Streamlit wants in its `secrets.toml`, for `st.App`, so that there is no such file; empty without a provider."""
    if not settings.oidc_metadata_url:
        return {}
    return {
        "auth": {
            "redirect_uri": settings.public_url + CALLBACK,
            # Its own, random in each process unless STREAMLIT_SERVER_COOKIE_SECRET gives several the same.
            "cookie_secret": str(st.get_option("server.cookieSecret")),
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": settings.oidc_metadata_url,
            # No more than is read, and always the question who it is: after sign-out that may be somebody else.
            "client_kwargs": {"scope": "openid email", "prompt": "select_account"},
        }
    }


def arrive() -> None:
    """Sign in whoever comes from the provider, and draw the page anew; else keep why not, for `draw`.

    Called signed out, before anything is drawn.
    """
    if not _offered():
        return
    outcome = st.query_params.pop(OUTCOME, None)
    if outcome in OUTCOMES:
        _refuse(Notice(f"oidc.{outcome}"))
    # Once a session: `st.user` stays as it was when the page connected.
    if st.user.get("is_logged_in") and not st.session_state.get(_LOOKED_AT):
        st.session_state[_LOOKED_AT] = True
        with notices.guard():
            _exchange(st.user.to_dict())


def draw() -> None:
    """Draw the button that leads to the provider, and why the last round trip led to nothing."""
    if not _offered():
        return
    refused: Notice | None = st.session_state.get(_REFUSED)
    if refused:
        st.error(notices.told(Notice(refused.key, {"label": label(), **refused.values})), icon=":material/lock:")
    with notices.guard():
        if st.button(
            t("oidc.sign_in", label=notices.plain(label())), icon=":material/key:", width="stretch", key="oidc-sign-in"
        ):
            _leave_for_the_provider()
    st.caption(t("oidc.or"), text_alignment="center")


def label() -> str:
    """What the provider is called here; as it was set, so to be escaped."""
    return services().settings.oidc_label or t("oidc.label")


def _leave_for_the_provider() -> None:
    """Where the page is open at another address, its cookies would not be there to come back to: then it says which one."""
    public_url = services().settings.public_url
    here = st.context.url
    if here and urlsplit(here)[:2] != urlsplit(public_url)[:2]:
        _refuse(Notice("oidc.elsewhere", {"url": public_url}))
        st.rerun()
    st.login()


def _exchange(claims: oidc_claims.Claims) -> None:
    proof = oidc_claims.proof(claims, time.time())
    if proof is None or not services().arrivals.use_up(proof):
        log.info("what is left of an earlier round trip to the provider is not taken")
        return
    settings = services().settings
    email = oidc_claims.email(claims, settings.oidc_client_id, settings.oidc_trust_email)
    if isinstance(email, Notice):
        return _refuse(email)
    admission = Admission(services().accounts, services().sign_ins, settings.oidc_allowed_domains)
    account = admission.admit(email)
    if isinstance(account, Notice):
        return _refuse(account)
    if not session.sign_in(account.username, lambda latest: latest.password_hash == account.password_hash):
        return _refuse(Notice("oidc.changed", {"email": email}))
    st.rerun()


def _refuse(why: Notice) -> None:
    logs.security("sign-in through the provider refused", warning=True, because=why.key)
    st.session_state[_REFUSED] = why


def _offered() -> bool:
    return bool(services().settings.oidc_metadata_url)
