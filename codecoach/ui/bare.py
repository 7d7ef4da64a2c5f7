"""For commands that use a part of the interface's libraries without a page."""

import streamlit.config
import streamlit.logger


def silence() -> None:
    """Keep Streamlit from warning that there is no page; call it before the rest of `ui` is imported."""
    streamlit.config.get_option("logger.level")  # reading the configuration sets the level, so it comes first
    streamlit.logger.set_log_level("ERROR")
