"""A sandbox over the runtimes of this machine, which are built when they are not there yet."""

import os
from pathlib import Path

from codecoach.runner import packages
from codecoach.runner.sandbox import Sandbox
from codecoach.settings import Settings

# The suite also runs as another user, who finds the runtimes elsewhere.
CACHE_DIR = Path(os.environ.get("TEST_CACHE_DIR") or Settings().cache_dir)


def sandbox(*languages: str, workers: int = 4) -> Sandbox:
    for language in languages:
        if not packages.installed(CACHE_DIR, language):  # an older package of it does, too
            packages.install(language, CACHE_DIR)
    return Sandbox(Settings(cache_dir=CACHE_DIR, run_workers=workers))
