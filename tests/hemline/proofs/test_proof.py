"""Find, else prove; show; require; keep: in this order, and only what holds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hemline.errors import ParityError
from hemline.proofs.proof import Proof, Proved
from hemline.proofs.store import Proofs
from tests.hemline.conftest import CPU


@pytest.fixture
def proofs(tmp_path: Path) -> Proofs:
    return Proofs(tmp_path, CPU)


@pytest.fixture
def seen() -> list[str]:
    """What was done, in order."""
    return []


@pytest.fixture
def obtain(proofs: Proofs, seen: list[str]) -> Callable[..., Proved[int]]:
    """Obtains a proof that a number is even."""

    def obtain(number: int, required: bool = True) -> Proved[int]:
        def prove() -> int:
            seen.append("proved")
            return number

        def require(number: int) -> None:
            seen.append("required")
            if number % 2:
                raise ParityError(f"a number must be even. Received: {number}.")

        proof = Proof("even", "hemline.errors", prove, lambda number: number % 2 == 0, require, str, int)
        return proof.obtain(proofs, lambda proved: seen.append(f"shown {proved.text}"), required)

    return obtain


def test_what_holds_is_proved_once_and_taken_after_that(
    obtain: Callable[..., Proved[int]], seen: list[str], tmp_path: Path
) -> None:
    first = obtain(4)
    assert (first.result, first.text) == (4, "4")
    assert first.seconds is not None
    assert seen == ["proved", "shown 4", "required"]
    seen.clear()
    assert obtain(6) == Proved(4, "4", seconds=None)
    assert seen == ["shown 4", "required"]


def test_what_does_not_hold_is_shown_and_raised_and_not_kept(
    obtain: Callable[..., Proved[int]], seen: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ParityError):
        obtain(3)
    assert seen == ["proved", "shown 3", "required"]
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_required_is_left_to_the_caller_and_not_kept(
    obtain: Callable[..., Proved[int]], seen: list[str], tmp_path: Path
) -> None:
    assert obtain(3, required=False).result == 3
    assert seen == ["proved", "shown 3"]
    assert list(tmp_path.iterdir()) == []
    obtain(4, required=False)
    assert len(list(tmp_path.iterdir())) == 1
