"""The user's programs: the list in the Editor's sidebar, which one is open, and opening a block of a conversation as one.

The open program stands in the page's address (`?p=<id>`), so that F5, a bookmark and a second tab find it.
"""

import re
from dataclasses import replace
from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.store.programs import Program, ProgramEntry, RunRecord, SourceFile
from codecoach.ui import list_entry, models, narrow, notices, page
from codecoach.ui.acting import attempted
from codecoach.ui.session import language, services, t
from codecoach.ui.shown import shown

PARAMETER: Final = "p"
NAME_CHARS: Final = 80
PAGE_SIZE: Final = 20

_LAST: Final = "editor:last"
_MADE: Final = "editor:made"
_SHOWN: Final = "editor:programs_shown"
_COMMENT: Final = re.compile(r"\s*(?:#(?!!)|//|--|/\*|\"\"\")\s*(\w.*)")

_HELLO: Final = {
    "python": 'print("Hello")\n',
    "javascript": 'console.log("Hello");\n',
    "typescript": 'console.log("Hello");\n',
    "bash": 'echo "Hello"\n',
    "go": 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("Hello")\n}\n',
    "rust": 'fn main() {\n    println!("Hello");\n}\n',
    "php": '<?php\necho "Hello\\n";\n',
    "sql": "SELECT 'Hello';\n",
    "lua": 'print("Hello")\n',
}


def open_program(owner: str) -> Program | None:
    """The program that is open, or None."""
    wanted = st.query_params.get(PARAMETER) or st.session_state.get(_LAST)
    if not wanted:
        return None
    _listed(owner)  # is drawn in any case; read first, it tells whose the program is
    found = shown().programs.get(owner, wanted)
    if found is None:
        st.info(t("editor.no_such_program"), icon=":material/search_off:")
    show(found.id if found else None)
    return found


def show(program_id: str | None) -> None:
    """Open a program in the script run that follows, or none."""
    if program_id:
        st.query_params[PARAMETER] = program_id
        st.session_state[_LAST] = program_id
    else:
        st.query_params.pop(PARAMETER, None)
        st.session_state.pop(_LAST, None)


def begin(owner: str, language_id: str) -> None:
    """Begin a new program and open it."""
    language = languages.BY_ID[language_id]
    files = (SourceFile(language.main, _HELLO.get(language_id, "")),)
    show(services().programs.create(owner, language_id, files, name=t("editor.new_name", name=language.label)).id)


def open_block(
    owner: str, conversation_id: str, message_id: str, language_id: str, code: str, failed: RunRecord | None = None
) -> None:
    """Open a code block in the Editor, and have it fixed there where a failed run of it is given.

    It is opened in the program that this session made of it before, if there is one, else in a new one.
    """
    made: dict[tuple[str, str, str], str] = st.session_state.setdefault(_MADE, {})
    key = (conversation_id, message_id, code)
    program = services().programs.get(owner, made[key]) if key in made else None
    # A program that has been changed since is another one than that which failed.
    if program is None or (failed and program.files[0].text != code):
        conversation = services().conversations.get(owner, conversation_id)
        title = conversation.title if conversation else ""
        program = services().programs.create(
            owner,
            language_id,
            (SourceFile(languages.BY_ID[language_id].main, code),),
            name=name_for(code, title or languages.BY_ID[language_id].label),
            conversation_id=conversation_id,
            message_id=message_id,
        )
    made[key] = program.id
    if failed:
        services().programs.add_run(program.id, failed)
        services().fixer.fix(program, failed, language(), models.current(owner))
    show(program.id)
    st.switch_page("pages/2_Editor.py", query_params={PARAMETER: program.id})


def name_for(code: str, otherwise: str) -> str:
    """A name for a program: what its first comment says, else `otherwise`."""
    for line in code.splitlines()[:5]:
        comment = _COMMENT.match(line)
        if comment:
            return comment[1].strip(' */"')[:NAME_CHARS]
    return otherwise


def draw_list(owner: str, current: Program | None) -> None:
    """Draw the list, newest first, and what begins a new program."""
    with notices.guard(), page.sidebar():  # what is wrong is told on the page: a sidebar may be put away
        labels = {language.id: language.label for language in languages.LANGUAGES}
        chosen = st.menu_button(
            t("editor.new"),
            list(labels),
            format_func=labels.__getitem__,
            icon=":material/note_add:",
            key="editor:new",
            width="stretch",
        )
        if chosen and attempted(begin, owner, chosen):
            narrow.put_sidebar_away()
            st.rerun()
        listed, limit = _listed(owner)
        with list_entry.entries():
            for entry in listed[:limit]:
                list_entry.draw_entry(entry.id, title_of(entry.name), bool(current and entry.id == current.id), show)
        if not listed:
            st.caption(t("editor.none_yet"))
        if len(listed) > limit:
            st.button(
                t("editor.more"), on_click=_show_more, key="editor:more", type="tertiary", icon=":material/expand_more:"
            )


def _listed(owner: str) -> tuple[tuple[ProgramEntry, ...], int]:
    """The programs to list, and one more where there are more, and how many are listed."""
    limit = st.session_state.get(_SHOWN, PAGE_SIZE)
    return shown().programs.list(owner, limit=limit + 1), limit


def draw_dialog(owner: str, current: Program | None) -> bool:
    """Draw the dialog that was asked for. True where one is open."""

    def rename(name: str, _was: str) -> None:  # its version tells whether it was changed elsewhere
        services().programs.save(replace(program, name=name))

    def delete() -> None:
        services().programs.delete(owner, program.id)
        show(None)

    if current is None:
        return False
    program = current
    return list_entry.draw_dialog(program.id, title_of(program.name), rename, delete)


def title_of(name: str) -> str:
    """The program's name, or what stands for one while it has none."""
    return name or t("editor.untitled")


def _show_more() -> None:
    st.session_state[_SHOWN] = st.session_state.get(_SHOWN, PAGE_SIZE) + PAGE_SIZE
