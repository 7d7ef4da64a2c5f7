"""The test set: which one is open, its rows in a table, its checks; every change is kept at once.

The table knows its changes as differences from what it was given first, so it is given the same again until rows come from
elsewhere; `revision` grows then.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
import streamlit as st

from codecoach.errors import InputRefused, VersionConflict
from codecoach.lab.cases import EXPECTED, MAX_BYTES, Cases, Check, CheckKind, from_csv, to_csv
from codecoach.store.case_sets import CaseSet
from codecoach.store.templates import NAME_CHARS
from codecoach.ui import notices
from codecoach.ui.acting import attempt
from codecoach.ui.lab import prompt
from codecoach.ui.lab.workbench import Workbench
from codecoach.ui.session import services, t
from codecoach.ui.shown import shown

_KEY: Final = "lab:case_set"
KINDS: Final[dict[CheckKind, str]] = {
    "contains": "lab.check_contains",
    "regex": "lab.check_regex",
    "json_schema": "lab.check_json_schema",
    "judge": "lab.check_judge",
    "code": "lab.check_code",
}
_TABLE_PX: Final = 260


@dataclass
class _Open:
    """The open set in this browser session.

    shown  what the table was given
    """

    case_set: CaseSet
    revision: int = 0
    shown: Cases | None = None

    def key(self, name: str) -> str:
        return f"lab:{name}.{self.case_set.id}.{self.revision}"

    def put(self, case_set: CaseSet) -> None:
        """Open another set, or the same with rows from elsewhere than the table."""
        self.case_set, self.shown = case_set, None
        self.revision += 1

    def keep(self, cases: Cases) -> None:
        """Keep the set with these rows and checks, if they differ."""
        if cases == self.case_set.cases:
            return
        changed = replace(self.case_set, cases=cases)
        try:
            # Its id must not change under the widgets that are being drawn, so a new set has it from its first change on.
            self.case_set = services().case_sets.save(changed)
        except VersionConflict:
            name = t("lab.copy_of", name=changed.name)[:NAME_CHARS]
            self.case_set = services().case_sets.save(replace(changed, id="", version=0, name=name))
            st.warning(t("lab.set_conflict", name=notices.plain(name)), icon=":material/call_split:")


def draw(bench: Workbench) -> CaseSet:
    """Draw the open set; returns it as it is now."""
    now = _entered(bench.owner)
    _draw_choice(bench.owner, now)
    cases = _draw_rows(now, bench.sheet.variables)
    cases = replace(cases, checks=_draw_checks(now, bench))
    with notices.guard():
        now.keep(cases)
    return replace(now.case_set, cases=cases)


def _entered(owner: str) -> _Open:
    now: _Open | None = st.session_state.get(_KEY)
    if now is None or now.case_set.owner != owner:
        stored = shown().case_sets.list(owner)
        now = st.session_state[_KEY] = _Open(stored[0] if stored else _new(owner))
    return now


def _new(owner: str) -> CaseSet:
    return services().case_sets.save(CaseSet("", owner, t("lab.first_set"), Cases(checks=(Check("contains"),))))


def _draw_choice(owner: str, now: _Open) -> None:
    sets = {one.id: one for one in shown().case_sets.list(owner)} | {now.case_set.id: now.case_set}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            t("lab.test_set"),
            list(sets),
            index=list(sets).index(now.case_set.id),
            format_func=lambda known: sets[known].name,
            key=now.key("set"),
        )
        if chosen != now.case_set.id:
            now.put(sets[chosen])
            st.rerun()
        st.button(
            t("lab.new_set"), key="lab:new_set", icon=":material/add:", on_click=attempt, args=(_begin, owner, now)
        )
        with st.popover(t("lab.set_more"), icon=":material/more_horiz:", key=now.key("set_more")):
            _draw_more(owner, now)


def _begin(owner: str, now: _Open) -> None:
    now.put(_new(owner))


def _draw_more(owner: str, now: _Open) -> None:
    _draw_naming(now, "set_name", t("lab.name"), t("lab.rename_set"), now.case_set.name, _rename)
    _draw_naming(now, "column", t("lab.column"), t("lab.add_column"), "", _add_column)
    st.download_button(
        t("lab.export_csv"),
        data=lambda: to_csv(now.case_set.cases),
        file_name="cases.csv",
        mime="text/csv",
        icon=":material/download:",
        key="lab:export_csv",
        on_click="ignore",
    )
    file = st.file_uploader(
        t("lab.import_csv"),
        type=["csv", "tsv", "txt"],
        key=now.key("csv"),
        help=t("lab.import_csv_help"),
        max_upload_size=MAX_BYTES // 1_000_000,
    )
    if file is not None:
        with notices.guard():
            read = from_csv(file.getvalue())
            now.keep(replace(read, checks=now.case_set.cases.checks))
            now.put(now.case_set)
            st.rerun()
    st.button(
        t("lab.delete_set"),
        key="lab:delete_set",
        icon=":material/delete:",
        on_click=attempt,
        args=(_delete, owner, now),
    )


def _draw_naming(now: _Open, name: str, label: str, action: str, value: str, do: Callable[[_Open, str], None]) -> None:
    """Draw a field for a name, and the button that does something with it."""
    key = now.key(name)
    st.text_input(label, value=value, key=key, max_chars=NAME_CHARS)
    st.button(
        action, key=f"lab:{name}.do", on_click=attempt, args=(lambda: do(now, str(st.session_state.get(key) or "")),)
    )


def _rename(now: _Open, name: str) -> None:
    now.put(services().case_sets.save(replace(now.case_set, name=name)))


def _add_column(now: _Open, name: str) -> None:
    if not name.strip():
        raise InputRefused("lab_csv_head")
    now.keep(now.case_set.cases.with_columns((*now.case_set.cases.columns, name.strip())))
    now.put(now.case_set)


def _delete(owner: str, now: _Open) -> None:
    services().case_sets.delete(owner, now.case_set.id)
    left = services().case_sets.list(owner)
    now.put(left[0] if left else _new(owner))


def _draw_rows(now: _Open, variables: tuple[str, ...]) -> Cases:
    """Draw the table, a column for each variable first; returns what is in it."""
    wanted = now.case_set.cases.with_columns((*variables, EXPECTED))
    if now.shown is None or now.shown.columns != wanted.columns or now.key("rows") not in st.session_state:
        # Whatever the table knew has been kept; from here on it begins anew.
        now.shown = wanted
        now.revision += now.key("rows") in st.session_state
    frame = pd.DataFrame(list(now.shown.rows), columns=list(now.shown.columns), dtype="str")
    edited = st.data_editor(
        frame,
        key=now.key("rows"),
        num_rows="dynamic",
        height=_TABLE_PX,
        column_config={name: st.column_config.TextColumn(name, width="medium") for name in now.shown.columns},
        alt=t("lab.rows"),
    )
    st.caption(t("lab.rows_help"))
    rows = tuple(tuple("" if pd.isna(cell) else str(cell) for cell in row) for row in edited.itertuples(index=False))
    return Cases(now.shown.columns, rows, now.case_set.cases.checks)


def _draw_checks(now: _Open, bench: Workbench) -> tuple[Check, ...]:
    known: dict[CheckKind, Check] = {check.kind: check for check in now.case_set.cases.checks}
    chosen = st.pills(
        t("lab.checks"),
        list(KINDS),
        default=list(known),
        format_func=lambda kind: t(KINDS[kind]),
        selection_mode="multi",
        key=now.key("checks"),
        help=t("lab.checks_help"),
    )
    return tuple(_draw_check(now, known.get(kind) or Check(kind), bench) for kind in KINDS if kind in chosen)


def _draw_check(now: _Open, check: Check, bench: Workbench) -> Check:
    key = f"check.{check.kind}"
    with st.container(border=True, gap="small"):
        expected = st.text_area(
            t(f"lab.expected.{check.kind}"),
            value=check.expected,
            key=now.key(f"{key}.expected"),
            height=100 if check.kind == "json_schema" else 68,
            help=t("lab.expected_help"),
        )
        whole = check.whole
        if check.kind in ("contains", "code"):
            whole = st.toggle(t(f"lab.whole.{check.kind}"), value=check.whole, key=now.key(f"{key}.whole"))
        model_id = check.model_id
        if check.kind == "judge":
            ids = prompt.model_ids(model_id or bench.sheet.model_id)
            model_id = st.selectbox(
                t("lab.judge"),
                ids,
                index=ids.index(model_id or bench.sheet.model_id) if (model_id or bench.sheet.model_id) in ids else 0,
                format_func=prompt.model_label,
                key=now.key(f"{key}.model"),
            )
    return Check(check.kind, expected or "", whole, model_id)
