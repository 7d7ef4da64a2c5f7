"""The left half of the bench: the model, the texts, the variables, the parameters, and the button that sends it all."""

from typing import Final

import streamlit as st

from codecoach.errors import CodeCoachError, InputRefused
from codecoach.lab.sheet import MAX_TOKENS, MAX_TOP_K, Example
from codecoach.models import catalogue, payloads
from codecoach.models.payloads import Image
from codecoach.ui import ace, notices
from codecoach.ui.acting import attempt
from codecoach.ui.lab.workbench import Workbench, act, lines_of
from codecoach.ui.session import services, t

PLACE: Final = "prompt"
_FORMATS: Final = {
    "claude_messages": "lab.format_claude_messages",
    "claude_text": "lab.format_claude_text",
    "mistral_text": "lab.format_mistral_text",
    "converse": "lab.format_converse",
}
_IMAGE_TYPES: Final = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "gif": "gif", "webp": "webp"}
# Source: quotas of Converse and of Claude's Messages.
_IMAGE_BYTES: Final = 3_750_000
_IMAGES: Final = 20


def answering() -> list[str]:
    """The models that answer here; none where nobody knows."""
    try:
        return [card.id for card in services().directory.cards()]
    except CodeCoachError:
        return []


def model_ids(chosen: str) -> list[str]:
    """What can be chosen: models that answer here, then those of the catalogue, the retired ones last."""
    here = answering()
    known = [entry for entry in catalogue.entries() if entry.provider != "local" or not here]
    rest = [
        entry.id for entry in sorted(known, key=lambda entry: (entry.state() == "retired", entry.provider, entry.name))
    ]
    return list(dict.fromkeys([*here, *([chosen] if chosen else []), *rest]))


def model_label(model_id: str) -> str:
    """A model's name, its provider and, where it no longer answers, that it is retired."""
    known = catalogue.entry(model_id)
    if known is None:
        return model_id
    prefix = catalogue.geo(model_id)
    name = f"{known.name} ({prefix})" if prefix else known.name
    retired = f" · {t('lab.retired')}" if known.state() == "retired" else ""
    return f"{name} · {known.provider}{retired}"


def format_label(format_id: str) -> str:
    return t(_FORMATS[format_id])


def draw_model(bench: Workbench) -> None:
    """Draw which model is asked, in which format, and what to do where it no longer answers."""
    sheet = bench.sheet
    ids = model_ids(sheet.model_id)
    left, right = st.columns([3, 2])
    left.selectbox(
        t("lab.model"),
        ids,
        index=ids.index(sheet.model_id) if sheet.model_id in ids else 0,
        format_func=model_label,
        key=bench.key("model_id"),
    )
    formats = payloads.formats(sheet.model_id or ids[0])
    right.selectbox(
        t("lab.format"),
        list(formats),
        index=formats.index(sheet.format) if sheet.format in formats else 0,
        format_func=format_label,
        key=bench.key(f"format.{sheet.model_id}"),
        help=t("lab.format_help"),
    )
    known = catalogue.entry(sheet.model_id)
    instead = catalogue.nearest_living(sheet.model_id, here) if (here := _callable()) else None
    if known and known.state() == "retired" and instead:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            day = known.end_of_life.isoformat() if known.end_of_life else ""
            told = t("lab.retired_since", day=day) if day else t("lab.retired_what")
            st.caption(f":orange[:material/history:] {told}", width="content")
            st.button(
                t("lab.use_instead", model=notices.plain(model_label(instead))),
                key="lab:instead",
                icon=":material/swap_horiz:",
                type="tertiary",
                on_click=act,
                args=(bench, lambda: bench.change(model_id=instead, format="")),
            )


def _callable() -> list[str]:
    """The models that answer here; of the catalogue where that is not known."""
    try:
        return [card.id for card in services().directory.cards()]
    except CodeCoachError:
        return []


def draw_texts(bench: Workbench) -> None:
    """Draw system text and prompt."""
    sheet = bench.sheet
    st.text_area(t("lab.system"), value=sheet.system, key=bench.key("system"), height=104, help=t("lab.system_help"))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f":small[{t('lab.prompt')}]", width="content", help=t("lab.prompt_help"))
        st.toggle(t("lab.double"), value=sheet.style == "double", key=bench.key("double"), help=t("lab.double_help"))
    ace.code_editor(sheet.text, "markdown", bench.key("text"), min_lines=8, max_lines=24, wrap=True)


def draw_variables(bench: Workbench) -> None:
    """Draw an input for each variable, in order of appearance."""
    for name in bench.sheet.variables:
        st.text_area(_label(name), value=bench.sheet.values.get(name, ""), key=bench.key(f"value.{name}"), height=68)
    if not bench.sheet.variables:
        st.caption(t("lab.no_variables"))


def _label(name: str) -> str:
    """A variable's name as a label. It is Markdown, but is read aloud as it is written: escaped only where it must be."""
    return notices.plain(name) if name.startswith("_") else name


def draw_more(bench: Workbench) -> None:
    """Draw examples, the reply's beginning and the parameters: those that the model takes."""
    sheet = bench.sheet
    with st.expander(
        _counted("lab.examples", len(sheet.examples)), icon=":material/format_list_numbered:", type="compact"
    ):
        _draw_examples(bench)
    chosen = _format(bench)
    if chosen is None:
        return
    with st.expander(t("lab.parameters"), icon=":material/tune:", type="compact"):
        if payloads.takes_prefill(sheet.model_id, chosen):
            st.text_input(t("lab.prefill"), value=sheet.prefill, key=bench.key("prefill"), help=t("lab.prefill_help"))
        _draw_parameters(bench, payloads.accepts(sheet.model_id, chosen))


def _format(bench: Workbench) -> catalogue.Format | None:
    if not bench.sheet.model_id:
        return None
    formats = payloads.formats(bench.sheet.model_id)
    return next((known for known in formats if known == bench.sheet.format), formats[0])


def _counted(key: str, count: int) -> str:
    return f"{t(key)} ({count})" if count else t(key)


def _draw_examples(bench: Workbench) -> None:
    for number, example in enumerate(bench.sheet.examples):
        st.text_area(
            t("lab.example_question", number=number + 1),
            value=example.question,
            key=bench.key(f"question.{number}"),
            height=68,
        )
        st.text_area(
            t("lab.example_answer", number=number + 1),
            value=example.answer,
            key=bench.key(f"answer.{number}"),
            height=68,
        )
    with st.container(horizontal=True):
        st.button(
            t("lab.add_example"),
            key="lab:add_example",
            icon=":material/add:",
            on_click=act,
            args=(bench, lambda: bench.change(examples=(*bench.sheet.examples, Example("", "")))),
        )
        if bench.sheet.examples:
            st.button(
                t("lab.remove_example"),
                key="lab:remove_example",
                icon=":material/remove:",
                on_click=act,
                args=(bench, lambda: bench.change(examples=bench.sheet.examples[:-1])),
            )
    st.caption(t("lab.examples_help"))


def _draw_parameters(bench: Workbench, accepted: frozenset[str]) -> None:
    given = bench.sheet.parameters
    columns = st.columns(2)
    columns[0].number_input(
        "max_tokens", min_value=1, max_value=MAX_TOKENS, value=given.max_tokens, key=bench.key("max_tokens")
    )
    if "temperature" in accepted:
        columns[1].number_input(
            "temperature",
            min_value=0.0,
            max_value=1.0,
            step=0.1,
            value=given.temperature,
            key=bench.key("temperature"),
            placeholder=t("lab.models_own"),
        )
    if "top_p" in accepted:
        columns[0].number_input(
            "top_p",
            min_value=0.0,
            max_value=1.0,
            step=0.05,
            value=given.top_p,
            key=bench.key("top_p"),
            placeholder=t("lab.models_own"),
        )
    if "top_k" in accepted:
        columns[1].number_input(
            "top_k",
            min_value=0,
            max_value=MAX_TOP_K,
            value=given.top_k,
            key=bench.key("top_k"),
            placeholder=t("lab.models_own"),
        )
    st.text_area(
        t("lab.stop_sequences"),
        value=lines_of(given.stop_sequences),
        key=bench.key("stop"),
        height=68,
        help=t("lab.stop_sequences_help"),
    )
    if "temperature" not in accepted:
        st.caption(t("lab.no_sampling"))


def draw_images(bench: Workbench) -> tuple[Image, ...]:
    """Draw where pictures are given to a model that sees them; returns them. They are not kept."""
    chosen = _format(bench)
    if chosen is None or not payloads.takes_images(bench.sheet.model_id, chosen):
        return ()
    with st.expander(t("lab.images"), icon=":material/image:", type="compact"):
        files = st.file_uploader(
            t("lab.images_help"), type=list(_IMAGE_TYPES), accept_multiple_files=True, key="lab:images"
        )
    images: list[Image] = []
    for file in (files or [])[:_IMAGES]:
        data = file.getvalue()
        kind = _kind(data)
        if kind is None or len(data) > _IMAGE_BYTES:
            st.warning(t("lab.image_refused", name=notices.plain(file.name)))
        else:
            images.append(Image(kind, data))  # type: ignore[arg-type]
    return tuple(images)


def _kind(data: bytes) -> str | None:
    """What a picture's first bytes say it is, whatever it is called."""
    for start, kind in ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif")):
        if data.startswith(start):
            return kind
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def draw_buttons(bench: Workbench, images: tuple[Image, ...], writing: bool) -> None:
    """Draw Submit, or Stop while an answer is being written."""
    if writing:
        st.button(
            t("lab.stop"),
            key="lab:stop",
            icon=":material/stop_circle:",
            shortcut="Esc",
            on_click=attempt,
            args=(services().bench.stop, bench.owner, PLACE),
        )
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            t("lab.submit"),
            key="lab:submit",
            type="primary",
            icon=":material/send:",
            on_click=act,
            args=(bench, submit, bench, images),
        )
        st.caption(t("lab.keys"), width="content")


def draw_keys(bench: Workbench, images: tuple[Image, ...]) -> None:
    """Have Ctrl+Enter submit, and the editor report what is typed in time; at the end of a column."""
    ace.draw_link(lambda: act(bench, submit, bench, images), t("lab.prompt"))


def submit(bench: Workbench, images: tuple[Image, ...]) -> None:
    """Send what stands on the bench. Raises `InputRefused` that names the variables without a value."""
    missing = bench.sheet.unfilled
    if missing:
        raise InputRefused("lab_unfilled", names=", ".join(missing))
    services().bench.submit(bench.owner, PLACE, payloads.build(bench.sheet.filled(), images))
    bench.look_at("response")
