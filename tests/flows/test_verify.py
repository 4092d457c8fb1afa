"""The flow `verify`, and proofs that later runs take."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from flows.verify import verify
from hemline.config.verify import VerifyConfig
from hemline.errors import ClaimError, VerificationError
from hemline.proofs import parity
from hemline.proofs.questions import QUESTIONS, RELIED_ON
from hemline.proofs.store import Proofs
from hemline.runtime.devices import select
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@pytest.fixture
def eagerly() -> Iterator[None]:
    """As if somebody had left a debugging aid on."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_failure_is_named_both_gates_are_looked_at_and_no_earlier_proof_is_left(
    eagerly: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proofs = Proofs(tmp_path / "proofs", select("cpu"))
    proofs.keep("parity-default", "as of last week")
    compare = parity.compare
    monkeypatch.setattr(parity, "compare", lambda grid: compare(grid=grid, modes=["eager"]).assign(ok=False))
    with pytest.raises(
        VerificationError, match=r"cases of layer parity are out of tolerance; claim \d fails"
    ) as caught:
        verify(VerifyConfig(device="cpu", artifacts_dir=tmp_path))
    assert proofs.find("parity-default") is None
    found = caught.value.found
    assert found.parity.failed == found.parity.cases
    assert [result.number for result in found.claims] == list(QUESTIONS)
    assert "fails" in {result.verdict for result in found.claims}


def test_a_run_stops_at_a_claim_it_relies_on(eagerly: None, tmp_path: Path) -> None:
    with pytest.raises(ClaimError, match=r"failed=\[.*8"):
        verify_claims(select("cpu"), tmp_path, only=tuple(RELIED_ON))
    assert list(tmp_path.iterdir()) == []  # nothing was proved


def test_a_proof_is_taken_only_in_the_same_surroundings(
    proofs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "compare", lambda **arguments: pytest.fail("proved again"))
    device = select("auto")
    proved = verify_layers(device, proofs, tmp_path)
    assert proved.seconds is None
    assert proved.failed == 0
    assert (tmp_path / "parity.csv").read_text().count("\n") == proved.cases + 1
    other = device.model_copy(update={"settings": device.settings | {"onednn": "0"}})
    assert Proofs(proofs, device).find("parity-default")
    assert Proofs(proofs, other).find("parity-default") is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_proof_is_none(damage: bytes, proofs: Path, tmp_path: Path) -> None:
    (path,) = proofs.glob("parity-*.json")
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert Proofs(tmp_path, select("auto")).find("parity-default")
    copy.write_text(path.read_text().replace("True", "False", 1))
    assert Proofs(tmp_path, select("auto")).find("parity-default") is None
    copy.write_bytes(damage)
    assert Proofs(tmp_path, select("auto")).find("parity-default") is None


def test_a_global_setting_is_part_of_the_surroundings(proofs: Path, eagerly: None) -> None:
    assert Proofs(proofs, select("auto")).find("parity-default") is None


@pytest.mark.system
def test_the_command_prints_both_tables_and_says_how_it_went(tmp_path: Path) -> None:
    def run(code: str) -> "subprocess.CompletedProcess[str]":
        code += f"from flows.command import main; main(['--artifacts', {str(tmp_path)!r}, 'verify'])"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    done = run("")
    assert done.returncode == 0, done.stderr
    assert "LayerNorm parity" in done.stdout
    assert "The chapter's claims" in done.stdout
    broken: Any = run("import tensorflow as tf; tf.config.run_functions_eagerly(True); ")
    assert broken.returncode == 1
    assert "The chapter's claims" in broken.stdout
    assert "\neverything that training relies on must hold. Received:" in broken.stderr
    assert (tmp_path / "proofs").is_dir()
