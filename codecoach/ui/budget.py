"""What models have used, in a few words: under a reply, above a conversation, and a warning where one types."""

import logging
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from codecoach.chat.messages import Conversation, Message
from codecoach.coach.budget import Gauge, Standing, amount, resets_on
from codecoach.errors import StoreError
from codecoach.models import catalogue
from codecoach.store.records import now
from codecoach.ui import notices
from codecoach.ui.session import services, t

log = logging.getLogger(__name__)

# What is said of a limit that is nearly used up, and of one that is.
_WARNINGS: Final = {
    ("month", "dollars"): ("budget.warn_month_dollars", "budget.full_month_dollars"),
    ("month", "tokens"): ("budget.warn_month_tokens", "budget.full_month_tokens"),
    ("conversation", "dollars"): ("budget.warn_conversation_dollars", "budget.full_conversation_dollars"),
    ("conversation", "tokens"): ("budget.warn_conversation_tokens", "budget.full_conversation_tokens"),
}


def words(message: Message) -> list[str]:
    """Tokens and dollars of a reply; nothing of one that used none."""
    usage = message.usage
    if not usage.input_tokens and not usage.output_tokens:
        return []
    tokens = t("chat.tokens", input=f"{usage.input_tokens:,}", output=f"{usage.output_tokens:,}")
    said = [t("budget.about", words=tokens) if usage.estimated else tokens]
    micro_dollars = usage.micro_dollars
    if micro_dollars is None:  # written before costs were kept
        micro_dollars = catalogue.micro_dollars(message.model_id, usage.input_tokens, usage.output_tokens)
    if micro_dollars is None:
        return [*said, t("budget.cost_unknown")]
    return [*said, notices.plain(amount(micro_dollars, "dollars"))]


def draw_spent(place: DeltaGenerator, owner: str, conversation: Conversation) -> None:
    """Draw what a conversation has used so far."""
    standing = _standing(owner, conversation.id)
    if standing is None or not standing.state.conversation.calls:
        return
    spent = standing.state.conversation
    said = t("budget.spent", tokens=f"{spent.tokens:,}", dollars=notices.plain(amount(spent.micro_dollars, "dollars")))
    why = t("budget.spent_help_unpriced", number=spent.unpriced) if spent.unpriced else t("budget.spent_help")
    if spent.estimated:
        said, why = t("budget.about", words=said), f"{why} {t('budget.about_help')}"
    place.caption(said, width="content", help=why)


def draw_warning(owner: str, conversation_id: str = "", place: DeltaGenerator | None = None) -> None:
    """Draw how full the fullest budget is, where it is nearly or wholly used up; `place`, or next."""
    standing = _standing(owner, conversation_id)
    gauge = standing.warning if standing else None
    if gauge:
        colour = "red" if gauge.percent >= 100 else "orange"
        (place.markdown if place else st.markdown)(f":small[:{colour}[:material/warning: {_warning(gauge)}]]")


def _warning(gauge: Gauge) -> str:
    values = {
        "percent": gauge.percent,
        "used": notices.plain(amount(gauge.used, gauge.unit)),
        "limit": notices.plain(amount(gauge.limit, gauge.unit)),
    }
    if gauge.span == "month":
        values["resets"] = resets_on(now())
    return t(_WARNINGS[gauge.span, gauge.unit][gauge.percent >= 100], **values)


def _standing(owner: str, conversation_id: str) -> Standing | None:
    try:
        return services().meter.standing(owner, conversation_id)
    except StoreError as error:  # the parts of the page that cannot do without the store say so
        log.warning("what has been used is not known: %s", error)
        return None
