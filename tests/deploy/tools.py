"""Linters, where they are installed: beside this interpreter, as development packages are, or on the path."""

import os
import shutil
import sys
from pathlib import Path

import pytest


def tool(name: str) -> str | None:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return shutil.which(name, path=places)


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(tool(name) is None, reason=f"{name} is not installed")
