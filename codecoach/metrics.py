"""What this process does, in numbers: for Prometheus at `CODECOACH_METRICS`, and as facts of log records.

    codecoach_requests_total{kind, status}          HTTP requests; kind is page, stream, file, session or health
    codecoach_request_seconds{kind}                 from the request to the end of its answer; none of a stream
    codecoach_streams                               websockets that are open: one for each browser tab
    codecoach_page_runs_total{page}                 script runs, of which every click makes one
    codecoach_replies_total{model, outcome}         calls to models that ended; outcome as `reply_ended` says
    codecoach_replies_running
    codecoach_tokens_total{model, direction}        direction is input or output
    codecoach_dollars_total{model}                  of models with a known price
    codecoach_first_token_seconds{model}            from asking to the first word
    codecoach_reply_seconds{model}                  from asking to the end
    codecoach_throttled_total{model}                waits because a service limits its callers
    codecoach_runs_total{runner, language, status}  programs that ended; status is a `RunStatus`, or `error` where ours was the fault
    codecoach_runs_running, codecoach_runs_queued
    codecoach_run_seconds{language}                 of running alone
    codecoach_compile_seconds{language}
    codecoach_run_wait_seconds{language}            from asking to the first stage: queue and preparation
    codecoach_part_up{part}                         1 while model, store, runner work; as of their last check

Beside them stand the process's own as every Prometheus client gives them. Where no Prometheus looks, the log does: each reply
and each run ends with a record that carries the same as `facts`, from which CloudWatch makes metrics (cf-template.yaml).
Labels come from closed lists, but for models: of those the first `MODELS` keep their names.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

log = logging.getLogger(__name__)

MODELS: Final = 60
OTHER: Final = "other"
# Seconds. What people wait for matters between a blink and giving up.
_ANSWERED: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_WAITED: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300)

registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(f"codecoach_{name}", meaning, labels, registry=registry)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(f"codecoach_{name}", meaning, labels, registry=registry)


def _seconds(name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _WAITED) -> Histogram:
    return Histogram(f"codecoach_{name}_seconds", meaning, labels, registry=registry, buckets=buckets)


requests: Final = _counter("requests", "HTTP requests", "kind", "status")
request_seconds: Final = _seconds("request", "From an HTTP request to the end of its answer", "kind", buckets=_ANSWERED)
streams: Final = _gauge("streams", "Browser tabs that are connected")
page_runs: Final = _counter("page_runs", "Script runs of pages", "page")
replies_running: Final = _gauge("replies_running", "Calls to models under way")
runs_running: Final = _gauge("runs_running", "Programs under way, those that wait included")
runs_queued: Final = _gauge("runs_queued", "Programs that wait for a free worker")
part_up: Final = _gauge("part_up", "Whether a part worked when it was checked last", "part")
_replies: Final = _counter("replies", "Calls to models that ended", "model", "outcome")
_tokens: Final = _counter("tokens", "Tokens of calls to models", "model", "direction")
_dollars: Final = _counter("dollars", "Price of calls to models, US dollars", "model")
_first_token: Final = _seconds("first_token", "From asking a model to its first word", "model")
_reply: Final = _seconds("reply", "From asking a model to the end of its reply", "model")
_throttled: Final = _counter("throttled", "Waits because a service limits its callers", "model")
_runs: Final = _counter("runs", "Programs that ended", "runner", "language", "status")
_run: Final = _seconds("run", "How long programs ran", "language")
_compile: Final = _seconds("compile", "How long programs were compiled", "language")
_run_wait: Final = _seconds("run_wait", "How long programs waited before anything of them ran", "language")

_models: set[str] = set()
_lock = threading.Lock()


def reply_ended(
    model_id: str,
    outcome: str,
    *,
    input_tokens: int,
    output_tokens: int,
    dollars: float | None,
    first_token_s: float | None,
    total_s: float,
) -> None:
    """A call to a model has ended.

    outcome        complete; stopped by whoever asked; else the key of the error that ended it
    dollars        None where no price is known
    first_token_s  None where there was no word
    """
    model = _named(model_id)
    _replies.labels(model, outcome).inc()
    _tokens.labels(model, "input").inc(input_tokens)
    _tokens.labels(model, "output").inc(output_tokens)
    if dollars is not None:
        _dollars.labels(model).inc(dollars)
    if first_token_s is not None:
        _first_token.labels(model).observe(first_token_s)
    _reply.labels(model).observe(total_s)
    _tell(
        "reply",
        model=model,
        outcome=outcome,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        dollars=dollars,
        first_token_s=_rounded(first_token_s),
        total_s=_rounded(total_s),
    )


def reply_refused(model_id: str, outcome: str) -> None:
    """A call to a model was refused before anything was sent, for example because a budget leaves no room."""
    _replies.labels(_named(model_id), outcome).inc()


def throttled(model_id: str) -> None:
    """A call to a model is waiting because the service limits its callers."""
    _throttled.labels(_named(model_id)).inc()


def run_ended(
    runner: str,
    language: str,
    status: str,
    *,
    waited_s: float,
    wall_s: float | None = None,
    compile_s: float | None = None,
) -> None:
    """A program has ended; the stages that it did not come to have no time."""
    _runs.labels(runner, language, status).inc()
    _run_wait.labels(language).observe(waited_s)
    if wall_s is not None:
        _run.labels(language).observe(wall_s)
    if compile_s is not None:
        _compile.labels(language).observe(compile_s)
    _tell(
        "run",
        runner=runner,
        language=language,
        status=status,
        waited_s=_rounded(waited_s),
        wall_s=_rounded(wall_s),
        compile_s=_rounded(compile_s),
    )


def serve(address: str) -> Callable[[], None]:
    """Answer Prometheus at `ADDRESS:PORT`, in a thread of its own, until what is returned is called. Raises `OSError`."""
    host, _, port = address.rpartition(":")
    server, thread = start_http_server(int(port), host, registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _named(model_id: str) -> str:
    """The model's id as a label: people may type any, and each value is kept for as long as the process lives."""
    with _lock:
        if len(_models) < MODELS:
            _models.add(model_id)
        return model_id if model_id in _models else OTHER


def _tell(event: str, **facts: str | float | None) -> None:
    known = {name: value for name, value in facts.items() if value is not None}
    log.info("%s ended", event, extra={"facts": {"event": event, **known}})


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
