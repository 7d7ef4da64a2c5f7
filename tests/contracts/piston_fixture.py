"""A Piston with a package for every language: the stand-in with the runtimes of this machine, or the real one that is named."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from codecoach.aws.gateway import Gateway
from codecoach.runner import installed
from codecoach.runner.piston import Piston
from codecoach.settings import Settings
from tests.contracts.piston_standin import Limits, Package, standing_in
from tests.contracts.sandbox_fixture import CACHE_DIR

REAL = os.environ.get("PISTON_TEST_URL", "")


@contextmanager
def piston_with_all(gateway: Gateway | None = None) -> Iterator[Piston]:
    """`gateway`: before a simulated AWS, for programs that then have a network."""
    if not REAL and not (shutil.which("bwrap") and shutil.which("perl")):
        pytest.skip("the stand-in needs bubblewrap and Perl")
    there = (language for language in installed.known() if installed.installed(CACHE_DIR, language))
    packages = () if REAL else [Package.of(language, CACHE_DIR) for language in there]
    with standing_in(*packages, limits=Limits(networking=gateway is not None)) as standin:
        piston = Piston(Settings(piston_urls=REAL or standin.url, piston_jobs=4), gateway)
        yield piston
        piston.close()
