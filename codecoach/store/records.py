"""How our values become the JSON objects of items, and back."""

from datetime import UTC, datetime
from typing import cast

from codecoach.chat.messages import Conversation, Message, MessageError, MessageState, Role, Usage
from codecoach.store.port import Json


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def from_time(moment: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_time(text: Json) -> datetime:
    """The inverse of `from_time`."""
    return datetime.fromisoformat(str(text))


def from_message(message: Message) -> dict[str, Json]:
    """All of a message but its id, which is in its key."""
    error = message.error
    return {
        "role": message.role.value,
        "text": message.text,
        "created_at": from_time(message.created_at),
        "state": message.state.value,
        "model_id": message.model_id,
        "updated_at": from_time(message.updated_at) if message.updated_at else None,
        "stop_reason": message.stop_reason,
        "usage": _from_usage(message.usage),
        "error": {"key": error.key, "values": {**error.values}, "reference": error.reference} if error else None,
    }


def to_message(message_id: str, data: dict[str, Json]) -> Message:
    """The inverse of `from_message`."""
    error = cast("dict[str, Json] | None", data["error"])
    return Message(
        id=message_id,
        role=Role(str(data["role"])),
        text=str(data["text"]),
        created_at=to_time(data["created_at"]),
        state=MessageState(str(data["state"])),
        model_id=str(data["model_id"]),
        updated_at=to_time(data["updated_at"]) if data["updated_at"] else None,
        stop_reason=str(data["stop_reason"]),
        usage=_to_usage(data["usage"]),
        error=_to_error(error) if error else None,
    )


def _from_usage(usage: Usage) -> list[Json]:
    return [usage.input_tokens, usage.output_tokens, usage.micro_dollars, usage.estimated]


def _to_usage(data: Json) -> Usage:
    """Of older messages only the tokens are kept."""
    numbers = cast("list[int]", data)
    micro_dollars, estimated = cast("tuple[int | None, bool]", numbers[2:]) if numbers[2:] else (None, False)
    return Usage(numbers[0], numbers[1], micro_dollars, estimated)


def _to_error(data: dict[str, Json]) -> MessageError:
    return MessageError(str(data["key"]), cast(dict[str, str], data["values"]), str(data["reference"]))


def from_conversation(conversation: Conversation) -> dict[str, Json]:
    """All of a conversation."""
    return {
        "id": conversation.id,
        "owner": conversation.owner,
        "title": conversation.title,
        "assistant_id": conversation.assistant_id,
        "created_at": from_time(conversation.created_at),
        "updated_at": from_time(conversation.updated_at),
        "version": conversation.version,
    }


def to_conversation(data: dict[str, Json]) -> Conversation:
    """The inverse of `from_conversation`."""
    return Conversation(
        id=str(data["id"]),
        owner=str(data["owner"]),
        title=str(data["title"]),
        assistant_id=str(data["assistant_id"]),
        created_at=to_time(data["created_at"]),
        updated_at=to_time(data["updated_at"]),
        version=cast(int, data["version"]),
    )
