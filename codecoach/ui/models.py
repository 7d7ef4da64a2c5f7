"""Which model answers a user, and what it is called."""

import threading
import time
from typing import Final

from codecoach.errors import CodeCoachError
from codecoach.models import catalogue
from codecoach.services import Services
from codecoach.ui.session import services
from codecoach.ui.shown import shown

_KNOWN_FOR_S: Final = 60.0
_FAILED_FOR_S: Final = 5.0

# The default is asked of the service, perhaps far away, and every page wants to know it in every script run; one per process.
_default: tuple[Services, float, str | CodeCoachError] | None = None
_asking = threading.Lock()


def current(owner: str) -> str:
    """The model the user saved in Settings, else the default here. Raises `ModelError` where there is none."""
    return shown().preferences.get(owner).model_id or default()


def default() -> str:
    """The model of whoever saved none, as it was found within the last minute. Raises `ModelError`."""
    global _default
    with _asking:
        if _default is None or _default[0] is not services() or time.monotonic() > _default[1]:
            try:
                _default = (services(), time.monotonic() + _KNOWN_FOR_S, services().default_model_id)
            except CodeCoachError as error:
                _default = (services(), time.monotonic() + _FAILED_FOR_S, error)
        found = _default[2]
    if isinstance(found, CodeCoachError):
        raise found
    return found


def label(model_id: str) -> str:
    """The name people know a model by."""
    known = catalogue.entry(model_id)
    return known.name if known else model_id
