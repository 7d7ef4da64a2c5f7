"""The Editor: files and their text, what the program is given, and the buttons that do something with it."""

import re
import shlex
from typing import Final

import streamlit as st

from codecoach import languages
from codecoach.ui import ace, advice, aws_choice, invisible, notices, programs, run_panel, running, uploads
from codecoach.ui.acting import attempt
from codecoach.ui.icon_only import icon_only
from codecoach.ui.session import services, t
from codecoach.ui.workshop import Workshop, act

# As a runner takes them: relative, of plain characters, nothing that climbs out of the folder.
_FILE_NAME: Final = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[\w.-]+(?:/[\w.-]+){0,4}", re.ASCII)


def draw_empty(owner: str) -> None:
    """Draw what stands where no program is open."""
    st.title(t("editor.welcome"), anchor=False)
    st.markdown(t("editor.begin"))
    with st.container(horizontal=True, gap="small"):
        for language in languages.LANGUAGES:
            problem = running.why_not(language.id)
            st.button(
                language.label,
                key=f"begin.{language.id}",
                on_click=attempt,
                args=(programs.begin, owner, language.id),
                disabled=problem is not None,
                help=notices.told(problem) if problem else None,
            )


def draw_heading(shop: Workshop) -> None:
    """Draw the program's name, where it came from, its language and the AWS it sees."""
    program = shop.program
    st.subheader(notices.plain(programs.title_of(program.name)), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        key = f"language.{program.id}.{shop.revision}"
        ids = [language.id for language in languages.LANGUAGES]
        st.selectbox(
            t("editor.language"),
            ids,
            index=ids.index(program.language),
            format_func=lambda name: languages.BY_ID[name].label,
            key=key,
            label_visibility="collapsed",
            width=160,
            on_change=lambda: act(shop, shop.set_language, st.session_state[key]),
        )
        aws_choice.draw(program.owner)
        if program.conversation_id:
            st.page_link(
                "pages/1_Chat.py",
                label=t("editor.back"),
                icon=":material/arrow_back:",
                query_params={"c": program.conversation_id},
            )


def draw_files(shop: Workshop) -> None:
    """Draw which file is in the editor, and how files are added, renamed and removed."""
    names = [file.name for file in shop.program.files]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(names) > 1:
            key = f"file.{shop.program.id}.{len(names)}.{shop.file.name}"
            st.pills(
                t("editor.file"),
                names,
                default=shop.file.name,
                format_func=notices.plain,
                required=True,
                key=key,
                label_visibility="collapsed",
                on_change=lambda: act(shop, _choose, shop, st.session_state[key]),
            )
        else:
            st.caption(notices.plain(names[0]), width="content")
        with (
            icon_only("files"),
            # Another one for each file, and with a state of its own, so that it closes when a file has been added.
            st.popover(
                t("editor.files"),
                icon=":material/more_horiz:",
                help=t("editor.files"),
                type="tertiary",
                key=f"files.{shop.program.id}.{len(names)}.{shop.file.name}",
                on_change="rerun",
            ),
        ):
            _draw_file_menu(shop, names)
            _draw_upload(shop)
    if shop.data:
        told = ", ".join(f"{notices.plain(file.name)} ({run_panel.size_words(file.size_bytes)})" for file in shop.data)
        st.caption(f":material/attach_file: {t('editor.data', files=told)}")


def _choose(shop: Workshop, name: str | None) -> None:
    shop.chosen = name or shop.chosen


def _draw_file_menu(shop: Workshop, names: list[str]) -> None:
    with st.form("file_name", border=False, clear_on_submit=True):
        name = (st.text_input(t("editor.file_name"), max_chars=100) or "").strip()
        with st.container(horizontal=True):
            added = st.form_submit_button(t("editor.add_file"), icon=":material/add:")
            renamed = st.form_submit_button(t("editor.rename_file"), icon=":material/edit:")
    if added or renamed:
        if name in names or not _FILE_NAME.fullmatch(name):
            st.warning(t("editor.file_name_refused"))
        else:
            act(shop, shop.add if added else shop.rename, name)
            st.rerun()
    st.button(
        t("editor.remove_file"),
        icon=":material/delete:",
        disabled=shop.file.name == names[0],
        key="editor:remove",
        on_click=act,
        args=(shop, shop.remove),
    )


def _draw_upload(shop: Workshop) -> None:
    with st.form("upload", border=False, clear_on_submit=True):
        files = st.file_uploader(t("editor.upload"), accept_multiple_files=True, help=t("editor.upload_help"))
        taken = st.form_submit_button(t("editor.upload_add"), icon=":material/upload_file:")
    if taken and files:
        for file in files:
            act(shop, shop.take, uploads.safe_name(file.name), file.getvalue())
        st.rerun()


def draw_code(shop: Workshop) -> None:
    """Draw the editor."""
    if len(shop.file.text) > ace.MAX_CHARS:
        st.info(t("editor.too_large"))
        return
    by_name = languages.from_file_name(shop.file.name)
    mode = by_name.ace_mode if by_name else "text"
    ace.code_editor(shop.file.text, mode, shop.editor_key)
    invisible.draw(shop.file.text)


def draw_buttons(shop: Workshop) -> None:
    """Draw Run, Explain and, after a correction, Undo."""
    program = shop.program
    problem = running.why_not(program.language)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            t("editor.run"),
            key="editor:run",
            type="primary",
            icon=":material/play_arrow:",
            disabled=problem is not None or is_running(shop),
            help=notices.told(problem) if problem else None,
            on_click=act,
            args=(shop, run, shop),
        )
        st.button(
            t("editor.explain"),
            key="editor:explain",
            icon=":material/school:",
            help=t("editor.explain_help"),
            on_click=act,
            args=(shop, advice.explain, shop),
        )
        if shop.undo:
            st.button(
                t("editor.undo"), key="editor:undo", icon=":material/undo:", on_click=act, args=(shop, shop.take_back)
            )
        st.caption(t("editor.keys"), width="content")
    aws_choice.draw_actions(program.language, shop.handed_in)


def draw_conflict(shop: Workshop) -> None:
    """Draw the choice between our change and one made elsewhere, where there are both."""
    if not shop.conflict:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(t("editor.conflict"), icon=":material/call_split:")
        st.button(t("editor.take_theirs"), key="editor:theirs", on_click=attempt, args=(shop.take_theirs,))
        st.button(t("editor.keep_mine"), key="editor:mine", on_click=attempt, args=(shop.keep_mine,))


def draw_inputs(shop: Workshop) -> None:
    """Draw what the program is given: arguments and standard input."""
    program = shop.program
    given = bool(program.args or program.stdin)
    with st.expander(t("editor.inputs"), icon=":material/input:", expanded=given, type="compact"):
        args = st.text_input(
            t("editor.arguments"),
            value=shlex.join(program.args),
            key=f"args.{program.id}.{shop.revision}",
            help=t("editor.arguments_help"),
        )
        stdin = st.text_area(
            t("editor.stdin"), value=program.stdin, key=f"stdin.{program.id}.{shop.revision}", height=80
        )
        try:
            parsed = tuple(shlex.split(args or ""))
        except ValueError:
            st.warning(t("editor.arguments_refused"))
            return
        if (parsed, stdin or "") != (program.args, program.stdin):
            with notices.guard():
                shop.change(args=parsed, stdin=stdin or "")


def draw_keys(shop: Workshop) -> None:
    """Have Ctrl+Enter run the program, and the editor report what is typed in time; at the end of a column."""
    ace.draw_link(lambda: act(shop, run, shop))


def run(shop: Workshop) -> None:
    """Run the program as it stands."""
    program = shop.program
    running.start(program.owner, program.id, program.language, shop.handed_in, program.stdin, program.args)


def is_running(shop: Workshop) -> bool:
    """Whether the program runs now."""
    job = services().runs.find(shop.program.id)
    return job is not None and not job.done
