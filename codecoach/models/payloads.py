"""What leaves for a model: the operation and the body of a request, by the model's family.

    format            operation     body
    ----------------  ------------  ----------------------------------------------------------------------
    claude_messages   InvokeModel   {"anthropic_version", "max_tokens", "system", "messages": [{"role", "content"}]}
    claude_text       InvokeModel   {"prompt": "\\n\\nHuman: ...\\n\\nAssistant:", "max_tokens_to_sample"}
    mistral_text      InvokeModel   {"prompt": "<s>[INST] ... [/INST]", "max_tokens"}
    converse          Converse      {"messages": [{"role", "content"}], "system", "inferenceConfig"}

Source: "Inference request parameters and response fields" and the API reference of Converse, Amazon Bedrock user guide.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from codecoach.errors import InputRefused
from codecoach.i18n import Notice
from codecoach.lab.sheet import Example, Parameters, Sheet
from codecoach.models.catalogue import Entry, Format, base_id, entry, nearest_living
from codecoach.models.port import Payer

Operation = Literal["InvokeModel", "Converse"]
ImageFormat = Literal["png", "jpeg", "gif", "webp"]

# Parameters that only some models take.
_DRAWN: Final = ("temperature", "top_p", "top_k")
ANTHROPIC_VERSION: Final = "bedrock-2023-05-31"
_TURN: Final = re.compile(r"(?:^|\n)\s*(Human|Assistant):")


@dataclass(frozen=True)
class FormatFacts:
    """What a format can say.

    system   as a field of its own; without one a system text goes before the first turn
    """

    operation: Operation
    system: bool
    images: bool
    top_k: bool


FORMATS: Final[dict[Format, FormatFacts]] = {
    "claude_messages": FormatFacts("InvokeModel", system=True, images=True, top_k=True),
    "claude_text": FormatFacts("InvokeModel", system=False, images=False, top_k=True),
    "mistral_text": FormatFacts("InvokeModel", system=False, images=False, top_k=True),
    "converse": FormatFacts("Converse", system=True, images=True, top_k=False),
}


@dataclass(frozen=True)
class Image:
    """A picture shown to the model."""

    format: ImageFormat
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Payload:
    """What leaves.

    body   JSON, but for the bytes of pictures in a Converse request, which boto3 takes as they are
    notes  what was changed on the way from the sheet, and why
    payer  does not leave, as in `ModelRequest`
    """

    operation: Operation
    model_id: str
    format: Format
    body: dict[str, Any]
    notes: tuple[Notice, ...] = ()
    payer: Payer | None = field(default=None, compare=False)

    @property
    def streamed(self) -> str:
        """The operation's name as the lab calls it, to have the answer as it comes."""
        return "ConverseStream" if self.operation == "Converse" else "InvokeModelWithResponseStream"

    def json(self) -> dict[str, Any]:
        """{"operation", "model", "body"}, as it travels: bytes in base64."""
        return {"operation": self.operation, "model": self.model_id, "body": _as_json(self.body)}


def formats(model_id: str) -> tuple[Format, ...]:
    """The formats that a model takes, its own first. An unknown model's is guessed by its provider."""
    own = _format(model_id)
    return (own,) if own == "converse" else (own, "converse")


def accepts(model_id: str, format_id: Format) -> frozenset[str]:
    """Which of `Parameters`' fields may be sent. Of a model that takes only one of them, temperature and top_p both."""
    sampling = _facts(model_id).sampling
    drawn = {"temperature", "top_p"} if sampling != "none" else set()
    if drawn and FORMATS[format_id].top_k:
        drawn.add("top_k")
    return frozenset({"max_tokens", "stop_sequences", *drawn})


def takes_prefill(model_id: str, format_id: Format) -> bool:
    """Whether a reply can be begun for the model."""
    return format_id in ("claude_text", "mistral_text") or _facts(model_id).prefill


def takes_images(model_id: str, format_id: Format) -> bool:
    return FORMATS[format_id].images and _facts(model_id).vision


def build(sheet: Sheet, images: tuple[Image, ...] = ()) -> Payload:
    """The request for a sheet, whose variables have been filled in (`Sheet.filled`); its texts travel as they are.

    Raises `InputRefused` for an empty prompt, no model, a format that the model does not take, a picture it cannot see.
    """
    model_id = sheet.model_id
    if not model_id:
        raise InputRefused("lab_no_model")
    if not sheet.text.strip():
        raise InputRefused("lab_empty")
    possible = formats(model_id)
    chosen = next((known for known in possible if known == sheet.format), None) if sheet.format else possible[0]
    if chosen is None:
        raise InputRefused("lab_format", format=sheet.format, model=model_id, known=", ".join(possible))
    if images and not takes_images(model_id, chosen):
        raise InputRefused("lab_images", model=model_id)
    notes: list[Notice] = []
    _note_the_model(model_id, notes)
    numbers = [str(number) for number, example in enumerate(sheet.examples, 1) if not _whole(example)]
    if numbers:
        notes.append(Notice("lab.notes.example_left_out", {"numbers": ", ".join(numbers)}))
    draft = _Draft(sheet, chosen, _allowed(sheet, chosen, notes), images, notes)
    body = _BUILDERS[chosen](draft)
    return Payload(FORMATS[chosen].operation, model_id, chosen, body, tuple(notes))


@dataclass
class _Draft:
    """A request being built. `notes` grows on the way."""

    sheet: Sheet
    format: Format
    parameters: Parameters
    images: tuple[Image, ...]
    notes: list[Notice]

    def note(self, key: str, **values: object) -> None:
        self.notes.append(Notice(f"lab.notes.{key}", values))

    @property
    def examples(self) -> tuple[Example, ...]:
        """The examples that are whole: no model takes an empty turn."""
        return tuple(example for example in self.sheet.examples if _whole(example))

    @property
    def system(self) -> str:
        """The system text, empty where there is nothing to read in it."""
        return self.sheet.system if self.sheet.system.strip() else ""

    @property
    def prefill(self) -> str:
        """What the reply begins with; empty where the model takes none. No model takes one that ends in white space."""
        wanted = self.sheet.prefill.rstrip()
        if wanted and not takes_prefill(self.sheet.model_id, self.format):
            self.note("prefill_left_out")
            return ""
        if wanted != self.sheet.prefill:
            self.note("prefill_trimmed")
        return wanted


def _whole(example: Example) -> bool:
    return bool(example.question.strip() and example.answer.strip())


def _note_the_model(model_id: str, notes: list[Notice]) -> None:
    known = entry(model_id)
    if known is None:
        notes.append(Notice("lab.notes.unknown_model", {"model": model_id}))
    elif known.state() == "retired":
        instead = nearest_living(model_id) or ""
        day = known.end_of_life.isoformat() if known.end_of_life else ""
        key = "lab.notes.retired_since" if day else "lab.notes.retired"
        notes.append(Notice(key, {"model": known.name, "day": day, "instead": instead}))


def _allowed(sheet: Sheet, format_id: Format, notes: list[Notice]) -> Parameters:
    """The parameters that the model takes; what it does not is noted."""
    given, facts = sheet.parameters, _facts(sheet.model_id)
    allowed = accepts(sheet.model_id, format_id)
    kept = {name: getattr(given, name) for name in _DRAWN if name in allowed}
    refused = (name for name in _DRAWN if getattr(given, name) is not None and name not in allowed)
    notes.extend(Notice("lab.notes.parameter_left_out", {"name": name}) for name in refused)
    if facts.sampling == "one" and kept.get("temperature") is not None and kept.get("top_p") is not None:
        kept["top_p"] = None
        notes.append(Notice("lab.notes.one_of_two"))
    stop = given.stop_sequences
    if base_id(sheet.model_id).startswith("anthropic."):
        stop = tuple(sequence for sequence in stop if sequence.strip())
    if stop != given.stop_sequences:
        notes.append(Notice("lab.notes.stop_left_out"))
    limit = facts.max_output_tokens
    if limit and given.max_tokens > limit:
        notes.append(Notice("lab.notes.max_tokens", {"limit": limit}))
    return Parameters(min(given.max_tokens, limit or given.max_tokens), stop_sequences=stop, **kept)


def _claude_messages(draft: _Draft) -> dict[str, Any]:
    parameters = draft.parameters
    asked: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": f"image/{image.format}",
                "data": base64.b64encode(image.data).decode(),
            },
        }
        for image in draft.images
    ]
    turns = _turns(
        draft, [*asked, {"type": "text", "text": draft.sheet.text}], lambda text: [{"type": "text", "text": text}]
    )
    return _without_none(
        {
            "anthropic_version": ANTHROPIC_VERSION,
            "max_tokens": parameters.max_tokens,
            "system": draft.system or None,
            "messages": turns,
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "top_k": parameters.top_k,
            "stop_sequences": list(parameters.stop_sequences) or None,
        }
    )


def _converse(draft: _Draft) -> dict[str, Any]:
    parameters, system = draft.parameters, draft.system
    text = draft.sheet.text
    if system and not _facts(draft.sheet.model_id).system:
        draft.note("system_before_turn")
        text, system = f"{system}\n\n{text}", ""
    asked: list[dict[str, Any]] = [
        {"image": {"format": image.format, "source": {"bytes": image.data}}} for image in draft.images
    ]
    turns = _turns(draft, [*asked, {"text": text}], lambda words: [{"text": words}])
    inference = _without_none(
        {
            "maxTokens": parameters.max_tokens,
            "temperature": parameters.temperature,
            "topP": parameters.top_p,
            "stopSequences": list(parameters.stop_sequences) or None,
        }
    )
    return _without_none(
        {"messages": turns, "system": [{"text": system}] if system else None, "inferenceConfig": inference}
    )


def _turns(
    draft: _Draft, asked: list[dict[str, Any]], blocks: Callable[[str], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = []
    for example in draft.examples:
        turns.append({"role": "user", "content": blocks(example.question)})
        turns.append({"role": "assistant", "content": blocks(example.answer)})
    turns.append({"role": "user", "content": asked})
    if prefill := draft.prefill:
        turns.append({"role": "assistant", "content": blocks(prefill)})
    return turns


def _claude_text(draft: _Draft) -> dict[str, Any]:
    parameters = draft.parameters
    return _without_none(
        {
            "prompt": _human_assistant(draft),
            "max_tokens_to_sample": parameters.max_tokens,
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "top_k": parameters.top_k,
            "stop_sequences": list(parameters.stop_sequences) or None,
        }
    )


def _human_assistant(draft: _Draft) -> str:
    """The turns as Claude 2 reads them: each after an empty line, the first one the human's, the last one the assistant's.

    What stands before a first turn of the human's is the system prompt, before one of the assistant's it is what is asked.
    """
    text = _TURN.sub(r"\n\n\1:", draft.sheet.text.strip())
    speakers = _TURN.findall(text)
    head = _TURN.split(text)[0].strip()
    if speakers[:1] == ["Human"]:
        text = text[text.index("\n\nHuman:") :]
    else:
        draft.note("human_added")
        text, head = f"\n\nHuman: {text.strip()}" if head else f"\n\nHuman:{text}", ""
    if speakers[-1:] != ["Assistant"]:
        draft.note("assistant_added")
        text = f"{text.rstrip()}\n\nAssistant:"
    prefill = draft.prefill
    examples = "".join(f"\n\nHuman: {example.question}\n\nAssistant: {example.answer}" for example in draft.examples)
    system = "\n\n".join(words for words in (draft.sheet.system.strip(), head) if words)
    return f"{system}{examples}{text}{' ' + prefill if prefill else ''}"


def _mistral_text(draft: _Draft) -> dict[str, Any]:
    parameters = draft.parameters
    return _without_none(
        {
            "prompt": _instructions(draft),
            "max_tokens": parameters.max_tokens,
            "temperature": parameters.temperature,
            "top_p": parameters.top_p,
            "top_k": parameters.top_k,
            "stop": list(parameters.stop_sequences) or None,
        }
    )


def _instructions(draft: _Draft) -> str:
    """The turns as Mistral's instruct models read them; a prompt that has its own marks keeps them."""
    text, system = draft.sheet.text.strip().removeprefix("<s>").lstrip(), draft.system.strip()
    if "[INST]" not in text:
        draft.note("inst_added")
        text = f"[INST] {text} [/INST]"
    shown = (f"[INST] {example.question} [/INST] {example.answer}</s>" for example in draft.examples)
    text = "".join((*shown, text))
    if system:
        draft.note("system_before_turn")
        before, after = text.split("[INST]", 1)
        text = f"{before}[INST] {system}\n\n{after.lstrip()}"
    prefill = draft.prefill
    return f"<s>{text}{' ' + prefill if prefill else ''}"


_BUILDERS: Final[dict[Format, Callable[[_Draft], dict[str, Any]]]] = {
    "claude_messages": _claude_messages,
    "claude_text": _claude_text,
    "mistral_text": _mistral_text,
    "converse": _converse,
}


@dataclass(frozen=True)
class _Facts:
    """What is known of a model, or, of one that nobody knows, what is safe to take for granted."""

    sampling: str = "none"
    prefill: bool = False
    system: bool = True
    vision: bool = False
    max_output_tokens: int | None = None


def _facts(model_id: str) -> Entry | _Facts:
    return entry(model_id) or _Facts()


def _format(model_id: str) -> Format:
    if known := entry(model_id):
        return known.format
    return "claude_messages" if base_id(model_id).startswith("anthropic.") else "converse"


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def _as_json(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value
