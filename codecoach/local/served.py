"""Which models an endpoint answers for."""

import re
from collections.abc import Iterable

from codecoach.local.engine import ServedModel
from codecoach.local.wire.faults import unknown_model
from codecoach.models.catalogue import Entry, Format, base_id, entries, entry, geo

_EVERY_FORMAT: frozenset[Format] = frozenset({"claude_messages", "claude_text", "mistral_text"})


def local_model(name: str) -> ServedModel:
    """A model of this machine by the name of its file or its endpoint's name; it takes every body."""
    model_id = "local." + re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")
    known = entry(model_id)
    return ServedModel(model_id, known.name if known else name, "local", _EVERY_FORMAT)


def catalogue_models() -> tuple[ServedModel, ...]:
    """All models of the catalogue; what has been retired answers, so that its wire format can be tried, but is not listed."""
    return tuple(_served(known) for known in entries())


def find(models: Iterable[ServedModel], model_id: str) -> ServedModel:
    """The model that a request names by id, inference profile or ARN. Raises a ValidationException."""
    prefix, base = geo(model_id), base_id(model_id)
    for model in models:
        if model.id in (base, f"{base}:0") and (not prefix or prefix in model.geos):
            return model
    raise unknown_model()


def _served(known: Entry) -> ServedModel:
    here = known.provider == "local"
    if here:
        formats = _EVERY_FORMAT
    else:
        # Claude 2 takes both of Claude's bodies.
        more: set[Format] = {"claude_messages"} if known.format == "claude_text" else set()
        formats = frozenset({known.format, *more} - {"converse"})
    return ServedModel(
        id=known.id,
        name=known.name,
        provider=known.provider,
        formats=formats,
        geos=known.geos,
        system=known.system,
        vision=known.vision,
        tools=known.tools or here or known.format == "claude_messages",
        legacy=known.state() == "legacy",
        listed=known.state() != "retired",
    )
