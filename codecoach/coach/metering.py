"""The ways to a model that count: whatever is asked through them is held against a budget and counted when it ends.

All of the app asks models this way alone, and a test says so; only the command line, which has no users, asks them directly.

    stream/submit ──> refused, where a budget leaves no room: nothing is sent
         │
       reading ──┬─ Finished ──────────────> the service's own figures
                 ├─ closed, or broken off ─> what was sent and what had come, estimated
                 └─ refused by the service > nothing
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from codecoach import metrics
from codecoach.chat.messages import Usage
from codecoach.coach import history
from codecoach.coach.meter import Asked, Meter, priced
from codecoach.errors import BudgetReached, CodeCoachError, StreamBroken
from codecoach.models.catalogue import entry
from codecoach.models.laboratory import Laboratory, LaboratoryReply, Trace
from codecoach.models.payloads import Payload
from codecoach.models.port import Finished, Model, ModelEvent, ModelRequest, Payer, Reply, TextDelta, Waiting
from codecoach.store.usage import Call

# A picture is some hundred to 1,600 tokens, whatever its bytes. Source: "Vision" in Anthropic's documentation of Claude.
IMAGE_TOKENS: Final = 1_600
_IMAGE_KEYS: Final = ("bytes", "data")
_MAX_TOKENS_KEYS: Final = ("max_tokens", "max_tokens_to_sample", "maxTokens")
# Without a limit in the body the model's own holds; of a model nobody knows, assume much.
_LONGEST_REPLY: Final = 8_192
# How long who needs to know waits until a call is counted that another thread is counting.
_COUNTED_WITHIN_S: Final = 2.0
# Outcomes beside the keys of errors.
COMPLETE: Final = "complete"
STOPPED: Final = "stopped"
BROKEN: Final = "broken"


class MeteredModel:
    """The Model port, counted. Requests must name their payer."""

    def __init__(self, model: Model, meter: Meter) -> None:
        self._model = model
        self._meter = meter

    def stream(self, request: ModelRequest) -> Reply:
        """The reply, perhaps a shorter one than asked for. Raises `BudgetReached` before anything is sent, and `StoreError`."""
        payer = _named(request.payer)
        if not payer.username:
            return self._model.stream(request)
        asked = Asked(request.model_id, request_tokens(request), _longest(request), may_shorten=True)
        call = _held(self._meter, payer, asked)
        shortened = replace(request, max_tokens=call.most_output_tokens)
        return MeteredReply(_or_settled(lambda: self._model.stream(shortened), self._meter, call), self._meter, call)


class MeteredLaboratory:
    """`Laboratory`, counted. Payloads must name their payer; they travel as they are, or not at all."""

    def __init__(self, laboratory: Laboratory, meter: Meter) -> None:
        self._laboratory = laboratory
        self._meter = meter

    def submit(self, payload: Payload) -> "LaboratoryReply | MeteredLaboratoryReply":
        """The reply. Raises `BudgetReached` before anything is sent, and `StoreError`."""
        payer = _named(payload.payer)
        if not payer.username:
            return self._laboratory.submit(payload)
        call = _held(self._meter, payer, Asked(payload.model_id, payload_tokens(payload), _longest_of(payload)))
        reply = _or_settled(lambda: self._laboratory.submit(payload), self._meter, call)
        return MeteredLaboratoryReply(reply, self._meter, call)


class MeteredReply:
    """A reply that is counted once: when it ends, or is closed before."""

    def __init__(self, reply: Reply, meter: Meter, call: Call) -> None:
        self._reply = reply
        self._meter = meter
        self._call = call
        self._pieces: list[str] = []
        self._begun = False
        self._sent = False  # so that it is paid
        self._lock = threading.Lock()
        self._used: Usage | None = None
        self._counting = False
        self._watch = _Watch(call.model_id)

    def __iter__(self) -> "MeteredReply":
        return self

    def __next__(self) -> ModelEvent:
        if not self._begun:
            self._begun = self._sent = True
            with self._lock:
                if self._used is None:  # else it was closed before it began, and nobody would end what is begun here
                    self._watch.begin()
        try:
            event = next(self._reply)
        except StopIteration:
            self._end(None, self._sent, BROKEN)
            raise
        except BaseException as error:
            self._end(None, _was_taken(error), error.key if isinstance(error, CodeCoachError) else BROKEN)
            raise
        # While the service refuses calls for now, nothing is paid.
        self._sent = not isinstance(event, Waiting)
        self._watch.see(event)
        if isinstance(event, TextDelta):
            self._pieces.append(event.text)
        elif isinstance(event, Finished):
            self._end(event.usage, True, COMPLETE)
            return replace(event, usage=self.used)
        return event

    @property
    def used(self) -> Usage:
        """What it has used, with its price; while it goes on, nothing."""
        return self._used or Usage()

    def close(self) -> None:
        """Stop the generation; what has come is counted soon. Returns at once."""
        self._reply.close()
        self._freeze(None, self._sent, STOPPED)
        if self._claim():
            self._meter.settle_soon(self._call, self.used)

    def settle(self) -> None:
        """Have it counted now, once it has ended or is closed; returns when it is, unless the store does not answer."""
        if self._claim():
            self._meter.settle(self._call, self.used)
        else:
            self._meter.wait_until_counted(self._call, _COUNTED_WITHIN_S)

    def _end(self, usage: Usage | None, sent: bool, outcome: str) -> None:
        self._freeze(usage, sent, outcome)
        if self._claim():
            self._meter.settle(self._call, self.used)

    def _claim(self) -> bool:
        """True for the one who counts it."""
        with self._lock:
            claimed, self._counting = not self._counting, True
        return claimed

    def _freeze(self, usage: Usage | None, sent: bool, outcome: str) -> None:
        """Say how it ended and what it has used; the first to say it is right, for what comes later is not shown either."""
        with self._lock:
            if self._used is not None:
                return
            self._used = self._figures(usage, sent)
        self._watch.end(outcome, self._used)

    def _figures(self, usage: Usage | None, sent: bool) -> Usage:
        known = usage or self._told()
        text = "".join(self._pieces)
        if not (sent or text):
            return Usage()
        asked = known.input_tokens or self._call.input_tokens
        written = known.output_tokens if usage else 0
        guessed = not usage or not known.input_tokens or (not written and bool(text))
        return priced(self._call.model_id, asked, written or history.tokens(text), estimated=guessed)

    def _told(self) -> Usage:
        """What the service has said so far."""
        return Usage()


class _Watch:
    """Times a reply for `codecoach.metrics`."""

    def __init__(self, model_id: str) -> None:
        self._model_id = model_id
        self._begun_at: float | None = None
        self._first_at: float | None = None
        self._waits = 0

    def begin(self) -> None:
        self._begun_at = time.monotonic()
        metrics.replies_running.inc()

    def see(self, event: ModelEvent) -> None:
        if isinstance(event, Waiting):
            if event.attempt != self._waits:
                self._waits = event.attempt
                metrics.throttled(self._model_id)
        elif isinstance(event, TextDelta) and self._first_at is None:
            self._first_at = time.monotonic()

    def end(self, outcome: str, used: Usage) -> None:
        if self._begun_at is None:
            return  # given up before anything was asked
        metrics.replies_running.dec()
        metrics.reply_ended(
            self._model_id,
            outcome,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            dollars=None if used.micro_dollars is None else used.micro_dollars / 1_000_000,
            first_token_s=None if self._first_at is None else self._first_at - self._begun_at,
            total_s=time.monotonic() - self._begun_at,
        )


class MeteredLaboratoryReply(MeteredReply):
    """A reply of the laboratory; `payload` and `trace` are its own."""

    def __init__(self, reply: LaboratoryReply, meter: Meter, call: Call) -> None:
        super().__init__(reply, meter, call)
        self._laboratory_reply = reply

    @property
    def payload(self) -> Payload:
        return self._laboratory_reply.payload

    @property
    def trace(self) -> Trace:
        return self._laboratory_reply.trace

    def _told(self) -> Usage:
        return self.trace.usage


def request_tokens(request: ModelRequest) -> int:
    """About how many tokens a request sends, rather too many than too few."""
    turns = sum(history.tokens(turn.text) + history.TURN_TOKENS for turn in request.turns)
    return turns + history.tokens(request.system) + history.TURN_TOKENS


def payload_tokens(payload: Payload) -> int:
    """The same of a payload; its names and brackets stand for what the service adds."""
    return _tokens_in(payload.body)


def _tokens_in(data: Any, key: str = "") -> int:  # noqa: ANN401 - JSON
    if isinstance(data, dict):
        return sum(history.tokens(name) + _tokens_in(value, name) for name, value in data.items())
    if isinstance(data, list):
        return sum(map(_tokens_in, data))
    if key in _IMAGE_KEYS:
        return IMAGE_TOKENS
    return history.tokens(data) if isinstance(data, str) else 1


def _longest(request: ModelRequest) -> int:
    known = entry(request.model_id)
    return min(request.max_tokens, (known.max_output_tokens if known else None) or request.max_tokens)


def _longest_of(payload: Payload) -> int:
    body, known = payload.body, entry(payload.model_id)
    given = next(
        (
            value
            for part in (body, body.get("inferenceConfig", {}))
            for name, value in part.items()
            if name in _MAX_TOKENS_KEYS
        ),
        None,
    )
    return int(given or (known.max_output_tokens if known else None) or _LONGEST_REPLY)


def _named(payer: Payer | None) -> Payer:
    if payer is None:
        raise ValueError("a call to a model must say who pays for it")
    return payer


def _held(meter: Meter, payer: Payer, asked: Asked) -> Call:
    try:
        return meter.hold(payer, asked)
    except BudgetReached as error:
        metrics.reply_refused(asked.model_id, error.key)
        raise


def _or_settled(ask: Callable[[], Any], meter: Meter, call: Call) -> Any:  # noqa: ANN401 - the reply that `ask` makes
    try:
        return ask()
    except BaseException:
        meter.settle_soon(call, Usage())
        raise


def _was_taken(error: BaseException) -> bool:
    """Whether the service had taken the request when this went wrong, so that it is paid: it broke off, or grew too slow."""
    if isinstance(error, CodeCoachError):
        return isinstance(error, StreamBroken) or error.key == "model_slow"
    return True
