"""No pickle is written or read: a pickle is a program, and runs when it is read.

What Prefect would read all the same is refused while it runs: tests/flows/test_kept_results.py.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for part in ("hemline", "tasks", "flows", "ops", "bench")
    for path in (ROOT / part).rglob("*.py")
)
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"read_pickle", "to_pickle", "enable_unsafe_deserialization", "unsafe_load", "full_load", "eval", "exec"}
ARGUMENTS = {"allow_pickle": False, "safe_mode": True}  # the only value they may have


def faults(source: str) -> Iterator[str]:
    """What in it reads a pickle or could, and flows and tasks whose results Prefect would pickle."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (f"imports {name}" for name in names if name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg}
            if name in CALLS or ast.unparse(node.func) == "yaml.load":
                yield f"calls {name}"
            yield from (
                f"{key}={given[key]}" for key, only in ARGUMENTS.items() if given.get(key, str(only)) != str(only)
            )
            if ast.unparse(node.func) in ("flow", "task") and given.get("result_serializer") != "'json'":
                yield f"{name} without result_serializer='json'"


@pytest.mark.parametrize("path", PROGRAMS)
def test_nothing_reads_or_writes_a_pickle(path: str) -> None:
    assert list(faults((ROOT / path).read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import os\ndef f():\n    import cloudpickle.cloudpickle",
        "frame = pd.read_pickle(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=wanted)",
        "keras.saving.load_model(path, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "yaml.load(text, Loader)",
        "@task(name='x')\ndef f(): ...",
        "@flow(name='x', result_serializer='pickle')\ndef f(): ...",
    ],
)
def test_what_could_is_found(source: str) -> None:
    assert list(faults(source))


@pytest.mark.parametrize(
    "source", ["np.load(path)", "np.load(path, allow_pickle=False)", "@flow(result_serializer='json')\ndef f(): ..."]
)
def test_what_could_not_is_none(source: str) -> None:
    assert list(faults(source)) == []
