"""The flow `verify`, and proofs that later runs take."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorflow as tf
from prefect.settings import PREFECT_API_URL

from flows.verify import verify
from hemline.config.verify import VerifyConfig
from hemline.errors import ProofError
from hemline.proofs import claims, parity
from hemline.proofs.questions import QUESTIONS, RELIED_ON
from hemline.runtime.devices import select
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@pytest.fixture
def eagerly() -> Iterator[None]:
    """As if somebody had left a debugging aid on."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_failure_is_named_both_are_proved_and_no_earlier_proof_is_left(
    eagerly: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare = parity.compare
    monkeypatch.setattr(parity, "compare", lambda grid: compare(grid=grid, modes=["eager"]))
    verify_layers(select("cpu"), tmp_path / "proofs")
    assert list((tmp_path / "proofs").glob("parity-*"))
    monkeypatch.setattr(parity, "compare", lambda grid: compare(grid=grid, modes=["eager"]).assign(ok=False))
    with pytest.raises(ProofError, match=r"cases of layer parity are out of tolerance; claim \d fails") as caught:
        verify(VerifyConfig(device="cpu", artifacts_dir=tmp_path))
    assert not list((tmp_path / "proofs").glob("parity-*"))
    found = caught.value.found
    assert found.parity.failed == found.parity.cases
    assert [result.number for result in found.claims] == list(QUESTIONS)
    assert "fails" in {result.finding for result in found.claims}


def test_a_run_stops_at_a_claim_it_relies_on(eagerly: None, tmp_path: Path) -> None:
    with pytest.raises(ProofError, match=r"failed=\[.*8"):
        verify_claims(select("cpu"), tmp_path, only=tuple(RELIED_ON))
    assert list(tmp_path.iterdir()) == []  # nothing was proved


def test_a_run_stops_at_a_wrong_layer_with_its_table_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = parity.compare(modes=["eager"]).assign(ok=False)
    monkeypatch.setattr(parity, "compare", lambda grid: table)
    with pytest.raises(ProofError, match=f"Received: {len(table)} of {len(table)} cases out of tolerance"):
        verify_layers(select("cpu"), tmp_path / "proofs", tmp_path)
    assert (tmp_path / "parity.csv").read_text() == table.to_csv(index=False)
    assert [path.name for path in tmp_path.iterdir()] == ["parity.csv"]  # nothing was proved


def test_an_earlier_proof_is_taken_and_its_table_written(
    proofs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "compare", lambda **arguments: pytest.fail("proved again"))
    monkeypatch.setattr(claims, "check", lambda numbers: pytest.fail("proved again"))
    proved = verify_layers(select("auto"), proofs, tmp_path)
    assert (proved.seconds, proved.failed) == (None, 0)
    assert (tmp_path / "parity.csv").read_text().count("\n") == proved.cases + 1
    assert [result.number for result in verify_claims(select("auto"), proofs, only=tuple(RELIED_ON))] == [*RELIED_ON]


def test_without_a_proof_the_layer_is_compared_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = parity.compare
    monkeypatch.setattr(parity, "compare", lambda grid: compare(grid=grid, modes=["eager"]))
    device = select("cpu")
    first, second = (verify_layers(device, tmp_path / "proofs", tmp_path) for _ in range(2))
    assert first.cases == second.cases > 300
    assert first.seconds is not None
    assert second == first.model_copy(update={"seconds": None})


@pytest.mark.system
def test_the_command_prints_both_tables_and_says_how_it_went(tmp_path: Path) -> None:
    """Twice in a process, on the server of these tests: as it is, and with a debugging aid on, so that claims fail.

    The layers are compared eagerly alone, which is a third of the time.
    """
    code = (
        "from functools import partial; from hemline.proofs import parity\n"
        "parity.compare = partial(parity.compare, modes=['eager'])\n"
        f"from flows.command import main; words = ['--artifacts', {str(tmp_path)!r}, 'verify', '--device', 'cpu']\n"
        "try: main(words)\n"
        "except SystemExit as end: print('-- and again --' if end.code == 0 else 'failed', flush=True)\n"
        "import tensorflow as tf; tf.config.run_functions_eagerly(True); main(words)"
    )
    environment = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    first, _, second = done.stdout.partition("-- and again --")
    for printed in (first, second):
        assert "LayerNorm parity" in printed
        assert "The chapter's claims" in printed
    assert "\neverything that training relies on must hold. Received:" in done.stderr
    assert (tmp_path / "proofs").is_dir()
