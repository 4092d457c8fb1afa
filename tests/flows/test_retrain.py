"""The flow on a small data set, in this process, on Prefect's test server."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, TaskRunFilter
from prefect.client.schemas.objects import Artifact, State, TaskRun, TaskRunResult
from prefect.settings import PREFECT_API_URL

from flows.retrain import retrain
from hemline.config.data import DataConfig
from hemline.config.retrain import RetrainConfig
from hemline.data import decoding
from hemline.data.dataset import load_split, write_split
from hemline.errors import (
    ConfigurationError,
    DatasetError,
    DeviceError,
    HemlineError,
    ProofError,
    RegistryError,
    StorageError,
)
from hemline.models.layer_norm import LayerNorm
from hemline.proofs import parity
from hemline.proofs.questions import RELIED_ON
from hemline.records.run import Outcome
from hemline.registry import versions
from hemline.registry.catalogue import run_rows
from hemline.registry.champion import Registry
from hemline.storage.files import write_json
from tests.flows.conftest import Night, small
from tests.hemline.registry.published import RECORD, make_version

RUN_FILES = {
    "attempts",
    "checkpoints",
    "config.json",
    "confusion.csv",
    "data.json",
    "data.svg",
    "dataset.json",
    "epochs.csv",
    "epochs.parquet",
    "evaluation.json",
    "examples.parquet",
    "iterations.parquet",
    "mistakes.svg",
    "model.keras",
    "parity.csv",
    "report.html",
    "run.lock",
    "run.log",
    "saved_model",
    "serving.json",
    "timing.csv",
}


def flow_run_id(state: State[Any]) -> UUID:
    assert state.state_details.flow_run_id
    return state.state_details.flow_run_id


def artifacts(state: State[Any]) -> dict[str, Artifact]:
    """The UI artifacts of a flow run by key."""
    of_run = ArtifactFilter.model_validate({"flow_run_id": {"any_": [str(flow_run_id(state))]}})
    with get_client(sync_client=True) as client:
        return {found.key: found for found in client.read_artifacts(artifact_filter=of_run) if found.key}


def task_states(state: State[Any]) -> dict[str, str]:
    """The name of each task run's state by the task's name."""
    return {run.name: run.state.name or "" for run in task_runs(state) if run.state}


def task_runs(state: State[Any]) -> list[TaskRun]:
    of_run = TaskRunFilter.model_validate({"flow_run_id": {"any_": [str(flow_run_id(state))]}})
    with get_client(sync_client=True) as client:
        return client.read_task_runs(task_run_filter=of_run)


def test_a_run_leaves_every_file_and_artifact(first_night: Night) -> None:
    finished = first_night.state
    outcome = finished.result()
    assert isinstance(outcome, Outcome)
    version = outcome.version
    assert outcome.decision.verdict == "promoted"  # the first one
    artifacts_dir = version.path.parents[2]
    assert version.path == artifacts_dir / "models" / "mnist" / "1"
    assert Registry(artifacts_dir, "mnist").champion() == "1"
    assert {path.name for path in version.run.iterdir()} == RUN_FILES
    assert "INFO    | hemline.proofs.store - " in (version.run / "run.log").read_text()  # the computing layer's own

    model, manifest = versions.load(version.path)
    assert manifest.version == "1"
    assert manifest.flow_run.id == str(flow_run_id(finished))
    assert manifest.evaluation.accuracy == version.test_accuracy
    images = np.zeros((1, *model.input_shape[1:]), np.uint8)
    loaded = tf.saved_model.load(artifacts_dir / "serving" / "mnist" / "1")  # as a model server does
    served = loaded.signatures["serving_default"](image=tf.constant(images))
    np.testing.assert_allclose(served["probabilities"], tf.nn.softmax(model(images)), rtol=1e-5)

    epochs = pd.read_csv(version.run / "epochs.csv")
    assert list(epochs["epoch"]) == [1, 2]
    shown = artifacts(finished)
    named = {"claims", "data", "decision", "epochs", "layer-norm-parity", "production-mnist", "report", "training"}
    assert set(shown) == named
    table = pd.DataFrame(json.loads(str(shown["epochs"].data)))
    np.testing.assert_allclose(table["val_loss"], epochs["val_loss"], atol=5e-5)
    parity = json.loads(str(shown["layer-norm-parity"].data))
    assert {"worst by policy", "worst by inputs"} <= {row["what"] for row in parity}
    assert parity[0]["what"] != "failed"
    assert len(json.loads(str(shown["claims"].data))) == len(RELIED_ON)
    report = str(shown["report"].data)
    assert report.count("data:image/svg+xml;base64,") == 7  # all but the comparison with a champion
    assert "**Promoted mnist 1: " in report
    assert "| verdict | promoted |" in report
    assert "| resumed | no |" in report
    assert "There is no champion whose data could be compared.\n\nNo check found anything." in report
    assert len(report) < 200_000  # listings in the UI return whole artifacts
    assert str(shown["training"].description).startswith("Epoch 2 of 2: accuracy 0.")
    assert f"| 1 | {epochs['train_loss'][0]:.4f} |" in str(shown["training"].data)


GRAPH: dict[str, set[str]] = {
    "preflight": set(),
    "compare": {"preflight"},
    "check-model": {"preflight"},
    "prepare-dataset": {"check-model"},
    "check-data": {"check-model", "prepare-dataset"},
    "verify-layers": {"check-model"},
    "verify-claims": {"check-model"},
    "train": {"check-model", "prepare-dataset", "check-data", "verify-layers", "verify-claims"},
    "evaluate": {"train"},
    "publish": {"verify-layers", "train", "evaluate"},
    "promote": {"publish"},
    "report": {"publish", "promote"},
}


def test_the_graph_has_an_edge_for_each_record_and_no_other(next_config: RetrainConfig) -> None:
    """Regression: the device 'cpu' was in the configuration too, so every step seemed to depend on the first.

    There is a champion, called "1", as one worker is.
    """
    runs = task_runs(retrain(next_config.model_copy(update={"device": "cpu", "seed": 43}), return_state=True))
    names: dict[UUID, str] = {run.id: run.name for run in runs}
    edges: dict[str, set[str]] = {run.name: set() for run in runs}
    for run in runs:
        for given in chain.from_iterable(run.task_inputs.values()):
            assert isinstance(given, TaskRunResult)
            edges[run.name].add(names[given.id])
    assert edges == GRAPH


def test_the_runs_name_says_what_it_is(first_night: Night) -> None:
    finished = first_night.state
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(flow_run_id(finished))
    assert run.name == f"mnist mlp {run.expected_start_time:%Y-%m-%d}"
    outcome = finished.result()
    assert outcome
    assert outcome.version.run.name == f"{run.expected_start_time:%Y-%m-%d}-mnist-mlp-{run.id.hex[:8]}"


@pytest.fixture(scope="module")
def twice(proofs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RetrainConfig, list[State[Outcome | None]]]:
    """The same run again, in one place."""
    config = small(tmp_path_factory.mktemp("twice"), proofs).model_copy(update={"force": True})
    return config, [retrain(config, return_state=True) for _ in range(2)]


def test_a_later_run_reuses_the_data_only_while_it_is_whole(
    twice: tuple[RetrainConfig, list[State[Outcome | None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cached answer that points to damaged files must not be taken."""
    config, states = twice
    assert [task_states(state)["prepare-dataset"] for state in states] == ["Completed", "Cached"]

    labels = config.data_path / "decoded" / "mnist" / "train-labels.i4"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x07")

    def refuse(config: DataConfig, artifacts: Path) -> None:
        raise DatasetError("there is no source to decode them from again")

    monkeypatch.setattr(decoding, "prepare", refuse)
    state = retrain(config, return_state=True)
    assert task_states(state)["prepare-dataset"] == "Failed"
    with pytest.raises(DatasetError, match="no source"):
        state.result()


def test_the_same_configuration_gives_the_same_bytes(twice: tuple[RetrainConfig, list[State[Outcome | None]]]) -> None:
    one, other = (state.result() for state in twice[1])
    assert isinstance(one, Outcome)
    assert isinstance(other, Outcome)
    assert other.decision.sentence.startswith("kept mnist 1: challenger 2 makes the same predictions; 364 more ")
    first, second = one.version, other.version
    for name in (
        "epochs.csv",
        "iterations.parquet/epoch-00002.parquet",
        "parity.csv",
        "evaluation.json",
        "confusion.csv",
    ):
        assert (first.run / name).read_bytes() == (second.run / name).read_bytes(), name


def test_a_layer_that_disagrees_stops_the_run_before_training(
    config: RetrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leaves no proof for the next run."""
    shutil.rmtree(config.proofs_path)
    monkeypatch.setattr(parity, "compare", partial(parity.compare, modes=["eager"]))  # a third of the time
    right = LayerNorm.call
    monkeypatch.setattr(LayerNorm, "call", lambda self, inputs: 1.01 * right(self, inputs))
    state = retrain(config, return_state=True)
    with pytest.raises(ProofError, match="variance"):
        state.result()
    assert "train" not in task_states(state)
    table = json.loads(str(artifacts(state)["layer-norm-parity"].data))
    assert table[0]["what"] == "failed"  # failures come first
    assert not config.proofs_path.exists()


REFUSED = [
    ({"device": "gpu"}, DeviceError, "device 'gpu' needs a GPU.*set device"),
    ({"dataset": "fashion_mnits"}, DatasetError, "fashion_mnits.*Did you mean.*fashion_mnist"),
    ({"dataset": "imdb_reviews"}, DatasetError, "'image' and 'label'"),
    ({"groups": {"upper": {"layers": ["logit"]}}}, ConfigurationError, "'logit' of group 'upper' matches no layer"),
    ({"groups": {"upper": {"layers": ["logits", "norm_2"]}}}, ConfigurationError, "norm_2/alpha is in group"),
    ({"groups": {"lower": {"layers": ["hidden_*"]}}}, ConfigurationError, "norm_1/alpha is in no group"),
    ({"batch_size": 241}, ConfigurationError, "batch_size=241 for 240 examples"),
    ({"validation": 300}, ConfigurationError, "validation=300 of 300 examples"),
]


@pytest.mark.parametrize(("change", "error", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_work_is_refused_before_any_work(
    config: RetrainConfig, change: dict[str, Any], error: type[HemlineError], sentence: str
) -> None:
    earlier = config.artifacts_path / "models" / "mnist" / "1" / "manifest.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier")
    state = retrain(RetrainConfig(**(config.model_dump() | change)), return_state=True)
    with pytest.raises(error, match=sentence):
        state.result()
    assert not {"verify-layers", "train"} & set(task_states(state))
    assert earlier.read_text() == "earlier"
    assert [path.name for path in earlier.parents[1].iterdir()] == ["1"]


def test_data_that_a_check_refuses_stops_the_run_before_it_trains(config: RetrainConfig) -> None:
    state = retrain(RetrainConfig(**(config.model_dump() | {"checks": {"leaks": "refuse"}})), return_state=True)
    assert task_states(state)["check-data"] == "Completed"
    decoded = config.data_path / "decoded" / "mnist"
    ref = decoding.verified(config.data)
    assert ref
    images, labels = load_split(ref, "train")
    splits = ref.splits | {"test": write_split(decoded, "test", [(images[:70], labels[:70])])}
    write_json(decoded / "dataset.json", ref.model_copy(update={"splits": splits}).record())
    state = retrain(RetrainConfig(**(config.model_dump() | {"checks": {"leaks": "refuse"}})), return_state=True)
    with pytest.raises(
        DatasetError, match=r"test has 70 examples of 70 \(100.0%\) with the pixels of an example of train"
    ):
        state.result()
    assert set(task_states(state)) == {"preflight", "compare", "check-model", "prepare-dataset", "check-data"}
    assert "| leaks | refuse |" in str(artifacts(state)["data"].data)


def test_a_ledger_that_was_changed_stops_the_run_before_it_trains(config: RetrainConfig) -> None:
    """Regression: a night was trained and published, and then nothing could be compared."""
    registry = Registry(config.artifacts_path, "mnist")
    make_version(config.artifacts_path, record=RECORD.model_copy(update={"config": config}))
    registry.promote("1", by="a", reason="good")
    registry.ledger.path.write_text(registry.ledger.path.read_text().replace("good", "best"))
    state = retrain(config, return_state=True)
    with pytest.raises(RegistryError, match=r"ledger.jsonl, line 1: .*Restore that line"):
        state.result()
    assert set(task_states(state)) == {"preflight"}


def test_an_unwritable_artifacts_directory_is_refused(config: RetrainConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    state = retrain(config.model_copy(update={"artifacts_dir": tmp_path / "file" / "below"}), return_state=True)
    with pytest.raises(StorageError, match=r"must be writable.*Set artifacts_dir"):
        state.result()
    assert task_states(state) == {}


@pytest.mark.system
def test_a_refusal_in_a_terminal_is_a_sentence_without_a_traceback(tmp_path: Path) -> None:
    """Regression: Prefect's handlers were not made yet when its tracebacks were to be kept from them."""
    words = ["-m", "flows.command", "--artifacts", str(tmp_path), "retrain", "--device", "gpu"]
    environment = os.environ | {"PREFECT_API_URL": str(PREFECT_API_URL.value())}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("device 'gpu' needs a GPU that TensorFlow can see. Received: ")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_run_that_is_to_train_alone_says_so_on_the_disk(config: RetrainConfig) -> None:
    """Regression: lists called it unfinished."""
    state = retrain(config.model_copy(update={"only_train": True, "force": True}), return_state=True)
    (row,) = run_rows(config.artifacts_path)
    assert (state.name, row.state, row.epochs) == ("Trained", "trained", config.epochs)
