"""`codecoach ask`: one question, its answer as it streams."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from codecoach.chat.messages import Role
from codecoach.coach import assistants
from codecoach.errors import InputRefused, ModelUnavailable
from codecoach.local import ports, running
from codecoach.local.processes import Child
from codecoach.models.port import ModelRequest, TextDelta, Turn
from codecoach.services import build
from codecoach.settings import Backend, Settings

LOADED_WITHIN_S = 120.0


def answer(settings: Settings, question: str, assistant_id: str, model_id: str) -> Iterator[str]:
    """The pieces of the answer. Raises `InputRefused` for an empty question or an unknown assistant, and `ModelError`s."""
    if not question:
        raise InputRefused("nothing_asked")
    if assistant_id not in {assistant.id for assistant in assistants.BUILT_IN}:
        known = ", ".join(assistant.id for assistant in assistants.BUILT_IN)
        raise InputRefused("assistant_unknown", assistant=assistant_id, known=known)
    with endpoint(settings) as url:
        services = build(settings.model_copy(update={"bedrock_endpoint_url": url}))
        request = ModelRequest(
            model_id=model_id or services.default_model_id,
            turns=(Turn(Role.USER, question),),
            system=assistants.get(assistant_id).told([question]),
        )
        for event in services.model.stream(request):
            if isinstance(event, TextDelta):
                yield event.text


@contextmanager
def endpoint(settings: Settings) -> Iterator[str]:
    """The Bedrock endpoint to ask: the settings' own, that of a CodeCoach that is up, or one started for this alone."""
    up = running.find(settings.data_dir)
    if settings.bedrock_endpoint_url or settings.backend is Backend.AWS:
        yield settings.bedrock_endpoint_url
    elif up and up.bedrock_endpoint_url:
        yield up.bedrock_endpoint_url
    else:
        port = ports.any_free()
        argv = [sys.executable, "-m", "codecoach.local.bedrock_endpoint", "--port", str(port)]
        child = Child(argv, {}, settings.data_dir / "logs" / "model.log")
        try:
            _wait_until_loaded(f"http://127.0.0.1:{port}", lambda: child.exit_code is None)
            yield f"http://127.0.0.1:{port}"
        finally:
            child.stop()


def _wait_until_loaded(url: str, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOADED_WITHIN_S
    while alive() and time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/foundation-models", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise ModelUnavailable("local_model_failed")
