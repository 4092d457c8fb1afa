"""The flow `verify`, and proofs that later runs take."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tensorflow as tf
from prefect.settings import PREFECT_API_URL

from flows.verify import verify
from hemline.config.verify import VerifyConfig
from hemline.errors import ClaimError, VerificationError
from hemline.proofs import parity
from hemline.proofs.questions import QUESTIONS, RELIED_ON
from hemline.proofs.store import Proofs
from hemline.runtime.devices import select
from tasks.verify_claims import verify_claims
from tasks.verify_layers import verify_layers


@contextmanager
def debugging() -> Iterator[None]:
    """As if somebody had left a debugging aid on."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def eagerly() -> Iterator[None]:
    with debugging():
        yield


@pytest.fixture(scope="module")
def failure(prefect: None, tmp_path_factory: pytest.TempPathFactory) -> VerificationError:
    """What `verify` raises where neither gate holds, on a machine on which they did last week."""
    artifacts, compare = tmp_path_factory.mktemp("failure"), parity.compare
    with debugging(), pytest.MonkeyPatch.context() as patch:
        proofs = Proofs(artifacts / "proofs", select("cpu"))
        proofs.keep("parity-default", "as of last week")
        patch.setattr(parity, "compare", lambda grid: compare(grid=grid, modes=["eager"]).assign(ok=False))
        with pytest.raises(VerificationError) as caught:
            verify(VerifyConfig(device="cpu", artifacts_dir=artifacts))
        assert proofs.find("parity-default") is None
    return caught.value


def test_a_failure_is_named_and_both_gates_are_looked_at(failure: VerificationError) -> None:
    assert re.search(r"cases of layer parity are out of tolerance; claim \d fails", str(failure))
    found = failure.found
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


def python(*words: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value()}  # the test server's
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.system
def test_the_command_proves_and_prints_both_tables(tmp_path: Path) -> None:
    done = python("-m", "flows.command", "--artifacts", str(tmp_path), "verify")
    assert done.returncode == 0, done.stderr
    assert "LayerNorm parity" in done.stdout
    assert "The chapter's claims" in done.stdout
    assert (tmp_path / "proofs").is_dir()


def test_the_command_prints_both_tables_of_a_failure_and_says_what_fails(failure: VerificationError) -> None:
    code = (
        "import sys, flows.verify; from flows.command import main; from hemline.errors import VerificationError\n"
        "from hemline.records.verification import Verification\n"
        "def verify(config): raise VerificationError('it fails', Verification.model_validate_json(sys.argv[1]))\n"
        "flows.verify.verify = verify; main(['verify'])"
    )
    done = python("-c", code, failure.found.model_dump_json())
    assert done.returncode == 1
    assert "LayerNorm parity" in done.stdout
    assert "The chapter's claims" in done.stdout
    assert done.stderr == "it fails\n"
