"""The Model port: stream a reply."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from codecoach.chat.messages import Role, Usage
from codecoach.errors import CodeCoachError
from codecoach.i18n import Notice


@dataclass(frozen=True)
class Turn:
    """One turn of the conversation as the model sees it."""

    role: Role
    text: str


@dataclass(frozen=True)
class Payer:
    """Whose budget a call to a model counts against, and where what comes of it is kept.

    username         empty: nobody's (`NOBODY`)
    conversation_id  the conversation whose budget it counts against too
    thread_id, message_id  the reply's message, by which is told what came of a call whose process died
    chars_before     characters that the message has already
    """

    username: str
    conversation_id: str = ""
    thread_id: str = ""
    message_id: str = ""
    chars_before: int = 0


# The command line's: it has no users, whoever may start it has the account's own credentials.
NOBODY = Payer("")


@dataclass(frozen=True)
class ModelRequest:
    """What is asked of a model.

    turns        alternate, start with the user's and, but for a prefill, end with the user's
    max_tokens   at most this many tokens of reply
    temperature  None: not sent; the newest models refuse it (the catalogue knows which)
    payer        is not sent; without one, what counts calls (`coach.metering`) refuses the request
    """

    model_id: str
    turns: tuple[Turn, ...]
    system: str = ""
    max_tokens: int = 4096
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    payer: Payer | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TextDelta:
    """More text of the reply."""

    text: str


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a tool; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Finished:
    """The reply is whole; always the last event.

    stop_reason  Bedrock's own word: end_turn, max_tokens, stop_sequence, tool_use, guardrail_intervened, content_filtered
    latency_ms   the service's own figure; 0 where it gave none
    """

    stop_reason: str
    usage: Usage = field(default_factory=Usage)
    latency_ms: int = 0


@dataclass(frozen=True)
class Waiting:
    """The service is limiting requests: the call is repeated in `seconds`, for the `attempt`-th time.

    Comes about twice a second while it waits, with ever fewer seconds, and only before the first text.
    """

    seconds: float
    attempt: int


ModelEvent = TextDelta | ToolCall | Waiting | Finished


class Reply(Protocol):
    """A reply on its way: an iterator of events.

    Text comes at most some 20 times a second, so that each event may wake a page. Raises only `ModelError`s, also in
    mid-stream; a stream that ends without the service's end mark raises `StreamBroken`.
    """

    def __iter__(self) -> Iterator[ModelEvent]: ...

    def __next__(self) -> ModelEvent: ...

    def close(self) -> None:
        """Stop the generation at the service; the iteration ends. May be called from any thread, and more than once."""
        ...


class Model(Protocol):
    """A service that replies to conversations."""

    def stream(self, request: ModelRequest) -> "Reply":
        """The reply, piece by piece, `Finished` last. Nothing is sent before the first event is asked for."""
        ...


@dataclass(frozen=True)
class ModelCard:
    """A model that can be chosen here.

    id              what a request names: a model id or an inference profile id
    state           active, legacy, retired or unknown
    context_tokens  input and output together; 0 where unknown
    price_*         US dollars per million tokens; None where unknown
    price_assumed   they are the dearest known of the model: those by this id are not
    """

    id: str
    label: str
    provider: str
    state: str = "unknown"
    end_of_life: str = ""
    context_tokens: int = 0
    max_output_tokens: int = 0
    price_in_per_mtok: float | None = None
    price_out_per_mtok: float | None = None
    price_assumed: bool = False
    vision: bool = False
    tools: bool = False
    accepts_temperature: bool = True


class ModelDirectory(Protocol):
    """What the account, in its region, may be able to call."""

    def cards(self) -> tuple[ModelCard, ...]:
        """All text models that stream, best picks first. Raises `ModelError`.

        Being listed does not prove that a call works: only a call does.
        """
        ...

    def notes(self) -> tuple[Notice, ...]:
        """What the list lacks, and why. Raises `ModelError`."""
        ...

    def why_unlisted(self) -> CodeCoachError | None:
        """Why these are not the service's lists but what is known beforehand; None where they are. Raises `ModelError`."""
        ...

    def nearest(self, model_id: str) -> str | None:
        """The model of the list that is most like this one and not retired, or None. Raises `ModelError`."""
        ...

    def refresh(self) -> None:
        """Ask the service again at the next call."""
        ...

    def ping(self) -> None:
        """Ask the service now, so that `cards` is fresh. Raises `ModelError`; what `cards` knew stays then.

        That models may not be listed is no error here: they may be called all the same.
        """
        ...
