"""A run whose artifacts are in a store that machines share: what it asks for there, and how it goes on elsewhere."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.retrain import retrain
from hemline.config.retrain import RetrainConfig
from hemline.data import decoding
from hemline.registry import versions
from tests.hemline.data.albums import write_album
from tests.hemline.storage.faults import Proxy, unreliable
from tests.hemline.storage.s3 import machine, use


@pytest.fixture
def proxy(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with unreliable(s3) as between:
        use(between.address, monkeypatch)
        yield between


def test_a_night_asks_for_nothing_twice(
    config: RetrainConfig, bucket: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unchanged night listed 12 times, and each step that trains sent what it may have sent before."""
    copy = machine(tmp_path, bucket, monkeypatch)
    shutil.copytree(config.proofs_path, copy / "proofs")
    config = config.model_copy(update={"artifacts_dir": bucket})
    retrain(config)
    sent = [request.path.rpartition("/")[2] for request in proxy.requests if "/snapshots/" in request.path]
    assert sent == ["train-images.u8", "train-labels.i4", "test-images.u8", "test-labels.i4", "dataset.json"]

    proxy.requests.clear()
    retrain(config)
    counts = Counter(request.listed("hemline/") for request in proxy.requests)
    run = next(name for name in counts if name.startswith("runs/")).removesuffix("/attempts")
    looks = counts.pop(f"{run}/attempts") - 1  # one each 10 s, whether another attempt has begun
    assert looks <= counts["PUT"]
    # Preflight, the comparison with what was made before, and the morning page read the ledger anew.
    lists = {"registry/mnist/ledger": 3, "published/mnist": 1, "published": 1, "runs": 1}
    assert counts == lists | {"PUT": 8}
    assert len({request.path for request in proxy.requests if request.writes()}) == 5

    proxy.requests.clear()
    retrain(config.model_copy(update={"seed": 7}))
    assert not [request for request in proxy.requests if request.writes() and "/snapshots/" in request.path]
    counts = Counter(request.listed("hemline/") for request in proxy.requests)
    again = {name: number for name, number in counts.items() if name.startswith(("published", "claims", "snapshots"))}
    snapshot = next(name for name in again if name.startswith("snapshots"))
    assert again == {"published/mnist": 2, "claims/mnist": 1, snapshot: 1, "published": 1}


def test_a_new_machine_makes_nothing_that_another_has_made(
    config: RetrainConfig, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It downloaded and decoded, to find that nothing had changed."""
    shutil.copytree(config.proofs_path, machine(tmp_path, bucket, monkeypatch) / "proofs")
    config = config.model_copy(update={"artifacts_dir": bucket})
    made = retrain(config)
    assert made
    machine(tmp_path / "new", bucket, monkeypatch)
    monkeypatch.setattr(decoding, "decode", lambda config: pytest.fail("it is in the store"))
    state = retrain(config.model_copy(update={"data_dir": tmp_path / "new" / "data"}), return_state=True)
    assert (state.name, state.message and state.message[:49]) == (
        "Unchanged",
        "nothing has changed since mnist 1 was made (promo",
    )


def test_a_run_goes_on_on_a_machine_without_its_pictures(
    bucket: str, proofs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was refused: a folder is on one machine, and prepared data was not shared."""
    roots = [tmp_path / name for name in ("a", "b")]
    copies = [machine(root, bucket, monkeypatch) for root in reversed(roots)][::-1]
    for copy in copies:
        shutil.copytree(proofs, copy / "proofs")
    write_album(roots[0] / "pets", {"": 60}, size=(9, 7))
    asked = {"dataset": "folder:pets", "image_size": 8, "validation": 40, "batch_size": 32, "epochs": 2}
    config = RetrainConfig.model_validate(asked | {"artifacts_dir": bucket})

    class Lost(Exception):
        """The machine, after the training."""

    def lost(*of: object) -> None:
        raise Lost

    with monkeypatch.context() as patch:
        patch.setattr("flows.retrain.evaluate", lost)
        with pytest.raises(Lost):
            retrain(config)
    (begun,) = (copies[0] / "runs").iterdir()
    dataset = json.loads((begun / "dataset.json").read_bytes())
    roots[0].rename(tmp_path / "gone")

    monkeypatch.setenv("HEMLINE_ROOT", str(roots[1]))
    outcome = retrain(config.model_copy(update={"resume": Path(begun.name)}))
    assert outcome
    assert versions.verify(outcome.version.path).fingerprint == dataset["fingerprint"]
    run = copies[1] / "runs" / begun.name
    assert "resumed at epoch 3, iteration 1 (attempt 2)" in (run / "run.log").read_text()
    assert [path.name for path in (roots[1] / "data" / "decoded").iterdir()] == [
        f"{Path(dataset['path']).name}@{dataset['fingerprint'][:16]}"
    ]
