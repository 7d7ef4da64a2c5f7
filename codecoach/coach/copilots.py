"""Templates of the Prompt Lab that their owners talk to in Chat, as assistants of their own."""

from typing import Final

from codecoach.store.templates import Template, Templates

_PREFIX: Final = "copilot-"


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

    def system(self, owner: str, of_conversation: str) -> str | None:
        """The system prompt of a copilot as its template says it now; None as `find`.

        A template without a system text is one as a whole. Variables have the values that were saved with them.
        """
        template = self.find(owner, of_conversation)
        if template is None:
            return None
        filled = template.sheet.filled(partly=True)
        return filled.system.strip() or filled.text.strip()
