"""The program being edited, kept in the store with every change, so that F5 and a crash lose nothing.

what the editor reports ──> differs from what this session last knew?  save it
                            saved elsewhere meanwhile?                 keep both, ask which one counts
                            the store refuses it, or is away?          say so, keep it here, try again each time
what the store holds    ──> newer than what this session last knew?    show that, unless there is a change of our own
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.errors import StoreError, VersionConflict
from codecoach.runner.port import File
from codecoach.store.programs import Program, SourceFile
from codecoach.ui import ace, notices
from codecoach.ui.acting import attempt_once
from codecoach.ui.session import services

_KEY: Final = "editor:workshop"


@dataclass
class Workshop:
    """The open program in this browser session.

    program   as this session knows it, its version the store's
    revision  grows when the text comes from elsewhere than the editor, which then must be given it anew
    chosen    the name of the file in the editor
    data      files beside the program's own that are no text to edit; of this browser session alone
    undo      the files as they were before a correction was applied, None where there is nothing to undo
    conflict  True while a change of ours could not be saved because of one made elsewhere
    unsaved   True while the store holds less than this, for whatever other reason
    """

    program: Program
    revision: int = 0
    chosen: str = ""
    undo: tuple[SourceFile, ...] | None = None
    conflict: bool = False
    unsaved: bool = False
    data: tuple[File, ...] = ()

    @property
    def handed_in(self) -> tuple[File, ...]:
        """All files that a run of it gets."""
        files = {file.name: File(file.name, file.text.encode()) for file in self.program.files}
        return (*files.values(), *(file for file in self.data if file.name not in files))

    @property
    def file(self) -> SourceFile:
        """The file in the editor."""
        found = (file for file in self.program.files if file.name == self.chosen)
        return next(found, self.program.files[0])

    @property
    def editor_key(self) -> str:
        return f"ace.{self.program.id}.{self.revision}.{self.file.name}"

    def change(self, **changes: object) -> None:
        """Change the program and save it. Raises `StoreError`s but `VersionConflict`, which sets `conflict`."""
        self.program = replace(self.program, **changes)  # type: ignore[arg-type]
        self.save()

    def save(self) -> None:
        self.unsaved = True
        try:
            self.program = services().programs.save(self.program)
            self.conflict = False
        except VersionConflict:
            self.conflict = True
        self.unsaved = False

    def take_in(self) -> None:
        """Keep what the editor has reported of the file in it; before anything else is done with the program."""
        text = st.session_state.get(self.editor_key)
        if isinstance(text, str) and text != self.file.text:
            name = self.file.name
            self.change(files=_with(self.program.files, name, SourceFile(name, text)))
        elif self.unsaved:
            self.save()

    def put(self, files: tuple[SourceFile, ...]) -> None:
        """Replace the files by others that the editor does not know yet."""
        self.revision += 1
        self.change(files=files)

    def correct(self, text: str) -> None:
        """Replace the entry point's text; `undo` takes it back."""
        before, main = self.program.files, self.program.files[0]
        self.put(_with(before, main.name, SourceFile(main.name, text)))
        self.undo, self.chosen = before, main.name

    def take_back(self) -> None:
        """Undo the last correction."""
        if self.undo:
            files, self.undo = self.undo, None
            self.put(files)

    def set_language(self, language_id: str) -> None:
        """Change the language; the entry point is renamed where it had the language's usual name."""
        old, new = languages.BY_ID[self.program.language], languages.BY_ID[language_id]
        main = self.program.files[0]
        files = self.program.files
        if main.name == old.main and new.main not in {file.name for file in files}:
            files = _with(files, main.name, SourceFile(new.main, main.text))
            self.chosen = new.main if self.chosen == main.name else self.chosen
        self.change(language=language_id, files=files)

    def add(self, name: str) -> None:
        """Add an empty file and show it."""
        self.change(files=(*self.program.files, SourceFile(name, "")))
        self.chosen = name

    def take(self, name: str, content: bytes) -> None:
        """Add a file of the user's, in place of one of that name; what is text can be edited and is kept with the program."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text or len(text) > ace.MAX_CHARS:
            self.data = (*(file for file in self.data if file.name != name), File(name, content))
        elif any(file.name == name for file in self.program.files):
            self.put(_with(self.program.files, name, SourceFile(name, text)))
        else:
            self.change(files=(*self.program.files, SourceFile(name, text)))

    def rename(self, name: str) -> None:
        """Rename the file in the editor."""
        old = self.file
        self.chosen = name
        self.change(files=_with(self.program.files, old.name, SourceFile(name, old.text)))

    def remove(self) -> None:
        """Remove the file in the editor; the entry point stays."""
        name = self.file.name
        if name != self.program.files[0].name:
            self.chosen = ""
            self.change(files=tuple(file for file in self.program.files if file.name != name))

    def take_theirs(self) -> None:
        """Resolve a conflict: forget our change."""
        stored = services().programs.get(self.program.owner, self.program.id)
        if stored:
            self.program, self.conflict, self.unsaved = stored, False, False
            self.revision += 1

    def keep_mine(self) -> None:
        """Resolve a conflict: our version replaces the other one."""
        stored = services().programs.get(self.program.owner, self.program.id)
        if stored:
            self.program = replace(self.program, version=stored.version)
            self.save()


def enter(read: Callable[[], Program | None]) -> Workshop | None:
    """The workshop of the program that `read` gets from the store, None where no program is open.

    Where the store fails that is shown, and the workshop stays as it is: what was typed must not vanish from the screen.
    """
    known: Workshop | None = st.session_state.get(_KEY)
    stored: Program | None = None
    with notices.guard():
        if known:
            known.take_in()
    try:
        stored = read()
    except StoreError as error:
        if not (known and known.unsaved):  # else it has just been shown
            notices.show(error)
        return known
    if stored is None:
        return None
    if known is None or known.program.id != stored.id:
        known = st.session_state[_KEY] = Workshop(stored)
    elif stored.version > known.program.version and not known.conflict and not known.unsaved:
        known.program = stored
        known.revision += 1
    return known


def act(shop: Workshop, action: Callable[..., object], *args: object) -> None:
    """A widget's callback: keep what was typed up to the click, then do what the click asks for."""
    attempt_once(_after_typing, shop, action, args)


def _after_typing(shop: Workshop, action: Callable[..., object], args: tuple[object, ...]) -> None:
    # What cannot be saved now can still be run, or made smaller; `enter` tries again and shows why not.
    with suppress(StoreError):
        shop.take_in()
    action(*args)


def _with(files: tuple[SourceFile, ...], name: str, new: SourceFile) -> tuple[SourceFile, ...]:
    return tuple(new if file.name == name else file for file in files)
