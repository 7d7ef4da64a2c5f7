"""The Prompt Lab's bench: sends payloads, and keeps one answer in each of its places.

An answer is a reply like any other: it outlives the page, is saved as it comes, and is stopped from any process. What else is
known of the call (`Sent`) lives as long as the process that made it.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from codecoach.chat.messages import Message, MessageState, Role
from codecoach.coach.generation import Generation, Generations, writes_into
from codecoach.coach.metering import MeteredLaboratoryReply
from codecoach.errors import InputRefused
from codecoach.models.laboratory import LaboratoryReply, Trace
from codecoach.models.payloads import Payload
from codecoach.models.port import Payer
from codecoach.store import keys, owned
from codecoach.store.conversations import Conversations

# All places that a bench has: the prompt's own, and the columns in which models are compared.
PLACES: Final = ("prompt", *(f"column-{index}" for index in range(4)))
# Calls that a process remembers.
REMEMBERED: Final = 500

# By message: who has sent it, and the reply.
_sent: "OrderedDict[str, tuple[str | None, LaboratoryReply | MeteredLaboratoryReply]]" = OrderedDict()
_sending = threading.Lock()


class Submits(Protocol):
    """Who sends payloads (`coach.metering.MeteredLaboratory`; `models.laboratory.Laboratory`, where nobody counts)."""

    def submit(self, payload: Payload) -> LaboratoryReply | MeteredLaboratoryReply: ...


@dataclass(frozen=True)
class Sent:
    """A call that this process made."""

    payload: Payload
    trace: Trace


class Bench:
    """The benches of all users. `place` names one place on a user's bench, such as a column."""

    def __init__(self, laboratory: Submits, generations: Generations, conversations: Conversations) -> None:
        self._laboratory = laboratory
        self._generations = generations
        self._conversations = conversations

    def submit(self, owner: str, place: str, payload: Payload) -> Generation:
        """Send a payload; its answer takes the place of the one before. What goes wrong at the model is found in the answer.

        Raises `InputRefused` while an answer is being written there or where a budget leaves no room for it, and `StoreError`.
        """
        thread = keys.bench(owner, place)
        before = self._conversations.messages(thread, limit=1).messages
        if before and before[-1].state is MessageState.STREAMING:
            raise InputRefused("reply_running")
        message = Message(
            self._conversations.new_message_id(before[-1].id if before else ""),
            Role.ASSISTANT,
            "",
            datetime.now(UTC),
            MessageState.STREAMING,
            payload.model_id,
        )
        reply = self._laboratory.submit(replace(payload, payer=writes_into(Payer(owner), thread, message)))
        with _sending:
            _sent[message.id] = (owned.acting(), reply)
            while len(_sent) > REMEMBERED:
                _sent.popitem(last=False)
        try:
            generation = self._generations.follow(thread, reply, message)
        except BaseException:
            reply.close()
            raise
        for old in before:
            self._conversations.delete_message(thread, old.id)
        return generation

    def answer(self, owner: str, place: str) -> Message | None:
        """The answer in a place, or None."""
        found = self._conversations.messages(keys.bench(owner, place), limit=1).messages
        return found[-1] if found else None

    def sent(self, message: Message) -> Sent | None:
        """The call behind an answer, if this process made it, and not for another user."""
        with _sending:
            owner, reply = _sent.get(message.id, (None, None))
        return Sent(reply.payload, reply.trace) if reply and owned.may_see(owner) else None

    def stop(self, owner: str, place: str) -> None:
        """Stop the answer in a place and keep what has come."""
        message = self.answer(owner, place)
        if message and message.state is MessageState.STREAMING:
            self._generations.stop(keys.bench(owner, place), message.id)

    def clear(self, owner: str, place: str) -> None:
        """Throw the answer in a place away, stopping it first."""
        self.stop(owner, place)
        message = self.answer(owner, place)
        if message:
            self._conversations.delete_message(keys.bench(owner, place), message.id)
