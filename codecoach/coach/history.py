"""What of a conversation is sent to a model: whole turns, the newest ones, as many as fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.assistants import prompt
from codecoach.errors import InputRefused, ModelInputTooLong
from codecoach.models.catalogue import LOCAL, entry
from codecoach.models.port import ModelRequest, Turn

REPLY_TOKENS = 8192
# Of a model nobody knows, assume little.
CONTEXT_UNKNOWN_TOKENS = 32_000
# What the service adds around a turn, generously.
TURN_TOKENS = 8

# The embedded model reads some 70 tokens a second: more history would be minutes of waiting.
LOCAL_HISTORY_TOKENS = 3000
LOCAL_REPLY_TOKENS = 2048

_CONTINUE_TAIL_CHARS = 200


@dataclass(frozen=True)
class Limits:
    """Tokens for one request.

    input    system prompt and turns together may have so many
    history  what is older than the newest question is left out above this
    reply    kept free for the reply
    """

    input: int
    history: int
    reply: int


def limits(model_id: str, local_context_tokens: int) -> Limits:
    """What fits into a model. The context of a local model is a setting."""
    known = entry(model_id)
    if model_id.startswith(LOCAL):
        reply = min(LOCAL_REPLY_TOKENS, local_context_tokens // 4)
        room = local_context_tokens - reply
        return Limits(room, min(LOCAL_HISTORY_TOKENS, room), reply)
    context = (known.context_tokens if known else None) or CONTEXT_UNKNOWN_TOKENS
    reply = min(REPLY_TOKENS, (known.max_output_tokens if known else None) or REPLY_TOKENS, context // 2)
    return Limits(context - reply, context - reply, reply)


def without(room: Limits, taken: Iterable[Turn]) -> Limits:
    """What is left for a conversation beside turns that go before it."""
    used = sum(map(_cost, taken))
    return replace(room, input=room.input - used, history=room.history - used)


def tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few.

    Three characters of ASCII are a token, and 2.5 bytes of anything else in UTF-8: a Chinese character counts 1.2.
    """
    ascii_chars = len(text.encode("ascii", "ignore"))
    other_bytes = len(text.encode("utf-8", "replace")) - ascii_chars
    return -(-ascii_chars // 3) + -(-other_bytes * 2 // 5)


def turns(messages: Iterable[Message]) -> tuple[Turn, ...]:
    """Messages as turns that alternate and start with the user's.

    Replies that failed or have no text are left out; what then follows upon its like is merged with it.
    """
    result: list[Turn] = []
    for message in messages:
        failed = message.role is Role.ASSISTANT and message.state is MessageState.FAILED
        if failed or not message.text.strip() or (not result and message.role is Role.ASSISTANT):
            continue
        if result and result[-1].role is message.role:
            result[-1] = Turn(message.role, f"{result[-1].text}\n\n{message.text}")
        else:
            result.append(Turn(message.role, message.text))
    return tuple(result)


def question(model_id: str, system: str, messages: Iterable[Message], room: Limits) -> ModelRequest:
    """Ask for a reply to the newest message of the user's.

    Raises `ModelInputTooLong` where it alone does not fit, `InputRefused` where there is none.
    """
    asked = turns(messages)
    if not asked or asked[-1].role is Role.ASSISTANT:
        raise InputRefused("no_question")
    return _request(model_id, system, asked, 1, room)


def continuation(
    model_id: str, system: str, messages: Sequence[Message], partial: Message, room: Limits
) -> ModelRequest:
    """Ask to go on after `partial`, the reply to the newest of `messages`.

    Where the model takes a prefill it goes on by itself; any other is shown its last words. Raises `ModelInputTooLong`, and `InputRefused`
    where the question is gone.
    """
    asked = question(model_id, system, messages, room).turns
    known = entry(model_id)
    begun = Turn(Role.ASSISTANT, partial.text.rstrip())
    if known and known.prefill:
        return _request(model_id, system, (*asked, begun), 2, room)
    please = prompt("continue").replace("{tail}", partial.text[-_CONTINUE_TAIL_CHARS:])
    return _request(model_id, system, (*asked, begun, Turn(Role.USER, please)), 3, room)


def _request(model_id: str, system: str, all_turns: Sequence[Turn], kept: int, room: Limits) -> ModelRequest:
    """The newest turns that fit, the last `kept` in any case; the first of them is the user's."""
    used = tokens(system) + sum(map(_cost, all_turns[-kept:]))
    if used > room.input:
        raise ModelInputTooLong()
    start = len(all_turns) - kept
    # Two by two, so that no answer loses its question.
    while start >= 2:
        pair = sum(map(_cost, all_turns[start - 2 : start]))
        if used + pair > room.history:
            break
        used, start = used + pair, start - 2
    return ModelRequest(model_id, tuple(all_turns[start:]), system, max_tokens=room.reply)


def _cost(turn: Turn) -> int:
    return tokens(turn.text) + TURN_TOKENS
