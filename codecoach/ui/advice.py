"""What the model says of the program in the Editor: an explanation, or what is wrong and a corrected program to apply."""

import streamlit as st

from codecoach.chat.messages import Message, MessageState
from codecoach.coach.fix import corrected, explanation_thread
from codecoach.store.programs import RunRecord
from codecoach.ui import budget, diff, invisible, models, notices, reply, shown
from codecoach.ui.live import Following
from codecoach.ui.reply import LiveReply, Surroundings
from codecoach.ui.session import language, services, t
from codecoach.ui.workshop import Workshop, act

# A reply and the thread it stands in.
Advice = tuple[str, Message]


def fix(shop: Workshop, record: RunRecord) -> None:
    """Have the model correct the program."""
    if _is_written(shop.program.id):
        return
    before = read(shop)
    services().fixer.fix(shop.program, record, language(), models.current(shop.program.owner))
    _dismiss(before)


def explain(shop: Workshop) -> None:
    """Have the model explain the program."""
    if _is_written(explanation_thread(shop.program.id)):
        return
    before = read(shop)
    services().fixer.explain(shop.program, language(), models.current(shop.program.owner))
    _dismiss(before)


def _is_written(thread: str) -> bool:
    """Whether a reply is being written already, for somebody who clicks twice."""
    writing = services().generations.find(thread)
    return writing is not None and not writing.done


def draw(shop: Workshop, following: Following, given: list[Advice]) -> None:
    """Draw what `read` returned, followed while it is being written."""
    for thread, message in given:
        place = Surroundings(shop.program.owner, thread, following, runnable=False)

        def below(whole: Message, thread: str = thread) -> None:
            _draw_below(shop, thread, whole)

        with st.container(border=True):
            if message.state is MessageState.STREAMING:
                st.button(
                    t("editor.stop"),
                    key=f"advice_stop.{message.id}",
                    icon=":material/stop_circle:",
                    shortcut="Esc",
                    on_click=act,
                    args=(shop, services().generations.stop, thread, message.id),
                )
                following.add(LiveReply(reply.source(thread, message), place, message.id, below))
            else:
                reply.draw_whole(message, place, below, without=_proposal(shop, thread, message))


def read(shop: Workshop) -> list[Advice]:
    """The newest reply of each kind; there is at most one of them after `fix` or `explain`."""
    return [(thread, newest) for thread in _threads(shop) if (newest := shown.answer(thread))]


def proposes(shop: Workshop, given: list[Advice]) -> bool:
    """Whether a correction waits to be applied."""
    return any(_differs(shop, _proposal(shop, thread, message)) for thread, message in given)


def _threads(shop: Workshop) -> tuple[str, str]:
    return shop.program.id, explanation_thread(shop.program.id)


def _dismiss(given: list[Advice]) -> None:
    """Throw away what a new reply replaces; not before it has begun, for it may be refused."""
    for thread, message in given:
        dismiss(thread, message)


def dismiss(thread: str, message: Message) -> None:
    """Throw a reply away, stopping it if it is still being written."""
    if message.state is MessageState.STREAMING:
        services().generations.stop(thread, message.id)
    services().conversations.delete_message(thread, message.id)


def _proposal(shop: Workshop, thread: str, message: Message) -> str | None:
    """The corrected program in a reply; there is none in an explanation."""
    if thread != shop.program.id:
        return None
    return corrected(message.text, shop.program.language, shop.program.files[0].text)


def _differs(shop: Workshop, proposal: str | None) -> bool:
    """Whether a proposal would change anything."""
    return proposal is not None and proposal.strip() != shop.program.files[0].text.strip()


def _draw_below(shop: Workshop, thread: str, message: Message) -> None:
    if message.error:
        notices.show_failure(message.error.what, message.error.hint, message.error.reference)
    proposal = _proposal(shop, thread, message)
    main = shop.program.files[0]
    differs = _differs(shop, proposal)
    if proposal and differs:
        diff.draw(main.text, proposal)
        invisible.draw(proposal)
    elif proposal:
        st.caption(f":material/check: {t('editor.applied' if shop.undo else 'editor.already')}")
    elif thread == shop.program.id and not message.error:
        st.caption(t("editor.no_proposal"))
    with st.container(horizontal=True, gap="small"):
        if proposal and differs:
            st.button(
                t("editor.apply"),
                key=f"apply.{message.id}",
                type="primary",
                icon=":material/check:",
                on_click=act,
                args=(shop, shop.correct, proposal),
            )
        st.button(
            t("editor.discard") if differs else t("editor.close"),
            key=f"dismiss.{message.id}",
            icon=":material/close:",
            on_click=act,
            args=(shop, dismiss, thread, message),
        )
        st.caption(" · ".join([notices.plain(models.label(message.model_id)), *budget.words(message)]), width="content")
