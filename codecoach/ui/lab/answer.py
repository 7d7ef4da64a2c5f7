"""The right half of the bench: the prompt as it is filled in, the request as it travels, what came back."""

import json
from dataclasses import replace
from typing import Any, Final

import streamlit as st

from codecoach.chat.messages import Message, MessageState
from codecoach.errors import CodeCoachError
from codecoach.lab.sheet import Sheet
from codecoach.models import laboratory, payloads
from codecoach.models.export import has_pictures
from codecoach.models.payloads import Image, Payload
from codecoach.store import keys
from codecoach.ui import budget, diff, notices, reply
from codecoach.ui.lab import export
from codecoach.ui.lab.prompt import PLACE, format_label
from codecoach.ui.lab.workbench import View, Workbench
from codecoach.ui.live import Following
from codecoach.ui.reply import LiveReply, Surroundings
from codecoach.ui.session import services, t

_VIEWS: Final[tuple[View, ...]] = ("rendered", "request", "response", "raw")
_VIEW_LABELS: Final = {
    "rendered": "lab.view_rendered",
    "request": "lab.view_request",
    "response": "lab.view_response",
    "raw": "lab.view_raw",
}
STATES: Final = {
    MessageState.STOPPED: ("chat.stopped", ":material/stop_circle:", "gray"),
    MessageState.INTERRUPTED: ("chat.interrupted", ":material/link_off:", "orange"),
    MessageState.FAILED: ("chat.failed", ":material/error:", "red"),
}
_NOTHING: Final = "–"
# Of a picture's base64: megabytes of it would be drawn at every click.
_PICTURE_CHARS: Final = 64


def draw(bench: Workbench, following: Following, images: tuple[Image, ...], message: Message | None) -> None:
    """Draw what was chosen to be looked at."""
    # Each in a place of its own, the others' empty: what stood here before would stay, greyed, below an answer until it is whole.
    controls = (st.empty(), st.empty())
    view = controls[bench.view_turn % 2].segmented_control(
        t("lab.view"),
        _VIEWS,
        default=bench.view,
        format_func=lambda known: t(_VIEW_LABELS[known]),
        required=True,
        key=f"lab:view.{bench.view_turn}",
        label_visibility="collapsed",
    )
    bench.view = view or bench.view
    places = {known: st.empty() for known in _VIEWS}
    with places[bench.view].container():
        _draw_view(bench, following, images, message)


def _draw_view(bench: Workbench, following: Following, images: tuple[Image, ...], message: Message | None) -> None:
    if bench.view == "response":
        _draw_response(bench.owner, PLACE, message, following)
        return
    if bench.view == "raw":
        _draw_raw(message)
        return
    try:
        payload = payloads.build(bench.sheet.filled(partly=True), images)
    except CodeCoachError as error:
        st.info(f"{notices.told(error.what)}  \n{notices.told(error.hint)}", icon=":material/edit_note:")
        return
    _draw_gaps(bench.sheet)
    if bench.view == "rendered":
        _draw_rendered(payload)
        draw_notes(payload)
    else:
        _draw_request(bench.sheet, payload, images)


def draw_notes(payload: Payload) -> None:
    """Draw what was changed on the way to the request."""
    for note in payload.notes:
        st.caption(f":material/info: {notices.told(note)}")


def _draw_gaps(sheet: Sheet) -> None:
    if sheet.unfilled:
        names = ", ".join(f"**{notices.plain(name)}**" for name in sheet.unfilled)
        st.warning(t("lab.unfilled", names=names), icon=":material/edit:")
    if sheet.unused:
        st.caption(t("lab.unused", names=", ".join(notices.plain(name) for name in sheet.unused)))


def _draw_rendered(payload: Payload) -> None:
    """The turns as the model is given them."""
    body = payload.body
    if "prompt" in body:
        st.code(body["prompt"], language=None, wrap_lines=True)
        return
    system = body.get("system")
    if system:
        st.caption(t("lab.turn_system"))
        st.code(system if isinstance(system, str) else system[0]["text"], language=None, wrap_lines=True)
    for turn in body["messages"]:
        st.caption(t("lab.turn_user") if turn["role"] == "user" else t("lab.turn_assistant"))
        for block in turn["content"]:
            if "text" in block:
                st.code(block["text"], language=None, wrap_lines=True)
            else:
                st.caption(f":material/image: {t('lab.turn_image')}")


def _draw_request(sheet: Sheet, payload: Payload, images: tuple[Image, ...]) -> None:
    """The request, and how it differs from the same prompt asked otherwise."""
    st.markdown(t("lab.operation", operation=payload.streamed, model=notices.plain(payload.model_id)))
    st.code(_json(_shortened(payload.json()["body"])), language="json", wrap_lines=True)
    if has_pictures(payload):
        st.caption(t("lab.pictures_shortened"))
    draw_notes(payload)
    with st.expander(t("lab.view_code"), icon=":material/code:", type="compact"):
        export.draw(payload)
    others = _others(sheet, payload)
    if not others:
        return
    chosen = st.selectbox(
        t("lab.compare_with"),
        list(others),
        index=None,
        format_func=lambda name: others[name][0],
        key="lab:against",
        placeholder=t("lab.compare_with_what"),
    )
    if chosen:
        try:
            other = payloads.build(others[chosen][1].filled(partly=True), images)
        except CodeCoachError as error:
            notices.show_failure(error.what, error.hint, error.reference)
            return
        diff.draw(_json(_shortened(other.json())), _json(_shortened(payload.json())))


def _others(sheet: Sheet, payload: Payload) -> dict[str, tuple[str, Sheet]]:
    """The same prompt in other formats: id -> its name and sheet."""
    others: dict[str, tuple[str, Sheet]] = {}
    if sheet.system:
        others["no_system"] = (t("lab.without_system"), replace(sheet, system=""))
    if sheet.examples:
        others["no_examples"] = (t("lab.without_examples"), replace(sheet, examples=()))
    for format_id in payloads.formats(sheet.model_id):
        if format_id != payload.format:
            others[format_id] = (format_label(format_id), replace(sheet, format=format_id))
    return others


def _draw_response(owner: str, place: str, message: Message | None, following: Following) -> None:
    if message is None:
        st.caption(t("lab.no_answer"))
        return
    draw_answer(owner, place, message, following)


def draw_answer(owner: str, place: str, message: Message, following: Following) -> None:
    """Draw an answer, followed while it is being written, and what is known of its call."""
    surroundings = Surroundings(owner, keys.bench(owner, place), following, runnable=False)
    if message.state is MessageState.STREAMING:
        following.add(LiveReply(reply.source(surroundings.thread, message), surroundings, message.id, draw_figures))
    else:
        reply.draw_whole(message, surroundings, draw_figures)


def draw_figures(message: Message) -> None:
    """Draw how an answer ended, and its figures."""
    if message.error:
        notices.show_failure(message.error.what, message.error.hint, message.error.reference)
    elif not message.text.strip():
        st.caption(t("chat.empty_reply"))
    if message.state in STATES:
        label, icon, colour = STATES[message.state]
        st.badge(t(label), icon=icon, color=colour)  # type: ignore[arg-type]
    st.caption(" · ".join(_figures(message)))


def _figures(message: Message) -> list[str]:
    sent, words = services().bench.sent(message), budget.words(message)
    if sent and sent.trace.first_token_ms is not None:
        words.append(t("lab.first_token", ms=f"{sent.trace.first_token_ms:,.0f}"))
    if sent and sent.trace.total_ms is not None:
        words.append(t("lab.total", ms=f"{sent.trace.total_ms:,.0f}"))
    if message.stop_reason:
        words.append(t("lab.stop_reason", reason=notices.plain(message.stop_reason)))
    return words


def _draw_raw(message: Message | None) -> None:
    """What came back, word for word."""
    if message is None:
        st.caption(t("lab.no_answer"))
        return
    sent = services().bench.sent(message)
    if sent is None:
        st.caption(t("lab.raw_gone"))
        return
    trace = sent.trace
    figures = {
        "requestId": trace.request_id or _NOTHING,
        "stopReason": trace.stop_reason or _NOTHING,
        "inputTokens": trace.usage.input_tokens,
        "outputTokens": trace.usage.output_tokens,
        "dollars": laboratory.dollars(message.model_id, trace.usage),
        "firstTokenMs": round(trace.first_token_ms) if trace.first_token_ms is not None else None,
        "totalMs": round(trace.total_ms) if trace.total_ms is not None else None,
        "serviceMs": trace.service_ms or None,
    }
    st.code(_json(figures), language="json")
    st.code(_json(trace.json()), language="json", wrap_lines=True)


def _shortened(data: Any) -> Any:  # noqa: ANN401 - JSON
    """A request with no more of its pictures than shows that they are there."""
    if isinstance(data, list):
        return [_shortened(item) for item in data]
    if not isinstance(data, dict):
        return data
    shown = {name: _shortened(item) for name, item in data.items()}
    for name in ("data", "bytes"):
        if isinstance(text := shown.get(name), str) and len(text) > _PICTURE_CHARS:
            shown[name] = f"{text[:_PICTURE_CHARS]}… ({len(text):,})"
    return shown


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, default=str)
