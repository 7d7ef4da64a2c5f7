"""Which model answers a user, and what it is called."""

from codecoach.models import catalogue
from codecoach.ui.session import preferences, services


def current(owner: str) -> str:
    """The model the user saved in Settings, else the default here. Raises `ModelError` where there is none."""
    return preferences(owner).model_id or services().default_model_id


def label(model_id: str) -> str:
    """The name people know a model by."""
    known = catalogue.entry(model_id)
    return known.name if known else model_id
