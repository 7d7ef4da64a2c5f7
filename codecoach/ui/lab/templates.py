"""The user's templates: the list in the sidebar, saving, versions, exchange, and becoming a copilot."""

import json
from collections.abc import Callable
from typing import Final, Literal

import streamlit as st
from pydantic import BaseModel, Field, ValidationError, field_validator

from codecoach.errors import InputRefused
from codecoach.lab import sheet as sheets
from codecoach.lab.sheet import Sheet
from codecoach.store.templates import NAME_CHARS, Template
from codecoach.ui import diff, list_entry, models, notices, page
from codecoach.ui.acting import attempt
from codecoach.ui.lab import examples, sources
from codecoach.ui.lab.workbench import Workbench, act
from codecoach.ui.session import language, services, t
from codecoach.ui.shown import shown

_BLANK: Final = "blank"
_IMPORTED: Final = "lab:imported"
# What a file may bring: each of them is an entry or a field that the page draws at every click.
_FILE_BYTES: Final = 5_000_000
_TEMPLATES: Final = 500
_EXAMPLES: Final = 50
_VARIABLES: Final = 100


class _Row(BaseModel):
    name: str = Field(min_length=1, max_length=NAME_CHARS, pattern=r"\S")
    sheet: Sheet

    @field_validator("sheet")
    @classmethod
    def _can_be_drawn(cls, sheet: Sheet) -> Sheet:
        if len(sheet.examples) > _EXAMPLES or len(sheet.variables) > _VARIABLES:
            raise ValueError("more fields than a page bears")
        return sheet


class _File(BaseModel):
    """An export, as a file says it."""

    kind: Literal["codecoach-templates"]
    templates: list[_Row] = Field(max_length=_TEMPLATES)


def draw_list(bench: Workbench) -> None:
    """Draw the list, by name, and what begins a new sheet."""
    with notices.guard(), page.sidebar():
        labels = {_BLANK: t("lab.blank")} | {name: t(key) for name, key in examples.NAMES.items()}
        chosen = st.menu_button(
            t("lab.new"),
            list(labels),
            format_func=labels.__getitem__,
            icon=":material/note_add:",
            key="lab:new",
            width="stretch",
        )
        if chosen:
            _begin(bench, chosen)
            st.rerun()
        listed = shown().templates.list(bench.owner)
        with list_entry.entries():
            for template in listed:
                is_open = bench.template is not None and bench.template.id == template.id
                list_entry.draw_entry(
                    template.id, template.name, is_open, lambda found: attempt(open_template, bench, found)
                )
        if not listed:
            st.caption(t("lab.none_yet"))


def _begin(bench: Workbench, chosen: str) -> None:
    if chosen == _BLANK:
        bench.exchange(Sheet(model_id=models.current(bench.owner)), None)
    else:
        bench.exchange(examples.sheet(chosen, language()), None)


def open_template(bench: Workbench, template_id: str) -> None:
    """Put a template on the bench. Raises `InputRefused` where it is gone."""
    found = services().templates.get(bench.owner, template_id)
    if found is None:
        raise InputRefused("no_such_template")
    bench.exchange(found.sheet, found)


def draw_dialog(bench: Workbench) -> bool:
    """Draw the dialog that was asked for. True where one is open."""
    template = bench.template
    if template is None:
        return False

    def rename(name: str, _was: str) -> None:
        bench.renew(lambda: services().templates.rename(bench.owner, template.id, name, template.version))

    def delete() -> None:
        services().templates.delete(bench.owner, template.id)
        bench.put(bench.sheet, None)

    return list_entry.draw_dialog(template.id, template.name, rename, delete)


def draw_bar(bench: Workbench) -> None:
    """Draw the sheet's name, and what keeps it."""
    template = bench.template
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        name = template.name if template else t("lab.untitled")
        st.subheader(notices.plain(name), anchor=False, width="content")
        if template:
            state = t("lab.changed") if bench.changed else t("lab.version", number=template.version)
            st.badge(state, color="orange" if bench.changed else "gray")
        if template and template.copilot:
            st.badge(t("lab.is_copilot"), icon=":material/smart_toy:", color="blue")
        st.space("stretch")
        if bench.before:
            st.button(
                t("lab.put_back"),
                key="lab:put_back",
                icon=":material/undo:",
                help=t("lab.put_back_help"),
                on_click=act,
                args=(bench, bench.put_back),
            )
        if template:
            st.button(
                t("lab.save"),
                key="lab:save",
                icon=":material/save:",
                disabled=not bench.savable,
                on_click=act,
                args=(bench, bench.save),
            )
        with st.popover(t("lab.save_as"), icon=":material/save_as:", key=f"lab:save_as.{bench.revision}"):
            _draw_save_as(bench)
        # It says when it is opened: only then are the versions read.
        more = st.popover(
            t("lab.more"), icon=":material/more_horiz:", key=f"lab:more.{bench.revision}", on_change="rerun"
        )
        with more:
            _draw_more(bench, bool(more.open))


def draw_conflicts(bench: Workbench) -> None:
    """Draw the choice between what is here and what another window saved, or put on the bench, where there are both."""
    if bench.theirs:
        number = bench.theirs.version
        _draw_conflict(bench, t("lab.conflict", number=number), "template", bench.take_theirs, bench.keep_mine)
    if bench.elsewhere:
        _draw_conflict(bench, t("lab.draft_conflict"), "draft", bench.take_their_draft, bench.keep_my_draft)


def _draw_conflict(
    bench: Workbench, words: str, what: str, take_theirs: Callable[[], None], keep_mine: Callable[[], None]
) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(words, icon=":material/call_split:")
        st.button(t("editor.take_theirs"), key=f"lab:theirs.{what}", on_click=act, args=(bench, take_theirs))
        st.button(t("editor.keep_mine"), key=f"lab:mine.{what}", on_click=act, args=(bench, keep_mine))


def _draw_save_as(bench: Workbench) -> None:
    key = f"lab:name.{bench.revision}"
    st.text_input(t("lab.name"), key=key, max_chars=NAME_CHARS)

    def save() -> None:
        template = Template("", bench.owner, str(st.session_state.get(key) or ""), bench.sheet)
        bench.put(bench.sheet, services().templates.save(template))

    st.button(t("lab.save_new"), key="lab:save_new", type="primary", on_click=act, args=(bench, save))


def _draw_more(bench: Workbench, is_open: bool) -> None:
    template = bench.template
    if template:
        st.toggle(
            t("lab.copilot"),
            value=template.copilot,
            key=f"lab:copilot.{template.id}.{template.version}",
            help=t("lab.copilot_help"),
            on_change=attempt,
            args=(_set_copilot, bench),
        )
        st.button(
            t("lab.duplicate"),
            key="lab:duplicate",
            icon=":material/content_copy:",
            on_click=act,
            args=(bench, _duplicate, bench),
        )
        if is_open:
            _draw_versions(bench, template)
    st.download_button(
        t("lab.export"),
        data=lambda: exported(bench),
        file_name="templates.json",
        mime="application/json",
        icon=":material/download:",
        key="lab:export",
        on_click="ignore",
        help=t("lab.export_help"),
    )
    file = st.file_uploader(
        t("lab.import"),
        type=["json"],
        key=f"lab:import.{st.session_state.get(_IMPORTED, 0)}",
        max_upload_size=_FILE_BYTES // 1_000_000,
    )
    if file is not None:
        with notices.guard():
            _import(bench, file.getvalue())


def _set_copilot(bench: Workbench) -> None:
    template = bench.template
    if template:
        chosen = not template.copilot
        bench.renew(lambda: services().templates.set_copilot(bench.owner, template.id, chosen, template.version))


def _duplicate(bench: Workbench) -> None:
    template = bench.template
    if template:
        name = t("lab.copy_of", name=template.name)[:NAME_CHARS]
        copy = services().templates.duplicate(bench.owner, template.id, name)
        bench.put(copy.sheet, copy)


def _draw_versions(bench: Workbench, template: Template) -> None:
    versions = {version.number: version for version in sources.versions(bench.owner, template.id)}
    chosen = st.selectbox(
        t("lab.versions"),
        list(versions),
        index=None,
        format_func=lambda number: f"{number} · {versions[number].saved_at:%Y-%m-%d %H:%M} UTC",
        key=f"lab:version.{template.id}.{template.version}",
        placeholder=t("lab.versions_what"),
    )
    if chosen:
        diff.draw(_text(versions[chosen].sheet), _text(bench.sheet))
        st.button(
            t("lab.restore"),
            key="lab:restore",
            icon=":material/history:",
            help=t("lab.restore_help"),
            on_click=act,
            args=(bench, lambda: bench.exchange(versions[chosen].sheet, template)),
        )


def _text(sheet: Sheet) -> str:
    """A sheet as text that can be compared line by line."""
    data = sheets.to_json(sheet)
    texts = "".join(f"# {name}\n{data.pop(name)}\n\n" for name in ("system", "text"))
    return texts + json.dumps(data, ensure_ascii=False, indent=2)


def exported(bench: Workbench) -> bytes:
    """All templates of the user as JSON: {"kind", "templates": [{"name", "sheet"}]}."""
    listed = services().templates.list(bench.owner)
    rows = [{"name": template.name, "sheet": sheets.to_json(template.sheet)} for template in listed]
    return json.dumps({"kind": "codecoach-templates", "templates": rows}, ensure_ascii=False, indent=2).encode()


def _import(bench: Workbench, data: bytes) -> None:
    for name, sheet in imported(data):
        services().templates.save(Template("", bench.owner, name, sheet))
    st.session_state[_IMPORTED] = st.session_state.get(_IMPORTED, 0) + 1
    st.rerun()


def imported(data: bytes) -> list[tuple[str, Sheet]]:
    """Names and sheets of an export. Raises `InputRefused` for anything else."""
    if len(data) > _FILE_BYTES:  # a browser is told so; nobody else need keep to it
        raise InputRefused("lab_import")
    try:
        file = _File.model_validate_json(data)
    except ValidationError as error:
        raise InputRefused("lab_import") from error
    return [(row.name, row.sheet) for row in file.templates]
