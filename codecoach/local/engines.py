"""The engine that the settings name."""

from pathlib import Path

from codecoach.errors import ModelUnavailable
from codecoach.local import weights
from codecoach.local.engine import Engine
from codecoach.local.llama import LlamaEngine
from codecoach.local.openai_compatible import OpenAiEngine
from codecoach.local.prompted_tools import PromptedTools
from codecoach.settings import Settings


def engine(settings: Settings) -> Engine:
    """An engine for `local_model`: known weights, a GGUF file, or an OpenAI-compatible endpoint.

    Nothing is loaded or fetched here. Raises `ModelUnavailable` where there is no such file.
    """
    which = settings.local_model
    if which.startswith(("http://", "https://")):
        key = settings.local_model_key.get_secret_value()
        return PromptedTools(OpenAiEngine(which, settings.local_model_name, key))
    return PromptedTools(LlamaEngine(_file(which, settings.cache_dir), settings.local_context_tokens))


def _file(which: str, cache_dir: Path) -> Path:
    path = weights.find(which, cache_dir) if weights.known(which) else Path(which).expanduser()
    if path is None or not path.is_file():
        raise ModelUnavailable("weights_missing", model=which)
    return path
