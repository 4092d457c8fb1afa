"""The server: TensorFlow Serving's paths and answers, its refusals, and how it follows the champion."""

import io
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fastapi.testclient import TestClient
from PIL import Image

from hemline.errors import RegistryError, VersionError
from hemline.registry.champion import Registry
from hemline.registry.versions import classify
from hemline.serving import champion as following
from hemline.serving import requests
from hemline.serving.app import make_app
from hemline.serving.champion import AGAIN_SECONDS, LOOK_SECONDS, Champion

IMAGES = np.random.default_rng(0).integers(256, size=(3, 4, 4, 1), dtype=np.uint8)
PREDICT = "/v1/models/tiny:predict"


class Clock:
    """Seconds, which a test lets pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def client(two_versions: Path) -> TestClient:
    """Of a server whose champion does not change."""
    return TestClient(make_app(Champion(Registry(two_versions, "tiny"), say=print)))


def expected(artifacts: Path, version: str) -> dict[str, list[Any]]:
    """What TensorFlow alone answers through the path that a model server is given."""
    loaded = tf.saved_model.load(artifacts / "models" / "tiny" / version)
    outputs = loaded.signatures["serving_default"](image=tf.constant(IMAGES))
    return {
        name: value.numpy().astype("U" if name == "name" else value.dtype.name).tolist()
        for name, value in outputs.items()
    }


def ask(client: TestClient, images: np.ndarray = IMAGES) -> list[dict[str, Any]]:
    answer = client.post(PREDICT, json={"instances": images.tolist()})
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def test_rows_are_answered_by_rows(client: TestClient, two_versions: Path) -> None:
    rows, columns = ask(client), expected(two_versions, "1")
    assert [list(row) for row in rows] == [["label", "name", "probabilities"]] * 3
    assert [row["label"] for row in rows] == columns["label"]
    assert [row["name"] for row in rows] == columns["name"]
    np.testing.assert_allclose([row["probabilities"] for row in rows], columns["probabilities"], rtol=1e-6)
    named = client.post(
        PREDICT, json={"signature_name": "", "instances": [{"image": each} for each in IMAGES.tolist()]}
    )
    assert named.json() == {"predictions": rows}


@pytest.mark.parametrize("path", [PREDICT, "/v1/models/tiny/versions/1:predict"])
def test_columns_are_answered_by_columns(path: str, client: TestClient, two_versions: Path) -> None:
    for inputs in (IMAGES.tolist(), {"image": IMAGES.tolist()}):
        outputs = client.post(path, json={"inputs": inputs}).json()["outputs"]
        columns = expected(two_versions, "1")
        np.testing.assert_allclose(outputs.pop("probabilities"), columns.pop("probabilities"), rtol=1e-6)
        assert outputs == columns


@pytest.mark.parametrize("path", ["/v1/models/tiny", "/v1/models/tiny/versions/1"])
def test_status_and_metadata(path: str, client: TestClient) -> None:
    row = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert client.get(path).json() == {"model_version_status": [row]}
    metadata = client.get(f"{path}/metadata").json()
    assert metadata["model_spec"] == {"name": "tiny", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image"]["dtype"] == "DT_UINT8"
    assert [dim["size"] for dim in signature["inputs"]["image"]["tensor_shape"]["dim"]] == ["-1", "4", "4", "1"]
    assert sorted(signature["outputs"]) == ["label", "name", "probabilities"]
    assert signature["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path", "received"),
    [
        ("GET", "/v1/models/other", "other, and here is tiny 1"),
        ("GET", "/v1/models/tiny/versions/2", "tiny 2, and here is tiny 1"),
        ("GET", "/v1/models/tiny/versions/01/metadata", "tiny 01, and here is tiny 1"),
        ("POST", "/v1/models/tiny/versions/2:predict", "tiny 2, and here is tiny 1"),
        ("POST", "/v1/models/other:predict", "other, and here is tiny 1"),
        ("GET", "/docs", "Not Found"),
        ("GET", "/openapi.json", "Not Found"),
    ],
)
def test_what_is_not_here_is_404(method: str, path: str, received: str, client: TestClient) -> None:
    answer = client.request(method, path, json={"instances": IMAGES.tolist()} if method == "POST" else None)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert received in answer.json()["error"]


BAD = [
    b"",
    b"{",
    b"[1]",
    b"null",
    b'"instances"',
    b"[" * 100_000,
    b'{"instances": NaN}',
    b'{"instances": null}',
    b'{"instances": 7}',
    b'{"instances": []}',
    b'{"instances": [{"pixels": []}]}',
    b'{"inputs": {"image": [[1], [2, 3]]}}',
    b'{"inputs": {}}',
    b'{"outputs": []}',
    *(
        json.dumps(request).encode()
        for request in (
            {"instances": IMAGES.tolist(), "inputs": IMAGES.tolist()},
            {"instances": IMAGES.tolist(), "signature_name": "other"},
            {"instances": IMAGES[0].tolist()},
            {"instances": IMAGES[..., 0].tolist()},
            {"instances": (IMAGES / 255).tolist()},
            {"instances": (IMAGES + 256.0).astype(int).tolist()},
            {"instances": (-IMAGES.astype(int) - 1).tolist()},
            {"instances": (IMAGES > 7).tolist()},
            {"instances": IMAGES.astype(str).tolist()},
            {"instances": np.full((1, 4, 4, 1), 10**30, object).tolist()},
        )
    ),
]


@pytest.mark.parametrize("body", BAD, ids=lambda body: body[:40].decode())
def test_what_cannot_be_understood_is_400(body: bytes, client: TestClient) -> None:
    answer = client.post(PREDICT, content=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text
    rule, received, _ = answer.json()["error"].partition(". Received: ")
    assert " must " in rule
    assert received


def test_too_much_is_413_and_is_not_read_to_its_end(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_INSTANCES", 2)
    answer = client.post(PREDICT, json={"instances": IMAGES.tolist()})
    assert (answer.status_code, "Received: 3." in answer.json()["error"]) == (413, True)
    monkeypatch.setattr("hemline.serving.app.MOST_BYTES", 1000)
    for path in (PREDICT, "/classify"):
        answer = client.post(path, content=b" " * 1001)
        assert (answer.status_code, "1,000 bytes" in answer.json()["error"]) == (413, True)


# --- a person's page


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_answered_as_on_the_command_line(client: TestClient, two_versions: Path) -> None:
    answer = client.post("/classify", content=png(IMAGES[0, ..., 0])).json()
    ((label, probability),) = classify(two_versions / "models" / "tiny" / "1", [IMAGES[:1]])
    assert (answer["model"], answer["classes"][0]["name"]) == ("tiny 1", label)
    assert answer["classes"][0]["probability"] == pytest.approx(probability, abs=1e-5)
    assert {row["name"] for row in answer["classes"]} == {"dark", "bright"}
    assert sum(row["probability"] for row in answer["classes"]) == pytest.approx(1)


@pytest.mark.parametrize("picture", [b"", b"GIF89a", png(np.zeros((28, 28), np.uint8)), png(IMAGES[0, ..., 0])[:60]])
def test_a_picture_that_predict_would_refuse_is_refused_in_its_words(picture: bytes, client: TestClient) -> None:
    answer = client.post("/classify", content=picture)
    assert answer.status_code == 400
    assert "Received: picture.png" in answer.json()["error"]
    assert "/" not in answer.json()["error"]  # a directory of the server's


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert "<h1>tiny 1</h1>" in answer.text
    assert "http" not in answer.text
    assert "src=" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none';")


# --- it follows the champion


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def followed(artifacts: Path, clock: Clock, said: list[str]) -> TestClient:
    return TestClient(make_app(Champion(Registry(artifacts, "tiny"), said.append, clock)))


def probabilities(client: TestClient) -> list[float]:
    return [row["probabilities"][0] for row in ask(client)]


def test_a_promotion_changes_the_answer_and_a_rollback_changes_it_back(
    followed: TestClient, artifacts: Path, clock: Clock, said: list[str]
) -> None:
    registry, first = Registry(artifacts, "tiny"), probabilities(followed)
    registry.promote("2", by="ada", reason="better")
    assert probabilities(followed) == first  # within a second nobody looks
    clock.now += LOOK_SECONDS
    second = probabilities(followed)
    np.testing.assert_allclose(second, [row[0] for row in expected(artifacts, "2")["probabilities"]], rtol=1e-6)
    assert not np.allclose(first, second)
    assert followed.get("/v1/models/tiny").json()["model_version_status"][0]["version"] == "2"
    served = tf.saved_model.load(artifacts / "serving" / "tiny" / "2").signatures["serving_default"]
    np.testing.assert_allclose(served(image=tf.constant(IMAGES))["probabilities"][:, 0], second, rtol=1e-6)
    registry.rollback(by="ada", reason="worse")
    clock.now += LOOK_SECONDS
    assert probabilities(followed) == first
    assert said == ["tiny 2 is served", "tiny 1 is served"]


def test_a_champion_that_does_not_verify_is_not_served_and_the_old_one_goes_on(
    followed: TestClient, artifacts: Path, clock: Clock, said: list[str], flip_byte: Callable[[Path, int], None]
) -> None:
    first, weights = probabilities(followed), artifacts / "models" / "tiny" / "2" / "variables" / "variables.index"
    Registry(artifacts, "tiny").promote("2", by="ada", reason="better")
    whole = weights.read_bytes()
    flip_byte(weights, 3)
    for _ in range(3):
        clock.now += LOOK_SECONDS
        assert probabilities(followed) == first
    (sentence,) = said  # once
    assert sentence.startswith("tiny 1 is still served: every file of a model version must match its manifest.")
    (row,) = followed.get("/v1/models/tiny").json()["model_version_status"]
    assert (row["version"], row["status"]["error_message"]) == ("1", sentence)
    assert "variables/variables.index was changed" in followed.get("/").text
    weights.write_bytes(whole)
    clock.now += AGAIN_SECONDS
    assert probabilities(followed) != first
    assert followed.get("/v1/models/tiny").json()["model_version_status"][0]["status"]["error_message"] == ""


def test_a_ledger_that_is_gone_or_changed_does_not_stop_it(
    followed: TestClient, artifacts: Path, clock: Clock, said: list[str]
) -> None:
    ledger = Registry(artifacts, "tiny").ledger.path
    first, whole = probabilities(followed), ledger.read_bytes()
    for content, words in ((whole.replace(b"first", b"worst"), "line 1"), (None, "line 1 is gone")):
        ledger.unlink() if content is None else ledger.write_bytes(content)
        clock.now += AGAIN_SECONDS
        assert probabilities(followed) == first
        assert words in said[-1]


def test_the_old_one_answers_while_the_new_one_is_loaded(
    artifacts: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller loads; the others neither wait nor load it a second time."""
    registry = Registry(artifacts, "tiny")
    champion = Champion(registry, print, clock)
    begun, go_on, loads, load = threading.Event(), threading.Event(), list[str](), following.load

    def slow(registry: Registry, version: str) -> following.Model:
        loads.append(version)
        begun.set()
        assert go_on.wait(60)
        return load(registry, version)

    monkeypatch.setattr(following, "load", slow)
    registry.promote("2", by="ada", reason="better")
    clock.now += LOOK_SECONDS
    caller = threading.Thread(target=champion.now)
    caller.start()
    assert begun.wait(60)
    clock.now += 10 * LOOK_SECONDS
    assert champion.now().manifest.version == "1"
    go_on.set()
    caller.join()
    assert champion.now().manifest.version == "2"
    assert loads == ["2"]


def test_nothing_is_served_that_is_not_whole(artifacts: Path, flip_byte: Callable[[Path, int], None]) -> None:
    registry = Registry(artifacts, "tiny")
    flip_byte(registry.path("1") / "saved_model.pb", 3)
    with pytest.raises(VersionError, match=r"saved_model.pb was changed"):
        Champion(registry, print)
    shutil.rmtree(registry.directory)
    with pytest.raises(RegistryError, match=r"a champion must be there. Received: tiny, without one"):
        Champion(registry, print)
