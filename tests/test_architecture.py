"""The rules of the layout: which layer and which room may import which, and nobody another's private names."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["hemline", "tasks", "flows", "ops", "bench"]  # each imports those before it
ROOMS = [  # of hemline, the same
    "errors",
    "models",
    "config",
    "storage",
    "runtime",
    "data",
    "records",
    "proofs",
    "report",
    "evaluation",
    "registry",
    "gate",
    "training",
    "serving",
    "sweeps",
    "cli",
]
# gate and training are beside each other: neither is part of what the other does.
BESIDE = {("training", "gate"), ("training", "registry")}
MOST_LINES, MEDIAN_LINES = 300, 150
MODULES = sorted(path.relative_to(ROOT).as_posix() for layer in LAYERS[:3] for path in (ROOT / layer).rglob("*.py"))


def imports(source: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that is imported, at the top or inside a function; name is '' for a whole module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room they cross"
            yield from ((node.module or "", alias.name) for alias in node.names)


def faults(path: str, source: str) -> list[str]:
    """The imports of a file that the layout forbids. path: relative to the repository."""
    layer, *inside = path.removesuffix(".py").split("/")
    room = inside[0] if layer == "hemline" else None
    found = []
    for module, name in imports(source):
        theirs, *rest = [*module.split("."), *([name] if module in LAYERS else [])]
        if theirs not in LAYERS:
            if layer == "hemline" and theirs == "prefect":
                found.append("prefect")
            continue
        if LAYERS.index(theirs) > LAYERS.index(layer):
            found.append(module)
        elif theirs == layer == "hemline" and rest and room not in (None, "__init__"):
            other = rest[0]
            if ROOMS.index(other) > ROOMS.index(room) or (room, other) in BESIDE:
                found.append(f"{room} imports {module}")
        private = [word for word in (*rest, name) if word.startswith("_") and not word.startswith("__")]
        if private and (theirs, rest[:1]) != (layer, inside[:1]):
            found.append(f"{module}.{name} is private")
    return found


@pytest.mark.parametrize("path", MODULES)
def test_imports_point_downwards_and_nobody_takes_what_is_private(path: str) -> None:
    assert faults(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hemline/storage/files.py", "from hemline.data.dataset import load_split"),
        ("hemline/data/deeper/still.py", "def f():\n    from hemline.gate.judging import judge"),
        ("hemline/training/run.py", "import hemline.gate.rules"),
        ("hemline/models/mlp.py", "from hemline import config"),
        ("hemline/gate/rules.py", "from hemline.registry.versions import _files"),
        ("hemline/gate/rules.py", "from hemline.registry import _private"),
        ("hemline/errors.py", "import prefect"),
        ("hemline/cli/looking.py", "from flows.retrain import retrain"),
        ("tasks/train.py", "from flows.retrain import retrain"),
        ("tasks/train.py", "from hemline.training.run import _start"),
    ],
)
def test_a_forbidden_import_is_found(path: str, source: str) -> None:
    assert faults(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("hemline/data/dataset.py", "from hemline.errors import DatasetError\nfrom hemline.config import data"),
        ("hemline/data/dataset.py", "from hemline.data.sources import find_builder\nimport numpy as np"),
        ("flows/retrain.py", "from tasks.train import train\nfrom prefect import flow"),
    ],
)
def test_an_import_downwards_is_none(path: str, source: str) -> None:
    assert faults(path, source) == []


def test_every_room_is_known_and_none_is_missing() -> None:
    found = {path.name.removesuffix(".py") for path in (ROOT / "hemline").iterdir()} - {"__init__", "__pycache__"}
    assert found == set(ROOMS)


def test_importing_a_flow_does_not_import_tensorflow() -> None:
    """Deploying, hooks and the UI's form import flow files; TensorFlow would cost them seconds each time."""
    code = "import sys, flows.retrain; print([m for m in ('tensorflow', 'keras', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_names_a_registry_host_in_the_lock() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


@pytest.mark.parametrize("path", MODULES)
def test_a_module_opens_with_what_it_is_for(path: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / path).read_text()))


def lines(paths: Iterable[str]) -> dict[str, int]:
    return {path: len((ROOT / path).read_text().splitlines()) for path in paths}


def test_modules_are_small() -> None:
    sizes = lines(MODULES)
    assert {path: size for path, size in sizes.items() if size > MOST_LINES} == {}
    assert sorted(sizes.values())[len(sizes) // 2] <= MEDIAN_LINES


def test_a_function_that_is_long_says_why() -> None:
    """More than 50 lines need a reason beside the function: a comment on the line of its `def`."""
    without = []
    for path in MODULES:
        text = (ROOT / path).read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno and node.end_lineno - node.lineno >= 50:
                line = text.splitlines()[node.lineno - 1]
                without += [] if "#" in line else [f"{path}:{node.name}"]
    assert without == []
