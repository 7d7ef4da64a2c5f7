"""One turn of a conversation: ask, continue, try again, edit and send again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from codecoach.chat.messages import Conversation, Message, MessageState, Role
from codecoach.coach import assistants, history
from codecoach.coach.copilots import Copilots, Voice
from codecoach.coach.generation import Generation, Generations
from codecoach.coach.history import Limits
from codecoach.coach.titles import title
from codecoach.errors import InputRefused, VersionConflict
from codecoach.models.port import ModelRequest, Payer
from codecoach.settings import Settings
from codecoach.store.conversations import Conversations


@dataclass(frozen=True)
class _Thread:
    """What is needed of a thread to act at one of its messages, or at its end; both parts oldest first.

    before  the newest messages before it, as many as a model could be sent
    rest    it and all later ones
    """

    before: tuple[Message, ...]
    rest: tuple[Message, ...]

    @property
    def last_id(self) -> str:
        return next((message.id for message in reversed(self.before + self.rest)), "")


class Coach:
    """Takes turns in conversations. Every method stores what the user did first and returns the reply being written.

    All of them raise `InputRefused` (nothing was said; a reply is being written already; the conversation is gone; a budget
    leaves no room for it), `ModelInputTooLong` (both before anything is stored) and `StoreError`. What goes wrong at the
    model is found in the reply.
    What replaces or deletes messages raises `VersionConflict` where they are others than those that the user saw, in `seen`:
    the message as it was drawn, and the last one of the thread.
    """

    def __init__(
        self, conversations: Conversations, generations: Generations, settings: Settings, copilots: Copilots
    ) -> None:
        self._conversations = conversations
        self._copilots = copilots
        self._generations = generations
        self._settings = settings

    def ask(self, conversation: Conversation, text: str, model_id: str) -> Generation:
        """Say something. A conversation without a title gets one from the first words."""
        thread = self._thread(conversation, None, model_id)
        said = self._said(text, self._conversations.new_message_id(thread.last_id))
        request = self._question(conversation, (*thread.before, said), model_id)
        message = self._reply_to(request, said.id)
        with self._generations.asked(conversation.id, request, message) as reply:
            self._conversations.save(conversation.id, said)
            self._to_top(conversation, text)
            return self._generations.start(conversation.id, request, message, reply)

    def resume(self, conversation: Conversation, message: Message, model_id: str) -> Generation:
        """Go on with an unfinished reply, in the same message."""
        thread = self._thread(conversation, message.id, model_id)
        _must_be_as_seen(thread, message, message.id)
        voice = self._voice(conversation, thread.before)
        room = history.without(self._limits(model_id), voice.turns)
        request = _paid(
            conversation, voice.speaking(history.continuation(model_id, voice.system, thread.before, message, room))
        )
        if request.turns[-1].role is Role.ASSISTANT:
            # No model takes a prefill that ends in white space: it writes that anew.
            message = replace(message, text=message.text.rstrip())
        message = replace(message, model_id=model_id)
        with self._generations.asked(conversation.id, request, message) as reply:
            self._to_top(conversation)
            return self._generations.start(conversation.id, request, message, reply)

    def retry(
        self, conversation: Conversation, message: Message, model_id: str, seen: tuple[Message, str] | None = None
    ) -> Generation:
        """Write a reply again, after a failure or because another one is wanted. It and all later messages go."""
        thread = self._thread(conversation, message.id, model_id)
        if seen:
            _must_be_as_seen(thread, *seen)
        request = self._question(conversation, thread.before, model_id)
        message = self._reply_to(request, thread.last_id)
        with self._generations.asked(conversation.id, request, message) as reply:
            self._to_top(conversation)
            generation = self._generations.start(conversation.id, request, message, reply)
        for old in reversed(thread.rest):  # the newest first, so that a crash leaves no gap
            self._conversations.delete_message(conversation.id, old.id)
        return generation

    def resend(
        self,
        conversation: Conversation,
        message_id: str,
        text: str,
        model_id: str,
        seen: tuple[Message, str] | None = None,
    ) -> Generation:
        """Replace a message of the user's and have it answered. All later messages go once the new text is stored."""
        thread = self._thread(conversation, message_id, model_id)
        if seen:
            _must_be_as_seen(thread, *seen)
        said = self._said(text, message_id)
        request = self._question(conversation, (*thread.before, said), model_id)
        message = self._reply_to(request, thread.last_id)
        with self._generations.asked(conversation.id, request, message) as reply:
            self._conversations.save(conversation.id, said)
            if later := [old.id for old in thread.rest if old.id > message_id]:
                self._conversations.delete_from(conversation.id, later[0])
            self._to_top(conversation, text)
            return self._generations.start(conversation.id, request, message, reply)

    def _thread(self, conversation: Conversation, message_id: str | None, model_id: str) -> _Thread:
        """The thread around a message (None: at its end). Raises `InputRefused` where a reply is being written in it."""
        room = self._limits(model_id).input
        before: list[Message] = []
        rest: list[Message] = []
        page = self._conversations.messages(conversation.id)
        if page.messages and page.messages[-1].state is MessageState.STREAMING:
            raise InputRefused("reply_running")
        while True:
            later = [message for message in page.messages if message_id and message.id >= message_id]
            rest = later + rest
            before = [*page.messages[: len(page.messages) - len(later)], *before]
            enough = sum(history.tokens(message.text) for message in before) > room
            if enough or page.before is None:
                return _Thread(tuple(before), tuple(rest))
            page = self._conversations.messages(conversation.id, before=page.before)

    def _question(self, conversation: Conversation, messages: tuple[Message, ...], model_id: str) -> ModelRequest:
        voice = self._voice(conversation, messages)
        room = history.without(self._limits(model_id), voice.turns)
        return _paid(conversation, voice.speaking(history.question(model_id, voice.system, messages, room)))

    def _reply_to(self, request: ModelRequest, after_id: str) -> Message:
        return Message(
            self._conversations.new_message_id(after_id),
            Role.ASSISTANT,
            "",
            datetime.now(UTC),
            MessageState.STREAMING,
            request.model_id,
        )

    def _to_top(self, conversation: Conversation, text: str = "") -> None:
        """Move the conversation to the top of the list, and give it a title if it has none."""
        self._conversations.touch(conversation.owner, conversation.id)
        if text and not conversation.title:
            self._conversations.rename(conversation.owner, conversation.id, title(text))

    def _said(self, text: str, message_id: str) -> Message:
        if not text.strip():
            raise InputRefused("nothing_said")
        return Message(message_id, Role.USER, text, datetime.now(UTC))

    def _voice(self, conversation: Conversation, messages: tuple[Message, ...]) -> Voice:
        own = self._copilots.voice(conversation.owner, conversation.assistant_id)
        if own is not None:
            return own
        said = [message.text for message in messages if message.role is Role.USER]
        return Voice(assistants.get(conversation.assistant_id).told(said))

    def _limits(self, model_id: str) -> Limits:
        return history.limits(model_id, self._settings.local_context_tokens)


def _paid(conversation: Conversation, request: ModelRequest) -> ModelRequest:
    return replace(request, payer=Payer(conversation.owner, conversation.id))


def _must_be_as_seen(thread: _Thread, message: Message, last_id: str) -> None:
    """Raises `VersionConflict` where another window has changed, deleted or added something that would be lost unseen."""
    stored = thread.rest[0] if thread.rest else None
    if stored is None or stored.id != message.id:
        raise VersionConflict("message_changed")
    # Of a reply the end may not have been saved; where another window goes on with it, the store knows more.
    is_reply = message.role is Role.ASSISTANT
    if not (message.text.startswith(stored.text) if is_reply else stored.text == message.text):
        raise VersionConflict("message_changed")
    if thread.last_id != last_id:
        raise VersionConflict("conversation_went_on")
