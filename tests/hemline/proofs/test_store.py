"""Find, else prove and keep. A proof is taken where nothing has changed, and nowhere else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tensorflow as tf

from hemline.proofs import store
from hemline.proofs.store import Proofs
from hemline.runtime.devices import DeviceInfo
from tests.hemline.conftest import CPU

Obtain = Callable[..., int]


@pytest.fixture
def proved() -> list[int]:
    """What was proved anew, in order."""
    return []


@pytest.fixture
def obtain(proved: list[int], tmp_path: Path) -> Obtain:
    """Obtains a proof that a number is even."""

    def obtain(number: int, device: DeviceInfo = CPU, module: str = "hemline.errors") -> int:
        def prove() -> tuple[str, bool]:
            proved.append(number)
            return str(number), number % 2 == 0

        before = len(proved)
        text, seconds = Proofs(tmp_path, device).obtain("even", module, prove)
        assert (seconds is None) == (len(proved) == before)
        return int(text)

    return obtain


def test_what_holds_is_proved_once_and_taken_after_that(obtain: Obtain, proved: list[int]) -> None:
    assert obtain(4) == 4
    assert obtain(6) == 4
    assert proved == [4]


def test_what_does_not_hold_is_not_kept(obtain: Obtain, proved: list[int], tmp_path: Path) -> None:
    assert obtain(3) == 3
    assert list(tmp_path.iterdir()) == []
    assert obtain(4) == 4
    assert proved == [3, 4]
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
