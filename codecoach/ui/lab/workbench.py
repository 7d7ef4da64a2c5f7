"""What stands on the bench in this browser session, kept in the store with every change, so that F5 and a crash lose nothing.

Widgets hold what is typed; `take_in` reads them all, at the beginning of each script run and before anything is done, so that
a click right after the last key acts on what was typed. Their keys carry `revision`, which grows when the sheet comes from
elsewhere than the widgets: they are then drawn anew with it.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import streamlit as st

from codecoach.errors import InputRefused, VersionConflict
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.models import payloads
from codecoach.store.templates import Draft, Template, Templates
from codecoach.ui import models, notices
from codecoach.ui.acting import attempt_once
from codecoach.ui.lab import examples
from codecoach.ui.session import language, services
from codecoach.ui.shown import shown

View = Literal["rendered", "request", "response", "raw"]

_KEY: Final = "lab:bench"
_ESCAPED: Final = re.compile(r"\\([\\n])")
_MEANT: Final = {"\\": "\\", "n": "\n"}
_TEXTS: Final = ("text", "system", "prefill", "model_id")
_NUMBERS: Final = ("max_tokens", "temperature", "top_p", "top_k")


@dataclass
class Workbench:
    """The open sheet.

    template  what it was loaded from or saved as, as this session last saw it; None for a sheet without a name
    unsaved   True while the store's draft is older than this
    before    what stood here unsaved when something else was put in its place; None where nothing did
    theirs    the template as another window saved it since; saving waits for a choice between the two
    draft     as it was kept last; `elsewhere` is True while another window has put something else there, which stays until
              a choice is made
    view      what of prompt and answer is looked at; `view_turn` grows when something else than its widget changes it: what the
              browser sent before it knew of that must not change it back
    """

    owner: str
    sheet: Sheet
    template: Template | None = None
    revision: int = 0
    unsaved: bool = False
    before: tuple[Sheet, Template | None] | None = None
    theirs: Template | None = None
    draft: Draft = field(default_factory=lambda: Draft(Sheet(), window=secrets.token_hex(8)))
    elsewhere: bool = False
    view: View = "rendered"
    view_turn: int = 0

    @property
    def changed(self) -> bool:
        """Whether it differs from its template, but for what its variables are filled with."""
        return self.template is None or replace(self.sheet, values={}) != replace(self.template.sheet, values={})

    @property
    def savable(self) -> bool:
        """Whether there is something to save, be it only what its variables are filled with."""
        return self.changed or self.template is None or _filled(self.sheet) != _filled(self.template.sheet)

    def key(self, name: str) -> str:
        """The key of the widget that holds the field `name`."""
        return f"lab.{name}.{self.revision}"

    def take_in(self) -> None:
        """Read what the widgets hold; keep it where it has changed."""
        held = st.session_state
        # The editor holds nothing before it has reported for the first time.
        found: dict[str, Any] = {name: text for name in _TEXTS if isinstance(text := held.get(self.key(name)), str)}
        model_id = found.get("model_id", self.sheet.model_id)
        found["format"] = self._format(model_id)
        if (style := held.get(self.key("double"))) is not None:
            found["style"] = "double" if style else "single"
        found["parameters"] = self._parameters()
        found["examples"] = tuple(self._example(number) for number in range(len(self.sheet.examples)))
        sheet = replace(self.sheet, **found)
        known = self.sheet.values
        values = {name: str(held.get(self.key(f"value.{name}"), known.get(name)) or "") for name in sheet.variables}
        kept = {name: value for name, value in known.items() if value}
        # A field that was never filled is no change, and an opened sheet nothing to be kept.
        sheet = replace(sheet, values=kept | {name: value for name, value in values.items() if value or name in known})
        if sheet != self.sheet or self.unsaved:
            self.sheet = sheet
            self._keep()

    def change(self, **changes: object) -> None:
        """Change fields that widgets do not hold, or that they must be given anew."""
        self.put(replace(self.sheet, **changes), self.template)  # type: ignore[arg-type]

    def put(self, sheet: Sheet, template: Template | None) -> None:
        """Put another sheet on the bench."""
        self.sheet, self.template, self.theirs = sheet, template, None
        self.revision += 1
        self._keep()

    def exchange(self, sheet: Sheet, template: Template | None) -> None:
        """Put something else on the bench; what is not saved can be had back."""
        if self.savable:
            self.before = (self.sheet, self.template)
        self.put(sheet, template)

    def put_back(self) -> None:
        """Put back what stood here before."""
        before, self.before = self.before, None
        if before:
            self.exchange(*before)

    def look_at(self, view: View) -> None:
        """Show something else of prompt and answer."""
        self.view = view
        self.view_turn += 1

    def saved_as(self, template: Template) -> None:
        """Note that the sheet is this template now."""
        self.template = template
        self._keep()

    def save(self, **changes: object) -> None:
        """Save the sheet as a new version of its template; where another window was quicker, `theirs` is that."""
        if self.template:
            template = self.template
            self.renew(lambda: services().templates.save(replace(template, sheet=self.sheet, **changes)))  # type: ignore[arg-type]

    def renew(self, change: Callable[[], Template]) -> None:
        """Change the template in the store, and know it as it is then; where another window was quicker, know `theirs`."""
        try:
            self.saved_as(change())
        except VersionConflict:
            self.theirs = services().templates.get(self.owner, self.template.id) if self.template else None
            if self.theirs is None:  # deleted there; the sheet stays, without a name
                self.put(self.sheet, None)
                raise InputRefused("no_such_template") from None

    def take_theirs(self) -> None:
        """Put on the bench what another window saved; ours can be put back."""
        if self.theirs:
            self.exchange(self.theirs.sheet, self.theirs)

    def keep_mine(self) -> None:
        """Save ours as the newest version; theirs is the one before."""
        if self.theirs:
            self.template, self.theirs = self.theirs, None
            self.save()

    def take_their_draft(self) -> None:
        """Put on the bench what another window put there; ours can be put back."""
        stored = services().templates.draft(self.owner)
        if stored:
            self.draft, self.elsewhere = replace(self.draft, version=stored.version), False
            self.exchange(stored.sheet, _template_of(services().templates, self.owner, stored))

    def keep_my_draft(self) -> None:
        """Have ours stand on the bench in place of theirs."""
        stored = services().templates.draft(self.owner)
        self.draft, self.elsewhere = replace(self.draft, version=stored.version if stored else 0), False
        self._keep()

    def _format(self, model_id: str) -> str:
        """The format that was chosen; the model's own stays unnamed until another one is, so that it goes with the model."""
        kept = self.sheet.format if model_id == self.sheet.model_id else ""
        chosen = str(st.session_state.get(self.key(f"format.{model_id}")) or "")
        if chosen in ("", kept):
            return kept
        return "" if chosen == payloads.formats(model_id)[0] else chosen

    def _parameters(self) -> Parameters:
        held, known = st.session_state, self.sheet.parameters
        found: dict[str, Any] = {
            name: held[key]
            for name in _NUMBERS
            if (key := self.key(name)) in held and (held[key] or name != "max_tokens")
        }
        if (lines := held.get(self.key("stop"))) is not None:
            found["stop_sequences"] = sequences_of(str(lines))
        return replace(known, **found)

    def _example(self, number: int) -> Example:
        held, known = st.session_state, self.sheet.examples[number]
        return Example(
            str(held.get(self.key(f"question.{number}"), known.question) or ""),
            str(held.get(self.key(f"answer.{number}"), known.answer) or ""),
        )

    def _keep(self) -> None:
        self.unsaved = True
        if self.elsewhere:
            return
        template_id = self.template.id if self.template else ""
        try:
            draft = replace(self.draft, sheet=self.sheet, template_id=template_id)
            self.draft = services().templates.keep_draft(self.owner, draft)
        except VersionConflict:
            self.elsewhere = True
        else:
            self.unsaved = False


def sequences_of(lines: str) -> tuple[str, ...]:
    """Stop sequences, one a line; a line end in one is written `\\n`, a backslash twice."""
    return tuple(_ESCAPED.sub(lambda found: _MEANT[found[1]], line) for line in lines.split("\n") if line)


def lines_of(sequences: tuple[str, ...]) -> str:
    """Stop sequences as `sequences_of` reads them."""
    return "\n".join(sequence.replace("\\", "\\\\").replace("\n", "\\n") for sequence in sequences)


def _filled(sheet: Sheet) -> dict[str, str]:
    return {name: value for name, value in sheet.values.items() if value}


def enter(owner: str) -> Workbench:
    """The bench of this session, as its user left it, with what was typed since taken in."""
    bench: Workbench | None = st.session_state.get(_KEY)
    if bench is None or bench.owner != owner:
        bench = _left(owner)
        st.session_state[_KEY] = bench
    with notices.guard():
        bench.take_in()
    return bench


def act(bench: Workbench, action: Callable[..., object], *args: object) -> None:
    """As a widget's callback: take in what was typed, then do it."""

    def both() -> None:
        bench.take_in()
        action(*args)

    attempt_once(both)


def _left(owner: str) -> Workbench:
    """What was left on the bench, else the first example for the user's own model."""
    draft = shown().templates.draft(owner)
    if draft is None:
        return Workbench(owner, replace(examples.first(language()), model_id=models.current(owner), format=""))
    known = replace(draft, window=secrets.token_hex(8))
    template = _template_of(shown().templates, owner, draft)  # the page is about to list them
    return Workbench(owner, draft.sheet, template, draft=known)


def _template_of(templates: Templates, owner: str, draft: Draft) -> Template | None:
    saved = templates.list(owner) if draft.template_id else ()
    return next((one for one in saved if one.id == draft.template_id), None)
