"""Whether a model can really be called: a small call to that very model."""

import time
from contextlib import closing
from dataclasses import dataclass

from codecoach.chat.messages import Role, Usage
from codecoach.models.port import Finished, Model, ModelRequest, Payer, TextDelta, Turn

PROMPT = "Say hello in one short sentence."
# Reasoning models think first; with fewer tokens some of them never come to speak.
MAX_TOKENS = 32


@dataclass(frozen=True)
class Trial:
    """The answer to a small call.

    latency_s        seconds until the answer was whole
    first_text_s     seconds until its first text; None where the model used up its tokens thinking
    """

    text: str
    latency_s: float
    first_text_s: float | None
    usage: Usage


def trial(model: Model, model_id: str, payer: Payer | None = None) -> Trial:
    """Call a model and return what it said. Raises `ModelError`, and `BudgetReached` where calls are counted."""
    request = ModelRequest(model_id, (Turn(Role.USER, PROMPT),), max_tokens=MAX_TOKENS, payer=payer)
    started = time.monotonic()
    text, first_text_s, usage = "", None, Usage()
    with closing(model.stream(request)) as reply:
        for event in reply:
            if isinstance(event, TextDelta):
                first_text_s = first_text_s or time.monotonic() - started
                text += event.text
            elif isinstance(event, Finished):
                usage = event.usage
    return Trial(text.strip(), time.monotonic() - started, first_text_s, usage)
