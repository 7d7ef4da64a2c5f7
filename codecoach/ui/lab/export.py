"""The request as a program that sends it."""

import streamlit as st

from codecoach.models import export
from codecoach.models.payloads import Payload
from codecoach.ui.session import t


def draw(payload: Payload) -> None:
    """Draw the choice of the SDK, and the program."""
    chosen = st.pills(t("lab.sdk"), list(export.SDKS), default="boto3", required=True, key="lab:sdk")
    sdk = chosen or "boto3"
    st.code(export.program(payload, sdk), language=export.SDKS[sdk][1], wrap_lines=True)
    if export.has_pictures(payload):
        st.caption(t("lab.export_pictures"))
    st.caption(t("lab.code_help"))
