"""The store as pages draw from it. A rerun that changes nothing asks it nothing (docs/decisions/0014-store-reads.md).

What is shown may be some seconds older than the store where another process has changed it. Whoever changes something uses
`session.services()`, whose stores read what is there now.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import streamlit as st

from codecoach.chat.messages import Message, MessageState
from codecoach.services import Shown
from codecoach.store import keys
from codecoach.store.conversations import MessagePage
from codecoach.ui.session import services

_SINCE: Final = "shown:since"
# An interrupted reply that was saved this long ago is being written by nobody.
_AT_REST: Final = timedelta(minutes=1)


def shown() -> Shown:
    """The stores to draw from; a new browser session, such as after F5, is shown nothing that was read before it began."""
    return services().shown(st.session_state.setdefault(_SINCE, time.monotonic()))


def look_anew() -> None:
    """Have the next that is drawn be read anew: what was shown until now does not fit what is there."""
    st.session_state[_SINCE] = time.monotonic()


def messages(thread_id: str, limit: int, before: str | None = None) -> MessagePage:
    """As `Conversations.messages`. What another process is writing is read as it is now: else it would lose words again."""
    found = shown().conversations.messages(thread_id, limit=limit, before=before)
    here = services().generations.find(thread_id)
    if any(_in_motion(message) and not (here and here.message_id == message.id) for message in found.messages):
        return services().conversations.messages(thread_id, limit=limit, before=before)
    return found


def bench_answer(owner: str, place: str) -> Message | None:
    """The answer in a place of a user's bench in the Prompt Lab, or None."""
    return answer(keys.bench(owner, place))


def answer(thread_id: str) -> Message | None:
    """The last message of a thread, or None; as `messages`."""
    found = messages(thread_id, limit=1).messages
    return found[-1] if found else None


def _in_motion(message: Message) -> bool:
    """Whether somebody may be writing it; one that is not saved for a while counts as interrupted, and may be no more."""
    if message.state is MessageState.INTERRUPTED:
        return datetime.now(UTC) - (message.updated_at or message.created_at) < _AT_REST
    return message.state is MessageState.STREAMING
