"""Templates of the Prompt Lab that their owners talk to in Chat, as assistants of their own."""

from dataclasses import dataclass, replace
from typing import Final

from codecoach.chat.messages import Role
from codecoach.models.port import ModelRequest, Turn
from codecoach.store.templates import Template, Templates

_PREFIX: Final = "copilot-"


@dataclass(frozen=True)
class Voice:
    """How an assistant speaks.

    turns  examples that go before the conversation; pairs of the user's and the assistant's
    """

    system: str
    turns: tuple[Turn, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()

    def speaking(self, request: ModelRequest) -> ModelRequest:
        """The request with the examples before its turns, drawn as this voice is."""
        return replace(
            request,
            turns=(*self.turns, *request.turns),
            temperature=self.temperature,
            top_p=self.top_p,
            stop_sequences=self.stop_sequences,
        )


def assistant_id(template: Template) -> str:
    """What a conversation with the template names as its assistant."""
    return _PREFIX + template.id


class Copilots:
    """The copilots of all users."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def list(self, owner: str) -> tuple[Template, ...]:
        """The owner's copilots, by name."""
        return tuple(template for template in self._templates.list(owner) if template.copilot)

    def find(self, owner: str, of_conversation: str) -> Template | None:
        """The template that a conversation's assistant is; None where it is none of the owner's (any more)."""
        if not of_conversation.startswith(_PREFIX):
            return None
        return self._templates.get(owner, of_conversation.removeprefix(_PREFIX))

    def voice(self, owner: str, of_conversation: str) -> Voice | None:
        """How a copilot speaks, by its template as it is now; None as `find`.

        Variables have the values that were saved with them. A template without a system text is one as a whole.
        """
        template = self.find(owner, of_conversation)
        if template is None:
            return None
        sheet = template.sheet.filled(partly=True)
        parameters = sheet.parameters
        return Voice(
            sheet.system.strip() or sheet.text.strip(),
            tuple(
                turn
                for example in sheet.examples
                if example.question.strip() and example.answer.strip()
                for turn in (Turn(Role.USER, example.question), Turn(Role.ASSISTANT, example.answer))
            ),
            parameters.temperature,
            parameters.top_p,
            parameters.stop_sequences,
        )
