"""Messages and conversations: values that know neither storage nor screen."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from codecoach.i18n import Notice


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageState(StrEnum):
    """How far a message has come.

    STREAMING    the reply is still being written; found after a crash, it means INTERRUPTED
    COMPLETE     whole
    STOPPED      the user stopped it; the text is what had come
    INTERRUPTED  the process that wrote it died, or the stream was cut; the text is what had come
    FAILED       the model refused or could not be reached; `error` says why, the text may be empty
    """

    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Usage:
    """What a reply used.

    micro_dollars  what it cost, in millionths of a US dollar; None where it was not priced, or no price is known
    estimated      True where the service did not say, as of a reply that was stopped: rather too many than too few
    """

    input_tokens: int = 0
    output_tokens: int = 0
    micro_dollars: int | None = None
    estimated: bool = False

    def __add__(self, more: "Usage") -> "Usage":
        """Both together; where the price of one is not known, neither is that of both."""
        parts = [part for part in (self, more) if part != Usage()]
        prices = [part.micro_dollars for part in parts if part.micro_dollars is not None]
        return Usage(
            self.input_tokens + more.input_tokens,
            self.output_tokens + more.output_tokens,
            sum(prices) if parts and len(prices) == len(parts) else None,
            self.estimated or more.estimated,
        )


@dataclass(frozen=True)
class MessageError:
    """Why a reply failed: the error's key under `[errors]`, its values, its reference in the log."""

    key: str
    values: dict[str, str]
    reference: str

    @property
    def what(self) -> Notice:
        return Notice(f"errors.{self.key}.what", self.values)

    @property
    def hint(self) -> Notice:
        return Notice(f"errors.{self.key}.hint", self.values)


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    id          sorts by time within its conversation (see `store.keys`)
    updated_at  of a STREAMING message: when its writer last saved it, so that a dead writer is noticed
    model_id    the model that wrote it; empty for the user's
    stop_reason the service's own word (`end_turn`, `max_tokens`...); empty until finished
    """

    id: str
    role: Role
    text: str
    created_at: datetime
    state: MessageState = MessageState.COMPLETE
    model_id: str = ""
    updated_at: datetime | None = None
    stop_reason: str = ""
    usage: Usage = Usage()
    error: MessageError | None = None

    @property
    def unfinished(self) -> bool:
        """True where Continue makes sense: there is text, but not all of it."""
        cut = self.state in (MessageState.STOPPED, MessageState.INTERRUPTED, MessageState.FAILED)
        return bool(self.text) and (cut or self.stop_reason == "max_tokens")


@dataclass(frozen=True)
class Conversation:
    """A conversation without its messages; those are read page by page.

    owner         user name of whom it belongs to
    assistant_id  which assistant answers in it (`coach.assistants`)
    """

    id: str
    owner: str
    title: str
    assistant_id: str
    created_at: datetime
    updated_at: datetime
    version: int = field(default=0, compare=False)
