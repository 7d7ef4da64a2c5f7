"""What engines of plain text are asked: models that know neither Bedrock's blocks nor its tools."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from codecoach.local.engine import Began, End, Piece, ServedModel, State


@dataclass(frozen=True)
class Said:
    """One message of the prompt."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True)
class Prompt:
    """What is to be answered.

    max_tokens  None: as many as fit
    schema      the answer must be JSON of this schema; None: any text
    """

    messages: tuple[Said, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    schema: Mapping[str, object] | None = None


class PlainEngine(Protocol):
    """Writes text."""

    def models(self) -> tuple[ServedModel, ...]: ...

    def state(self) -> State: ...

    def complete(self, prompt: Prompt) -> AsyncIterator[Began | Piece | End]:
        """The answer; closing the iterator stops the generation. Raises `AwsFault`."""
        ...

    def start(self) -> None: ...

    async def close(self) -> None: ...
