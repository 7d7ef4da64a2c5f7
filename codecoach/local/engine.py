"""What the local Bedrock endpoint asks of whatever writes the replies, free of any wire format."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from codecoach.models.catalogue import Format


@dataclass(frozen=True)
class Text:
    """Words in a turn."""

    text: str


@dataclass(frozen=True)
class ToolUse:
    """A call of a tool; `arguments` is a JSON object as text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ToolResult:
    """What a tool answered to the call `id`."""

    id: str
    text: str


@dataclass(frozen=True)
class Attachment:
    """An image or a document in a turn; `kind` is Converse's name of the block, `format` such as `png` or `pdf`."""

    kind: str
    format: str
    content: bytes


Block = Text | ToolUse | ToolResult | Attachment


@dataclass(frozen=True)
class Turn:
    """One turn of the conversation."""

    role: Literal["user", "assistant"]
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """Its words alone."""
        return "".join(block.text for block in self.blocks if isinstance(block, Text))


@dataclass(frozen=True)
class Tool:
    """A tool that may be called; `schema` is the JSON schema of its arguments."""

    name: str
    description: str
    schema: Mapping[str, object]


@dataclass(frozen=True)
class ChatRequest:
    """What is asked, whatever operation it came by.

    max_tokens   None: as many as the model can
    tool_choice  `auto`, `any` (some call is a must), `none`, or the name of the tool that must be called
    """

    model_id: str
    turns: tuple[Turn, ...]
    system: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"


@dataclass(frozen=True)
class Began:
    """The prompt is read; always the first event."""

    input_tokens: int


@dataclass(frozen=True)
class Piece:
    """More text."""

    text: str


@dataclass(frozen=True)
class End:
    """The reply is whole; always the last event.

    stop_reason    end_turn, max_tokens, stop_sequence or tool_use
    stop_sequence  the one that was met
    input_tokens   where only the end tells the true count; None: as `Began` said
    """

    stop_reason: str
    output_tokens: int
    stop_sequence: str | None = None
    input_tokens: int | None = None


EngineEvent = Began | Piece | ToolUse | End


@dataclass(frozen=True)
class ServedModel:
    """A model that can be asked.

    formats   the bodies InvokeModel takes for it; Converse works for all
    geos      prefixes of its inference profiles
    listed    False: it answers, but the lists leave it out, as they do with what has been retired
    """

    id: str
    name: str
    provider: str
    formats: frozenset[Format]
    geos: tuple[str, ...] = ()
    system: bool = True
    vision: bool = False
    tools: bool = True
    legacy: bool = False
    listed: bool = True


@dataclass(frozen=True)
class State:
    """How an engine is; `state` is loading, ready or failed, `detail` says why it failed."""

    state: Literal["loading", "ready", "failed"]
    detail: Mapping[str, object] = field(default_factory=dict)


class Engine(Protocol):
    """Writes replies. Used from one asyncio loop."""

    def models(self) -> tuple[ServedModel, ...]:
        """All models it answers for."""
        ...

    def state(self) -> State:
        """Whether it can answer now."""
        ...

    def stream(self, request: ChatRequest) -> AsyncIterator[EngineEvent]:
        """The reply to a request for one of its models; closing the iterator stops the generation.

        Raises `AwsFault`, before the first event or in mid-reply.
        """
        ...

    def start(self) -> None:
        """Begin to make ready, beside the loop; requests that come meanwhile wait."""
        ...

    async def close(self) -> None:
        """Give back what it holds; what still generates is stopped."""
        ...
