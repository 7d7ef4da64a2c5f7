"""What is known about the models of Bedrock: abilities, limits, prices, ends of life.

The data is `catalogue.json`, whose head says where it comes from. It is knowledge beforehand: whether an account may
call a model, only the service and a trial can say. Everything that depends on the kind of a model asks here.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

from pydantic import TypeAdapter

# What InvokeModel takes: Claude's Messages, Claude 2's `Human:`/`Assistant:`, Mistral's `[INST]`; Converse takes any.
Format = Literal["claude_messages", "claude_text", "mistral_text", "converse"]
# Which of temperature and top_p a model accepts in one request.
Sampling = Literal["both", "one", "none"]
State = Literal["active", "legacy", "retired", "unknown"]

# Good choices of today, the default first.
CURRENT_PICKS = (
    "anthropic.claude-haiku-5-5",
    "anthropic.claude-sonnet-5-5",
    "anthropic.claude-opus-5-5",
    "amazon.nova-2-lite-v1:0",
    "mistral.mistral-large-3-675b-instruct",
    "deepseek.v3.2",
    "qwen.qwen3-coder-next",
)

# What ids of models on this machine start with, and the one that is there by default.
LOCAL = "local."
LOCAL_MODEL = "local.qwen2.5-coder-1.5b-instruct"

# Which inference profiles a region may use, besides `global`: the first prefix of the region's name that fits.
_GEO_OF_REGION = (
    ("us-gov-", "us-gov"),
    ("us-", "us"),
    ("eu-", "eu"),
    ("ca-", "ca"),
    ("ap-northeast-1", "jp"),
    ("ap-northeast-3", "jp"),
    ("ap-southeast-2", "au"),
    ("ap-southeast-4", "au"),
    ("ap-south-", "in"),
    ("ap-", "apac"),
)


class Price(NamedTuple):
    """US dollars per million tokens."""

    input_per_mtok: float
    output_per_mtok: float


@dataclass(frozen=True)
class Entry:
    """What is known about one model.

    id             without the prefix of an inference profile
    context_tokens, max_output_tokens  None where unknown
    geos           prefixes of its inference profiles, as far as known (`us`, `eu`, `global`...)
    prefill        takes a last turn of the assistant's and goes on after it
    system         takes a system prompt
    end_of_life    the day from which on it is gone, None where none is announced
    """

    id: str
    name: str
    provider: str
    format: Format
    context_tokens: int | None
    max_output_tokens: int | None
    price: Price | None
    geos: tuple[str, ...]
    geo_prices: dict[str, Price]
    sampling: Sampling
    prefill: bool
    system: bool
    vision: bool
    tools: bool
    announced_state: State
    end_of_life: date | None

    def state(self, today: date | None = None) -> State:
        """The state on a day (default: today); a model whose end of life has come is retired."""
        if self.end_of_life and self.end_of_life <= (today or datetime.now(UTC).date()):
            return "retired"
        return self.announced_state

    def price_of(self, model_id: str) -> Price | None:
        """The price of the model by this id: an inference profile has its own; where that is not known, the dearest of the model's.

        None where no price of the model is known. A limit in dollars must hold: better to count too much than nothing.
        """
        return self._own_price(model_id) or self._dearest

    def price_is_assumed(self, model_id: str) -> bool:
        """Whether `price_of` is that of the model by another id."""
        return self._own_price(model_id) is None and self._dearest is not None

    def _own_price(self, model_id: str) -> Price | None:
        prefix = geo(model_id)
        return self.geo_prices.get(prefix) if prefix else self.price

    @property
    def _dearest(self) -> Price | None:
        known = [price for price in (self.price, *self.geo_prices.values()) if price]
        return Price(*map(max, zip(*known, strict=True))) if known else None


def base_id(model_id: str) -> str:
    """The model's own id: without an ARN's head, the prefix of an inference profile, the length of a context variant.

    The name after an ARN's last slash stands for it; that of an application inference profile says nothing.
    """
    name = model_id.rsplit("/", 1)[-1]
    prefix, _, rest = name.partition(".")
    if prefix not in _providers() and rest.partition(".")[0] in _providers():
        name = rest
    # `anthropic.claude-v2:1:200k`, `amazon.titan-text-express-v1:0:8k`
    return re.sub(r":(\d+k|mm)$", "", name)


def geo(model_id: str) -> str:
    """The prefix of an inference profile's id (`us`, `global`...), empty where there is none."""
    name = model_id.rsplit("/", 1)[-1]
    return name[: name.index(".")] if base_id(model_id) != re.sub(r":(\d+k|mm)$", "", name) else ""


def entry(model_id: str) -> Entry | None:
    """What is known about the model that a request names (id, inference profile, ARN), or None.

    Any model that a user runs on this machine (`local.anything`) is taken to be like ours.
    """
    name = base_id(model_id)
    known = _entries().get(name) or _entries().get(name.removesuffix(":0"))
    if known is None and name.startswith(LOCAL):
        return replace(_entries()[LOCAL_MODEL], id=name, name=name.removeprefix(LOCAL))
    return known


def micro_dollars(model_id: str, input_tokens: int, output_tokens: int) -> int | None:
    """What so many tokens cost, in millionths of a US dollar; None where no price is known."""
    known = entry(model_id)
    price = known.price_of(model_id) if known else None
    if price is None:
        return None
    # A dollar per million tokens is a millionth of a dollar per token.
    return round(input_tokens * price.input_per_mtok + output_tokens * price.output_per_mtok)


def entries() -> tuple[Entry, ...]:
    """All of the catalogue."""
    return tuple(_entries().values())


def profile_id(model_id: str, region: str) -> str:
    """The id to call a model by in a region: its inference profile of that part of the world, or its own id."""
    known = entry(model_id)
    if not known or not known.geos:
        return model_id
    local = next((prefix for start, prefix in _GEO_OF_REGION if region.startswith(start)), "global")
    chosen = next((prefix for prefix in (local, "global") if prefix in known.geos), None)
    return f"{chosen}.{known.id}" if chosen else known.id


def nearest_living(model_id: str, among: Collection[str] | None = None) -> str | None:
    """The id most like `model_id` of a model that is not retired, or None.

    among  ids that can be called here; None: all of the catalogue
    """
    words = _words(base_id(model_id))
    provider = base_id(model_id).partition(".")[0]

    def likeness(candidate: str) -> tuple[bool, bool, int, int]:
        known = entry(candidate)
        active = known is not None and known.state() == "active"
        pick = CURRENT_PICKS.index(base_id(candidate)) if base_id(candidate) in CURRENT_PICKS else len(CURRENT_PICKS)
        return active, base_id(candidate).startswith(f"{provider}."), len(words & _words(base_id(candidate))), -pick

    ids = among if among is not None else [known.id for known in entries() if known.provider != "local"]
    living = [candidate for candidate in ids if candidate != model_id and _lives(candidate)]
    return max(living, key=likeness, default=None)


def _lives(model_id: str) -> bool:
    known = entry(model_id)
    return known is None or known.state() != "retired"


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z]{2,}", name))


@cache
def _entries() -> dict[str, Entry]:
    source = resources.files("codecoach.models").joinpath("catalogue.json").read_text("utf-8")
    rows = TypeAdapter(tuple[Entry, ...]).validate_python(json.loads(source)["models"])
    return {known.id: known for known in rows}


@cache
def _providers() -> frozenset[str]:
    return frozenset(known.provider for known in _entries().values())
