"""Imports go down the layers only, and only the right files know the outside world."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom up; a module may import its own layer and those before it.
LAYERS = (
    ("codecoach", "codecoach.i18n", "codecoach.metrics", "codecoach.reference"),
    ("codecoach.errors",),
    ("codecoach.settings", "codecoach.languages", "codecoach.chat", "codecoach.lab"),
    ("codecoach.models.port", "codecoach.runner.port", "codecoach.runner.credentials", "codecoach.store.port"),
    ("codecoach.models", "codecoach.runner", "codecoach.store"),
    ("codecoach.aws",),
    ("codecoach.coach",),
    ("codecoach.services", "codecoach.logs"),
    (
        "codecoach.ui",
        "codecoach.local",
        "codecoach.health",
        "codecoach.console",
        "codecoach.cli",
        "codecoach.cli_backup",
        "codecoach.cli_lab",
        "codecoach.cli_table",
        "codecoach.cli_user",
        "codecoach.__main__",
    ),
    ("piston", "deploy"),
    ("pages", "Home"),
)
ADAPTER_PACKAGES = ("codecoach.models", "codecoach.runner", "codecoach.store")
STREAMLIT_MAY = ("codecoach.ui", "pages", "Home")


def modules() -> dict[str, Path]:
    files = [*ROOT.glob("codecoach/**/*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("piston/*.py"), ROOT / "Home.py"]
    files += ROOT.glob("deploy/*.py")
    named = {}
    for file in files:
        if file.exists():
            parts = file.relative_to(ROOT).with_suffix("").parts
            named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


MODULES = modules()


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def layer(module: str) -> int:
    """Index of the layer with the longest matching name."""
    matches = [
        (len(name), index)
        for index, names in enumerate(LAYERS)
        for name in names
        if module == name or (module.startswith(f"{name}.") and name != "codecoach")
    ]
    assert matches, f"{module} has no layer: add it to LAYERS"
    return max(matches)[1]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers_only(module):
    ours = {name for name in imports(MODULES[module]) if name in MODULES}
    assert [name for name in ours if layer(name) > layer(module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_interface_knows_streamlit(module):
    if not module.startswith(STREAMLIT_MAY):
        assert [name for name in imports(MODULES[module]) if name.split(".")[0].startswith("streamlit")] == [], (
            "streamlit belongs to ui/ and the pages"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith(ADAPTER_PACKAGES)])
def test_adapter_packages_do_not_import_one_another(module):
    own = next(package for package in ADAPTER_PACKAGES if module.startswith(package))
    others = tuple(package for package in ADAPTER_PACKAGES if package != own)
    assert [name for name in imports(MODULES[module]) if name.startswith(others)] == []
