"""Find, else prove; show; require; keep. A proof is taken where nothing has changed, and nowhere else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from hemline.errors import ProofError
from hemline.proofs import store
from hemline.proofs.store import Proof, Proofs
from hemline.runtime.devices import DeviceInfo
from tests.hemline.conftest import CPU

Obtain = Callable[..., int]


@pytest.fixture
def seen() -> list[str]:
    """What was done, in order."""
    return []


@pytest.fixture
def obtain(seen: list[str], tmp_path: Path) -> Obtain:
    """Obtains a proof that a number is even."""

    def obtain(number: int, device: DeviceInfo = CPU, required: bool = True, module: str = "hemline.errors") -> int:
        def prove() -> int:
            seen.append("proved")
            return number

        def require(number: int) -> None:
            seen.append("required")
            if number % 2:
                raise ProofError(f"a number must be even. Received: {number}.")

        proof = Proof("even", module, prove, lambda number: number % 2 == 0, require, str, int)
        before = seen.count("proved")
        found, seconds = Proofs(tmp_path, device).obtain(proof, lambda _, text: seen.append(f"shown {text}"), required)
        assert (seconds is None) == (seen.count("proved") == before)
        return found

    return obtain


def test_what_holds_is_proved_once_and_taken_after_that(obtain: Obtain, seen: list[str]) -> None:
    assert obtain(4) == 4
    assert seen == ["proved", "shown 4", "required"]
    seen.clear()
    assert obtain(6) == 4
    assert seen == ["shown 4", "required"]


def test_what_does_not_hold_is_shown_and_raised_and_not_kept(obtain: Obtain, seen: list[str], tmp_path: Path) -> None:
    with pytest.raises(ProofError):
        obtain(3)
    assert seen == ["proved", "shown 3", "required"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_required_is_kept_only_if_it_holds(obtain: Obtain, seen: list[str], tmp_path: Path) -> None:
    assert obtain(3, required=False) == 3
    assert seen == ["proved", "shown 3"]
    assert list(tmp_path.iterdir()) == []
    obtain(4, required=False)
    assert len(list(tmp_path.iterdir())) == 1


def test_another_setting_of_the_device_needs_another_proof(obtain: Obtain) -> None:
    other = CPU.model_copy(update={"settings": CPU.settings | {"onednn": "0"}})
    assert [obtain(2), obtain(4, other), obtain(6), obtain(6, other)] == [2, 4, 2, 4]


@pytest.fixture
def eagerly() -> Iterator[Callable[[], None]]:
    yield lambda: tf.config.run_functions_eagerly(True)
    tf.config.run_functions_eagerly(False)


def test_so_does_another_global_setting_of_tensorflow(obtain: Obtain, eagerly: Callable[[], None]) -> None:
    obtain(2)
    eagerly()
    assert obtain(4) == 4


def test_so_does_other_code_which_replaces_the_proof(
    obtain: Obtain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain(2)
    assert obtain(4, module="hemline.proofs.parity") == 4
    monkeypatch.setattr(store, "digest_of", lambda module: f"the new code of {module}")
    assert obtain(6, module="hemline.proofs.parity") == 6
    assert obtain(8, module="hemline.proofs.parity") == 6
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_proof_is_none(damage: bytes, obtain: Obtain, tmp_path: Path) -> None:
    obtain(2)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert obtain(4) == 4


def test_nor_is_one_whose_text_was_changed(obtain: Obtain, tmp_path: Path) -> None:
    obtain(2)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text().replace('"text": "2"', '"text": "8"'))
    assert obtain(4) == 4


def test_all_proofs_of_these_surroundings_are_forgotten_and_no_others(obtain: Obtain, tmp_path: Path) -> None:
    other = CPU.model_copy(update={"description": "another processor"})
    obtain(2)
    obtain(2, other)
    Proofs(tmp_path, CPU).forget()
    assert [obtain(4), obtain(4, other)] == [4, 2]


def test_a_directory_that_cannot_be_written_costs_no_run(obtain: Obtain, tmp_path: Path) -> None:
    tmp_path.rmdir()
    tmp_path.write_text("in the way")
    assert [obtain(2), obtain(4)] == [2, 4]
