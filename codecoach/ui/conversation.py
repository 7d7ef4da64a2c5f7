"""A conversation on the screen: its messages, what can be done with them, and where the next one is written."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach.chat.messages import Conversation, Message, MessageState, Role
from codecoach.coach import assistants, copilots
from codecoach.errors import CodeCoachError
from codecoach.ui import budget, models, notices, reading_place, reply, run_panel, session, shown, sidebar
from codecoach.ui.acting import attempt, attempt_once, attempted
from codecoach.ui.icon_only import icon_only
from codecoach.ui.reply import LiveReply, Surroundings
from codecoach.ui.session import services, t

PAGE_SIZE: Final = 20  # a message costs 2 ms to draw; earlier ones are a click away

_ASSISTANT: Final = "chat:assistant"
_EDITING: Final = "chat:editing"
_BEGUN_WITH: Final = "chat:editing_begun_with"
_PAGES: Final = "chat:pages"
_DRAFT: Final = "chat:ask"
_SIDES: Final = "chat:sides"
_DRAWN: Final = "chat:drawn"

_STATES: Final = {
    MessageState.STOPPED: ("chat.stopped", ":material/stop_circle:", "gray"),
    MessageState.INTERRUPTED: ("chat.interrupted", ":material/link_off:", "orange"),
    MessageState.FAILED: ("chat.failed", ":material/error:", "red"),
}
# Bedrock's own words for a reply that ended early.
_CUT: Final = {
    "max_tokens": "chat.cut_length",
    "guardrail_intervened": "chat.cut_guardrail",
    "content_filtered": "chat.cut_filter",
}
_EXAMPLES: Final = {
    "chat.example_buckets": ":material/database:",
    "chat.example_instances": ":material/dns:",
    "chat.example_queue": ":material/swap_horiz:",
}


def draw_header(owner: str, conversation: Conversation | None) -> DeltaGenerator:
    """Draw which assistant and which model answer here; returns where it is said what that has cost."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if conversation:
            with notices.guard():
                _draw_assistant(owner, conversation)
        with notices.guard():
            st.page_link(
                "pages/4_Settings.py",
                label=notices.plain(models.label(models.current(owner))),
                icon=":material/neurology:",
                help=t("chat.model_help"),
            )
        return st.empty()


def _draw_assistant(owner: str, conversation: Conversation) -> None:
    copilot = shown.shown().copilots.find(owner, conversation.assistant_id)
    if copilot:
        st.badge(notices.plain(copilot.name), icon=":material/smart_toy:", help=t("chat.copilot"))
    else:
        assistant = assistants.get(conversation.assistant_id)
        st.badge(t(assistant.name_key), icon=":material/smart_toy:", help=t(assistant.description_key))


def draw_empty(owner: str, conversation: Conversation | None) -> None:
    """Draw what stands where there are no messages yet: the choice of assistant, and examples to begin with."""
    st.title(t("chat.welcome"), anchor=False)
    if conversation is None:
        with notices.guard():
            _draw_assistants(owner)
    st.caption(t("chat.try"))
    with st.container(gap="small"):
        for key, icon in _EXAMPLES.items():
            st.button(
                t(key),
                key=f"example.{key}",
                icon=icon,
                width="stretch",
                on_click=attempt,
                args=(_ask, owner, conversation, t(key)),
            )


def _draw_assistants(owner: str) -> None:
    known = {one.id: (t(one.name_key), t(one.description_key)) for one in assistants.BUILT_IN}
    for copilot in shown.shown().copilots.list(owner):
        known[copilots.assistant_id(copilot)] = (notices.plain(copilot.name), t("chat.copilot"))
    if st.session_state.get(_ASSISTANT) not in known:
        st.session_state[_ASSISTANT] = assistants.DEFAULT.id
    chosen = st.segmented_control(
        t("chat.assistant"),
        list(known),
        format_func=lambda name: known[name][0],
        required=True,
        key=_ASSISTANT,
        persist_state="session",
    )
    st.caption(known[chosen or assistants.DEFAULT.id][1])
    st.space("small")


def draw_messages(owner: str, conversation: Conversation, place: Surroundings) -> Message | None:
    """Draw the newest messages, earlier ones on request; returns the last, so that the page knows how things stand."""
    messages, earlier = _read(conversation)
    place = replace(place, ran=run_panel.last_runs(conversation.id, messages))
    if earlier:
        st.button(
            t("chat.earlier"),
            key="chat:earlier",
            icon=":material/expand_less:",
            on_click=_show_earlier,
            args=(conversation.id, messages[0].id),
        )
    st.session_state[_DRAWN] = [message.id for message in messages]
    for message in messages:
        is_last = message.id == messages[-1].id
        if message.role is Role.USER:
            _draw_users(owner, conversation, message, is_last)
        else:
            _draw_reply(owner, conversation, message, place, is_last)
    reading_place.carry_out_order()
    return messages[-1] if messages else None


def _read(conversation: Conversation) -> tuple[list[Message], bool]:
    """As many pages of messages as were asked for, oldest first, and whether there are earlier ones."""
    pages = st.session_state.setdefault(_PAGES, {}).get(conversation.id, 1)
    messages: list[Message] = []
    before = None
    for _ in range(pages):
        found = shown.messages(conversation.id, limit=PAGE_SIZE, before=before)
        messages[:0] = found.messages
        before = found.before
        if before is None:
            break
    return messages, before is not None


def _show_earlier(conversation_id: str, first_id: str) -> None:
    """Draw one more page; the reader, who is at the first message drawn, stays there."""
    reading_place.keep(f"at-{first_id}")
    pages = st.session_state.setdefault(_PAGES, {})
    pages[conversation_id] = pages.get(conversation_id, 1) + 1


def _draw_users(owner: str, conversation: Conversation, message: Message, is_last: bool) -> None:
    with st.chat_message("user", avatar=":material/person:"), _place(message.id):
        if st.session_state.get(_EDITING) == message.id:
            _draw_edit(owner, conversation, message)
            return
        with st.container(horizontal=True, vertical_alignment="top", wrap=False):
            with st.container():
                reply.draw_typed(message.text)
            with icon_only(message.id):
                st.button(
                    t("chat.edit"),
                    key=f"again.{message.id}",
                    icon=":material/edit:",
                    help=t("chat.edit"),
                    type="tertiary",
                    on_click=_edit,
                    args=(message.id, message.text),
                )
        if is_last and not writing(conversation):  # the app ended between storing it and beginning the reply
            _button("chat.answer", f"answer.{message.id}", partial(_resend, owner, conversation, message, message.text))


def _draw_edit(owner: str, conversation: Conversation, message: Message) -> None:
    key = f"text.{message.id}"
    st.text_area(t("chat.edit"), value=message.text, key=key, label_visibility="collapsed", height="content")
    st.caption(t("chat.edit_what"))
    if message.text != st.session_state.get(_BEGUN_WITH, message.text):
        st.warning(t("chat.edit_conflict"), icon=":material/call_split:")
        reply.draw_typed(message.text)
    with st.container(horizontal=True):
        st.button(
            t("chat.send_again"),
            key=f"send.{message.id}",
            type="primary",
            icon=":material/send:",
            on_click=lambda: attempt_once(_resend, owner, conversation, message, st.session_state.get(key, "")),
        )
        st.button(t("chat.cancel"), key=f"leave.{message.id}", on_click=_edit, args=(None,))


def _edit(message_id: str | None, text: str = "") -> None:
    st.session_state[_EDITING], st.session_state[_BEGUN_WITH] = message_id, text


def _draw_reply(owner: str, conversation: Conversation, message: Message, place: Surroundings, is_last: bool) -> None:
    def footer(whole: Message) -> None:
        _draw_footer(owner, conversation, whole, is_last)

    with st.chat_message("assistant", avatar=":material/smart_toy:"), _place(message.id):
        if message.state is MessageState.STREAMING:
            place.following.add(LiveReply(reply.source(conversation.id, message), place, message.id, footer))
        else:
            reply.draw_whole(message, place, footer)


def _place(message_id: str) -> DeltaGenerator:
    """Where a message is drawn; see `_move`."""
    side: int = st.session_state.get(_SIDES, {}).get(message_id, 0)
    places: list[DeltaGenerator] = [
        st.container(key=f"at-{message_id}") if number == side else st.empty() for number in range(2)
    ]
    return places[side]


def _move(old_id: str, new_id: str) -> None:
    """Have a message drawn beside where another one, or it itself, stood until now.

    Streamlit keeps what an earlier script run drew at the same place until the run ends, and that is only when the reply is
    whole: the old one would stand above the new.
    """
    sides = st.session_state.setdefault(_SIDES, {})
    sides[new_id] = 1 - sides.get(old_id, 0)


def _draw_footer(owner: str, conversation: Conversation, message: Message, is_last: bool) -> None:
    """Draw how a reply ended, what it used, and what can be done about it."""
    if message.error:
        notices.show_failure(message.error.what, message.error.hint, message.error.reference)
    elif message.state is MessageState.COMPLETE and not message.text.strip():
        st.caption(t("chat.empty_reply"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if message.state in _STATES:
            label, icon, colour = _STATES[message.state]
            st.badge(t(label), icon=icon, color=colour)  # type: ignore[arg-type]
        elif message.stop_reason in _CUT:
            st.badge(t(_CUT[message.stop_reason]), icon=":material/content_cut:", color="orange")
        if is_last:
            _draw_remedies(owner, conversation, message)
        st.caption(_used(message), width="content")


def _draw_remedies(owner: str, conversation: Conversation, message: Message) -> None:
    if message.unfinished:
        _button(
            "chat.continue",
            f"continue.{message.id}",
            partial(_resume, owner, conversation, message),
            ":material/play_arrow:",
        )
    again = "chat.regenerate" if message.state is MessageState.COMPLETE else "chat.retry"
    _button(again, f"retry.{message.id}", partial(_retry, owner, conversation, message), ":material/refresh:")


def _button(label: str, key: str, action: Callable[[], None], icon: str = ":material/refresh:") -> None:
    st.button(t(label), key=key, icon=icon, type="tertiary", on_click=attempt_once, args=(action,))


def _used(message: Message) -> str:
    words = [notices.plain(models.label(message.model_id))] if message.model_id else []
    return " · ".join([*words, *budget.words(message)])


def draw_look_again() -> None:
    """Draw what stands where the conversation could not be read: a click draws the page once more."""
    st.button(t("chat.look_again"), key="chat:look_again", icon=":material/refresh:")


def draw_composer(owner: str, conversation: Conversation | None, disabled: bool = False) -> None:
    """Draw where the next message is written; disabled where it is not known to which conversation it would go."""
    if typed := session.typed_before(_DRAFT):
        st.session_state[_DRAFT] = typed
    st.chat_input(t("chat.placeholder"), key=_DRAFT, on_submit=_submit, args=(owner, conversation), disabled=disabled)


def _submit(owner: str, conversation: Conversation | None) -> None:
    text = str(st.session_state[_DRAFT] or "")
    if text.strip() and not attempted(_ask, owner, conversation, text.strip()):
        st.session_state[_DRAFT] = text  # what was typed comes back, whatever was wrong with it


def draw_stop(conversation: Conversation, message: Message) -> None:
    """Draw the button that stops a reply, wherever it is written."""
    st.button(
        t("chat.stop"),
        key="chat:stop",
        icon=":material/stop_circle:",
        shortcut="Esc",
        on_click=attempt,
        args=(services().generations.stop, conversation.id, message.id),
    )


def writing(conversation: Conversation) -> bool:
    """Whether this process is writing a reply in the conversation."""
    generation = services().generations.find(conversation.id)
    return generation is not None and not generation.done


def _ask(owner: str, conversation: Conversation | None, text: str) -> None:
    """Say something, in a new conversation if none is open."""
    model_id = models.current(owner)
    if conversation:
        services().coach.ask(conversation, text, model_id)
        reading_place.to_end()
        return
    begun = services().conversations.create(owner, st.session_state.get(_ASSISTANT) or assistants.DEFAULT.id)
    try:
        services().coach.ask(begun, text, model_id)
    except CodeCoachError:
        services().conversations.delete(owner, begun.id)
        raise
    sidebar.show(begun.id)


def _resend(owner: str, conversation: Conversation, message: Message, text: str) -> None:
    drawn: list[str] = st.session_state.get(_DRAWN, [])
    model_id, seen = models.current(owner), (message, drawn[-1] if drawn else "")
    reply_id = services().coach.resend(conversation, message.id, text.strip(), model_id, seen).message_id
    after = drawn[drawn.index(message.id) + 1 :] if message.id in drawn else []
    _move(message.id, message.id)
    _move(after[0] if after else "", reply_id)
    _edit(None)


def _resume(owner: str, conversation: Conversation, message: Message) -> None:
    services().coach.resume(conversation, message, models.current(owner))
    _move(message.id, message.id)


def _retry(owner: str, conversation: Conversation, message: Message) -> None:
    # A reply is written again where it is the last one that is drawn.
    generation = services().coach.retry(conversation, message, models.current(owner), (message, message.id))
    _move(message.id, generation.message_id)
