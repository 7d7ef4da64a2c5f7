"""What models the account, in its region, may be able to call: as the service lists them, with what the catalogue knows."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from codecoach.errors import CodeCoachError, ModelAccessDenied, ModelUnavailable
from codecoach.i18n import Notice
from codecoach.models import catalogue
from codecoach.models.catalogue import CURRENT_PICKS, base_id, entry, geo
from codecoach.models.failures import as_ours
from codecoach.models.port import ModelCard

if TYPE_CHECKING:
    from mypy_boto3_bedrock import BedrockClient
    from mypy_boto3_bedrock.type_defs import FoundationModelSummaryTypeDef, InferenceProfileSummaryTypeDef

log = logging.getLogger(__name__)

KEPT_S = 600.0
UNLISTED_KEPT_S = 30.0
_STATES = ("active", "unknown", "legacy", "retired")

# Of a model known only by its profile.
_UNLISTED: "FoundationModelSummaryTypeDef" = {"modelArn": "", "modelId": ""}

T = TypeVar("T")


@dataclass(frozen=True)
class _Listing:
    """The models that can be named in a request, and what could not be found out.

    problem  why the cards are the catalogue's; None where they are the service's
    """

    cards: tuple[ModelCard, ...]
    notes: tuple[Notice, ...] = ()
    problem: CodeCoachError | None = None

    @property
    def kept_s(self) -> float:
        return UNLISTED_KEPT_S if self.problem else KEPT_S


class BedrockDirectory:
    """Models by ListFoundationModels and ListInferenceProfiles. The answer is kept for ten minutes.

    A role that may only call one of the two still gets a list; `notes` then says what is missing.
    """

    def __init__(
        self, control_client: "BedrockClient", check: Callable[[], None] = lambda: None, *, else_catalogue: bool = False
    ) -> None:
        """check: raises `ModelError` while models can be listed, but not answer yet; part of `ping`.

        else_catalogue: where neither list can be had, offer what the catalogue knows; a trial shows what can be called.
        """
        self._client = control_client
        self._check = check
        self._else_catalogue = else_catalogue
        self._lock = threading.Lock()
        self._listing: _Listing | None = None
        self._until = 0.0

    def cards(self) -> tuple[ModelCard, ...]:
        """All text models that stream, best picks first.

        Where neither list can be had: those of the catalogue, or, where that is not to be offered, raises `ModelError`.
        """
        return self._current().cards

    def notes(self) -> tuple[Notice, ...]:
        """What the list lacks, for people. Raises `ModelError`."""
        return self._current().notes

    def why_unlisted(self) -> CodeCoachError | None:
        """Why the cards are the catalogue's; None where they are the service's. Raises `ModelError`."""
        return self._current().problem

    def refresh(self) -> None:
        """Ask the service again at the next call."""
        self._until = 0.0

    def ping(self) -> None:
        """Ask the service now and keep the answer. Raises `ModelError`; the kept answer stays then."""
        self._check()
        listing = self._ask()
        if listing.problem and not isinstance(listing.problem, ModelAccessDenied):
            raise listing.problem
        with self._lock:
            self._listing, self._until = listing, time.monotonic() + listing.kept_s

    def nearest(self, model_id: str) -> str | None:
        """The model most like this one that can be called here, or None. Raises `ModelError`."""
        return catalogue.nearest_living(model_id, [card.id for card in self.cards()])

    def _current(self) -> _Listing:
        with self._lock:
            if self._listing is None or time.monotonic() >= self._until:
                self._listing = self._ask()
                self._until = time.monotonic() + self._listing.kept_s
            return self._listing

    def _ask(self) -> _Listing:
        models, models_error = _attempt(self._models)
        profiles, profiles_error = _attempt(self._profiles)
        region = self._client.meta.region_name
        if models_error and profiles_error:
            if not self._else_catalogue:
                raise models_error
            problem = _of_lists(models_error)
            log.warning("models are not listed: %s", problem)
            return _Listing(_known_beforehand(region), problem=problem)
        failed = [("models.no_model_list", models_error), ("models.no_profile_list", profiles_error)]
        notes = tuple(Notice(key) for key, error in failed if error)
        if models is None:
            cards = [_card(profile["inferenceProfileId"], _UNLISTED) for profile in profiles or ()]
        else:
            cards = [card for model in models for card in _cards(model, profiles, region)]
        return _Listing(_sorted(cards, region), notes)

    def _models(self) -> "list[FoundationModelSummaryTypeDef]":
        listed = self._client.list_foundation_models(byOutputModality="TEXT")["modelSummaries"]
        return [model for model in listed if model.get("responseStreamingSupported")]

    def _profiles(self) -> "list[InferenceProfileSummaryTypeDef]":
        pages = self._client.get_paginator("list_inference_profiles").paginate(typeEquals="SYSTEM_DEFINED")
        profiles = [profile for page in pages for profile in page["inferenceProfileSummaries"]]
        return [profile for profile in profiles if profile["status"] == "ACTIVE"]


def _attempt(ask: Callable[[], T]) -> tuple[T, None] | tuple[None, CodeCoachError]:
    try:
        return ask(), None
    except Exception as error:
        ours = as_ours(error, "")
        return None, ModelAccessDenied("model_list_denied") if isinstance(ours, ModelAccessDenied) else ours


def _of_lists(error: CodeCoachError) -> CodeCoachError:
    """The error, where it would blame a model that may well be reached at an address of its own."""
    return ModelUnavailable("model_list_unreachable", **error.values) if error.key == "model_unreachable" else error


def _known_beforehand(region: str) -> tuple[ModelCard, ...]:
    """The catalogue's living models of Bedrock, by the ids that should call them."""
    living = [known for known in catalogue.entries() if known.provider != "local" and known.state() != "retired"]
    return _sorted([_card(catalogue.profile_id(known.id, region), _UNLISTED) for known in living], region)


def _sorted(cards: Iterable[ModelCard], region: str) -> tuple[ModelCard, ...]:
    """Each model once, best picks first."""
    return tuple(sorted({card.id: card for card in cards}.values(), key=_order(region)))


def _cards(
    model: "FoundationModelSummaryTypeDef", profiles: "Iterable[InferenceProfileSummaryTypeDef] | None", region: str
) -> list[ModelCard]:
    """A card for each id by which the model can be called: its own, and those of its profiles."""
    ids = []
    if "ON_DEMAND" in model.get("inferenceTypesSupported", ()):
        ids.append(model["modelId"])
    if profiles is None:
        # Without the list the catalogue's guess must do: a call will show whether it was right.
        guess = catalogue.profile_id(model["modelId"], region)
        ids += [guess] if guess not in ids else []
    else:
        ids += [
            profile["inferenceProfileId"]
            for profile in profiles
            if any(part.get("modelArn") == model["modelArn"] for part in profile["models"])
        ]
    return [_card(model_id, model) for model_id in ids]


def _card(model_id: str, listed: "FoundationModelSummaryTypeDef") -> ModelCard:
    known = entry(model_id)
    state, end_of_life = _life(model_id, listed)
    price = known.price_of(model_id) if known else None
    name = known.name if known else listed.get("modelName") or base_id(model_id)
    provider = listed.get("providerName") or base_id(model_id).partition(".")[0]
    images = "IMAGE" in listed.get("inputModalities", ()) or bool(known and known.vision)
    return ModelCard(
        id=model_id,
        label=f"{name} ({geo(model_id)})" if geo(model_id) else name,
        provider=provider,
        state=state,
        end_of_life=end_of_life,
        context_tokens=(known.context_tokens if known else None) or 0,
        max_output_tokens=(known.max_output_tokens if known else None) or 0,
        price_in_per_mtok=price.input_per_mtok if price else None,
        price_out_per_mtok=price.output_per_mtok if price else None,
        price_assumed=bool(known and known.price_is_assumed(model_id)),
        vision=images,
        tools=bool(known and known.tools),
        accepts_temperature=bool(known and known.sampling != "none"),
    )


def _life(model_id: str, listed: "FoundationModelSummaryTypeDef") -> tuple[str, str]:
    """State and day of the end; what the service says of this account counts more than the catalogue."""
    known = entry(model_id)
    lifecycle = listed.get("modelLifecycle")
    end = lifecycle.get("endOfLifeTime") if lifecycle else None
    if end:
        state = "retired" if end <= datetime.now(UTC) else "legacy"
        return state, end.date().isoformat()
    announced = known.end_of_life.isoformat() if known and known.end_of_life else ""
    if lifecycle and lifecycle.get("status") in ("ACTIVE", "LEGACY"):
        return lifecycle["status"].lower(), announced
    return (known.state() if known else "unknown"), announced


def _order(region: str) -> Callable[[ModelCard], tuple[int, int, int, str]]:
    """Picks first, then by state; of several ids of one model, that of the region's own profile first."""

    def place(card: ModelCard) -> tuple[int, int, int, str]:
        base = base_id(card.id)
        pick = CURRENT_PICKS.index(base) if base in CURRENT_PICKS else len(CURRENT_PICKS)
        own = 0 if card.id == catalogue.profile_id(base, region) else 1
        return pick, _STATES.index(card.state), own, card.label.lower()

    return place
