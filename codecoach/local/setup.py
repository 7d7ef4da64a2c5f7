"""`codecoach setup`: fetch the local model's weights and build the language runtimes, with a progress bar."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from codecoach.errors import CodeCoachError, SandboxUnavailable
from codecoach.i18n import Language, tell, text
from codecoach.local import weights
from codecoach.runner import packages
from codecoach.settings import Backend, RunnerKind, Settings

Say = Callable[..., None]


def prepare(settings: Settings, say: Say, language: Language) -> None:
    """Make ready what these settings need; what is there already costs nothing.

    A runtime that cannot be built is told and left out: the app works without it. Raises our errors where the model's
    weights cannot be had.
    """
    if (
        settings.backend is Backend.EMBEDDED
        and not settings.bedrock_endpoint_url
        and weights.known(settings.local_model)
    ):
        fetch_weights(settings.local_model, settings.cache_dir, language)
    if settings.runner is RunnerKind.SANDBOX:
        build_runtimes(packages.AT_ONCE, settings.cache_dir, say, language)


def prepare_tests(settings: Settings, say: Say, language: Language) -> None:
    """What the tests need: the runtimes and the small model."""
    fetch_weights("0.5b", settings.cache_dir, language)
    for name in packages.FOR_TESTS:
        build_runtime(name, settings.cache_dir, say, language)


def fetch_weights(model: str, cache_dir: Path, language: Language) -> Path:
    there = weights.find(model, cache_dir)
    if there:
        return there
    with _bar() as progress:
        task = None

        def report(done_bytes: int, total_bytes: int, source: str) -> None:
            nonlocal task
            label = text(language, "cli.setup.weights", name=model, source=source)
            task = progress.add_task(label, total=total_bytes) if task is None else task
            progress.update(task, completed=done_bytes, total=total_bytes, description=label)

        return weights.ensure(model, cache_dir, report)


def build_runtimes(names: Iterable[str], cache_dir: Path, say: Say, language: Language) -> None:
    """Build what is not there yet; where this machine allows no sandbox, say once what would."""
    try:
        for name in names:
            build_runtime(name, cache_dir, say, language)
    except SandboxUnavailable as error:
        say("cli.setup.no_sandbox", what=tell(language, error.what), hint=tell(language, error.hint))


def build_runtime(name: str, cache_dir: Path, say: Say, language: Language) -> None:
    """Build one; a failure is told. Raises `SandboxUnavailable`, which would be the same for all."""
    if packages.installed(cache_dir, name.partition("=")[0]):
        return
    packages.check_machine()
    label = text(language, "cli.setup.runtime", language=name)
    console = Console()
    if not console.is_terminal:
        console.print(label)
    try:
        with console.status(label) as status:
            packages.install(name, cache_dir, lambda line: status.update(f"{label}  {escape(line[:80])}"))
        say("cli.setup.runtime_done", language=name)
    except SandboxUnavailable:
        raise
    except CodeCoachError as error:
        say("cli.setup.runtime_failed", language=name, detail=tell(language, error.what))


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        yield progress
