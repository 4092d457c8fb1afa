"""A proof is taken where nothing has changed, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from hemline.proofs import store
from hemline.proofs.store import Proofs
from tests.hemline.conftest import CPU

MODULE = "hemline.proofs.parity"
TEXT = "case,ok\nA,True\n"


@pytest.fixture
def proofs(tmp_path: Path) -> Proofs:
    """With one proof in it, named 'layer'."""
    proofs = Proofs(tmp_path, CPU)
    proofs.keep("layer", MODULE, TEXT)
    return proofs


def test_what_was_kept_is_found_under_its_name(proofs: Proofs, tmp_path: Path) -> None:
    found = Proofs(tmp_path, CPU).find("layer", MODULE)
    assert found
    assert found.text == TEXT
    assert proofs.find("another", MODULE) is None


def test_another_device_or_setting_has_no_proof(proofs: Proofs, tmp_path: Path) -> None:
    other = CPU.model_copy(update={"settings": CPU.settings | {"onednn": "0"}})
    assert Proofs(tmp_path, other).find("layer", MODULE) is None
    assert proofs.find("layer", MODULE)


@pytest.fixture
def eagerly() -> Iterator[None]:
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_global_setting_of_tensorflow_is_part_of_the_surroundings(
    proofs: Proofs, eagerly: None, tmp_path: Path
) -> None:
    assert Proofs(tmp_path, CPU).find("layer", MODULE) is None


def test_other_code_has_no_proof_until_it_is_proved(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    digest_of = store.digest_of
    monkeypatch.setattr(store, "digest_of", lambda module: digest_of(module)[::-1] if module == MODULE else None)
    assert proofs.find("layer", MODULE) is None
    proofs.keep("layer", MODULE, TEXT)
    assert proofs.find("layer", MODULE)


def test_proofs_by_different_code_do_not_stand_for_each_other(proofs: Proofs) -> None:
    assert proofs.find("layer", "hemline.proofs.claims") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_proof_is_none(damage: bytes, proofs: Proofs, tmp_path: Path) -> None:
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace("True", "False"))
    assert proofs.find("layer", MODULE) is None
    path.write_bytes(damage)
    assert proofs.find("layer", MODULE) is None


def test_all_proofs_of_these_surroundings_are_forgotten_and_no_others(proofs: Proofs, tmp_path: Path) -> None:
    other = Proofs(tmp_path, CPU.model_copy(update={"name": "/GPU:0"}))
    other.keep("layer", MODULE, TEXT)
    proofs.keep("claims", "hemline.proofs.claims", "[]")
    proofs.forget()
    assert proofs.find("layer", MODULE) is proofs.find("claims", "hemline.proofs.claims") is None
    assert other.find("layer", MODULE)


def test_a_directory_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    proofs = Proofs(tmp_path / "file", CPU)
    proofs.keep("layer", MODULE, TEXT)
    assert proofs.find("layer", MODULE) is None
