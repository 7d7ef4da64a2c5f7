"""Whether the embedded model can answer yet. Bedrock's protocol has no word for it, so the local endpoint is asked beside it."""

from contextlib import suppress

import requests

from codecoach.errors import ModelLoading, ModelUnavailable

_TIMEOUT_S = 5.0


def check(endpoint_url: str) -> None:
    """Raises `ModelLoading` while its weights are read, `ModelUnavailable` where it cannot answer at all.

    An endpoint that does not know the question, one that is not ours, is taken for ready.
    """
    if not endpoint_url:
        raise ModelUnavailable("local_model_absent")
    try:
        answer = requests.get(f"{endpoint_url.rstrip('/')}/state", timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise ModelUnavailable("local_model_away") from error
    state = {}
    with suppress(ValueError):
        state = answer.json()
    if not answer.ok or not isinstance(state, dict):
        return
    if state.get("state") == "loading":
        raise ModelLoading
    if state.get("state") == "failed":
        detail = state.get("detail")
        raise ModelUnavailable(
            "local_model_unreadable", detail=detail.get("error", "") if isinstance(detail, dict) else ""
        )
