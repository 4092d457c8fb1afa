"""The one rule of the layout: flows import tasks, tasks import hemline, hemline imports no one above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "hemline": {"prefect", "tasks", "flows", "ops", "bench"},
    "tasks": {"flows", "ops", "bench"},
    "flows": {"ops", "bench"},
}


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_downwards(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 1
    found = {str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[package] for path in files}
    assert {path: names for path, names in found.items() if names} == {}


def test_importing_a_flow_does_not_import_tensorflow() -> None:
    """Deploying, hooks and the UI's form import flow files; TensorFlow would cost them seconds each time."""
    code = "import sys, flows.retrain; print([m for m in ('tensorflow', 'keras', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_names_a_registry_host_in_the_lock() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("[hft]*/*.py"), key=str), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring or path.name in ("__init__.py",), path
