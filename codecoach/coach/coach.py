"""One turn of a conversation: ask, continue, try again, edit and send again."""

from codecoach.chat.messages import Conversation, Message
from codecoach.coach.generation import Generation, Generations, MessageStore
from codecoach.models.port import Model, ModelDirectory
from codecoach.settings import Settings


class Coach:
    """Takes turns in conversations. Every method stores what the user did first and returns the reply being written.

    All of them raise `InputRefused` (nothing was said; a reply is being written already), `ModelInputTooLong` (before
    anything is stored) and `StoreError`. What goes wrong at the model is found in the reply.
    """

    def __init__(
        self,
        model: Model,
        directory: ModelDirectory,
        conversations: MessageStore,
        generations: Generations,
        settings: Settings,
    ) -> None:
        self._model = model
        self._directory = directory
        self._conversations = conversations
        self._generations = generations
        self._settings = settings

    def ask(self, conversation: Conversation, text: str, model_id: str) -> Generation:
        """Say something. A conversation without a title gets one from the first words."""
        raise NotImplementedError

    def resume(self, conversation: Conversation, message: Message, model_id: str) -> Generation:
        """Go on with an unfinished reply, in the same message."""
        raise NotImplementedError

    def retry(self, conversation: Conversation, message: Message, model_id: str) -> Generation:
        """Write a reply again, after a failure or because another one is wanted. It and all later messages go."""
        raise NotImplementedError

    def resend(self, conversation: Conversation, message_id: str, text: str, model_id: str) -> Generation:
        """Replace a message of the user's and have it answered. All later messages go once the new text is stored."""
        raise NotImplementedError
