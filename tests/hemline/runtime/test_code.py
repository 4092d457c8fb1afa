"""The digest of code changes with what the code computes, and with nothing else."""

import shutil
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

import hemline
from hemline.runtime import code

PARITY, CLAIMS = "hemline.proofs.parity", "hemline.proofs.claims"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("source")
    shutil.copytree(Path(hemline.__file__).parent, directory / "hemline", ignore=shutil.ignore_patterns("__pycache__"))
    return directory


@pytest.fixture
def source(original: Path, tmp_path: Path) -> Path:
    """A copy of Hemline's source, which the test may change."""
    return shutil.copytree(original, tmp_path / "source")


def digest(source: Path, *modules: str, **options: Any) -> str:
    """As the copy's own `digest_of` has it."""
    spec = spec_from_file_location(code.__name__, source / "hemline" / "runtime" / "code.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    result: str = module.digest_of(*modules, **options)
    return result


def replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        text = (source / path).read_text()
        assert old in text
        (source / path).write_text(text.replace(old, new, 1))

    return change


def append(path: str, text: str) -> Callable[[Path], None]:
    def change(source: Path) -> None:
        (source / path).write_text((source / path).read_text() + text)

    return change


def test_a_copy_of_the_code_has_the_same_digest(original: Path) -> None:
    assert digest(original, PARITY) == code.digest_of(PARITY) != code.digest_of(CLAIMS)


def test_parity_is_of_the_layer_its_reference_and_nothing_else() -> None:
    assert set(code.closure(PARITY)) == {
        "hemline",
        "hemline.models",
        "hemline.models.layer_norm",
        "hemline.proofs",
        "hemline.proofs.grid",
        "hemline.proofs.parity",
        "hemline.proofs.reference",
    }


def test_claims_are_of_the_layer_and_their_evidence() -> None:
    found = set(code.closure(CLAIMS))
    assert {"hemline.models.layer_norm", "hemline.proofs.component_evidence", "hemline.records.proofs"} <= found
    assert not {name for name in found if name.startswith(("hemline.config", "hemline.runtime", "hemline.training"))}


@pytest.mark.parametrize(
    "change",
    [
        append("hemline/cli/looking.py", "\nNEW = 1\n"),
        append("hemline/training/loop.py", "\nNEW = 1\n"),
        append("hemline/config/fields.py", "\nNEW = 1\n"),  # which only a type checker imports for parity
        append("hemline/proofs/parity_table.py", "\nNEW = 1\n"),
        append("hemline/proofs/parity.py", "\n# A comment\n"),
        replace("hemline/models/layer_norm.py", '"""', '"""Another docstring. '),
        replace("hemline/models/layer_norm.py", '"""Normalises the last axis', '"""Another docstring, of a class'),
        replace("hemline/proofs/reference.py", '"""Output and gradients', '"""Another docstring, of a function'),
        replace("hemline/__init__.py", '"""', '"""Another docstring. '),
    ],
)
def test_what_parity_does_not_compute_with_changes_nothing(change: Callable[[Path], None], source: Path) -> None:
    change(source)
    assert digest(source, PARITY) == code.digest_of(PARITY)


@pytest.mark.parametrize(
    "change",
    [
        replace("hemline/models/layer_norm.py", "centred * scale,", "scale * centred,"),
        replace("hemline/proofs/reference.py", "FACTOR = 16", "FACTOR = 17"),
        replace("hemline/proofs/grid.py", "300 * rng", "301 * rng"),
        replace("hemline/proofs/parity.py", "STEPS, RATE = 20", "STEPS, RATE = 21"),
        append("hemline/models/__init__.py", "\nNEW = 1\n"),  # is run before any module of the room
    ],
)
def test_an_expression_of_what_parity_computes_with_changes_its_digest(
    change: Callable[[Path], None], source: Path
) -> None:
    change(source)
    assert digest(source, PARITY) != code.digest_of(PARITY)


@pytest.mark.parametrize(
    "statement",
    [
        "import hemline.registry.ledger",
        "from hemline.registry import ledger",
        "from hemline.registry.ledger import Ledger",
        "def late():\n    from hemline.registry import ledger",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import hemline.registry.ledger",
    ],
)
def test_a_new_import_is_followed(statement: str, source: Path) -> None:
    append("hemline/proofs/reference.py", f"\n{statement}\n")(source)
    before = digest(source, PARITY)
    append("hemline/registry/ledger.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY) != before


LATE = "\ndef late():\n    from hemline.registry import ledger\n"


def test_what_functions_of_a_package_on_the_way_import_is_not_followed(source: Path) -> None:
    append("hemline/models/__init__.py", LATE)(source)
    before = digest(source, PARITY)
    append("hemline/registry/ledger.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY) == before


def test_unless_they_are_imported_themselves(source: Path) -> None:
    append("hemline/models/__init__.py", LATE)(source)
    append("hemline/proofs/reference.py", "\nfrom hemline.models import late\n")(source)
    before = digest(source, PARITY)
    append("hemline/registry/ledger.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY) != before


@pytest.mark.parametrize("condition", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_only_a_type_checker_imports_is_not_followed(condition: str, source: Path) -> None:
    append("hemline/proofs/reference.py", f"\nif {condition}:\n    import hemline.registry.ledger\n")(source)
    assert digest(source, PARITY) == code.digest_of(PARITY)


def test_a_module_named_beside_another_counts(source: Path) -> None:
    mlp = "hemline.models.mlp"  # the table of models names it by a string
    assert mlp not in code.closure(PARITY)
    append("hemline/models/mlp.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY, mlp) != code.digest_of(PARITY, mlp)


def test_only_modules_whose_names_begin_so_count(source: Path) -> None:
    within = ("hemline.models.",)
    before = code.digest_of(PARITY, within=within)
    append("hemline/proofs/parity.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY, within=within) == before
    append("hemline/models/layer_norm.py", "\nNEW = 1\n")(source)
    assert digest(source, PARITY, within=within) != before


@pytest.mark.parametrize("name", ["hemline.proofs.parities", "sys", "hemline.errors.HemlineError"])
def test_what_is_no_module_in_a_file_has_no_digest(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=name):
        code.digest_of(PARITY, name)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of one's own without an `__init__`, but for a room of it."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in {"net": "", "room/__init__": "", "room/layers": "", "room/sizes": ""}.items():
        path = tmp_path / "ones_own" / f"{name}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return tmp_path / "ones_own"


@pytest.mark.parametrize(
    ("net", "layers", "init"),
    [
        ("from .room import layers", "from . import sizes", ""),
        ("from .room.layers import x", "from .sizes import y", ""),
        ("from .room import layers", "from ..room.sizes import y", ""),
        ("from .room import y", "", "from .sizes import y"),
        ("import ones_own.room.sizes", "", ""),
    ],
)
def test_relative_imports_are_followed(package: Path, net: str, layers: str, init: str) -> None:
    """They were passed over, and a run went on with other code."""
    for name, text in {"net": net, "room/layers": layers, "room/__init__": init}.items():
        (package / f"{name}.py").write_text(text)
    before = code.digest_of("ones_own.net")
    (package / "room" / "sizes.py").write_text("y = 1")
    assert code.digest_of("ones_own.net") != before
