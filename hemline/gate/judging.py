"""The judgement of a published version: loaded, compared with the champion, written down.

    decision = judge(Registry(artifacts, "fashion_mnist"), "8", dataset, config.gate, by, answers_on(device))
    decision.sentence       # 'kept fashion_mnist 7: challenger 8 is 0.12 points better, 95 % interval ...'

Both models answer the present test split: 1 s for two default networks on 2 cores, once TensorFlow is imported. Data
may change from night to night: test examples that one of the two was trained on are left out (`hemline.gate.seen`).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np

from hemline.config.gate import Gate
from hemline.data.dataset import DatasetRef, hashes, load_split, load_training
from hemline.errors import ChampionChangedError, ConfigurationError, RegistryError, VersionError
from hemline.gate.case import Candidate, Case
from hemline.gate.first import doubts_about_first
from hemline.gate.rules import decide
from hemline.gate.seen import without_seen
from hemline.gate.spending import next_look
from hemline.models import load as load_model
from hemline.records.run import Decision, Verdict
from hemline.registry.champion import Registry
from hemline.registry.decisions import Decisions
from hemline.registry.versions import SEEN, Manifest, load
from hemline.runtime.devices import DeviceInfo
from hemline.storage.runs import SEEDS

# A version's directory, images (N, H, W, C) -> logits (N, classes); of several seeds (models, N, classes).
Answers = Callable[[Path, np.ndarray], np.ndarray]


def answers_on(device: DeviceInfo) -> Answers:
    """A version's answers, computed on this device."""

    def answers(path: Path, images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        from hemline.evaluation.scores import compile_predict

        with tf.device(device.name):
            models = [load(path)[0]]  # verifies the others too
            if others := sorted((path / SEEDS).glob("*.keras")):  # one of which it is
                models = list(map(load_model, others))
            return np.stack([compile_predict(model)(images) for model in models])

    return answers


def judge(
    registry: Registry,
    version: str,
    dataset: DatasetRef,
    gate: Gate,
    by: str,
    answers: Answers,
    doubts: Sequence[str] = (),
) -> Decision:
    """Compares a published version with the champion on the test split, and records the decision.

    doubts: sentences of other steps, for which a person must decide.
    """
    decisions = registry.decisions()
    if earlier := _decided_before(decisions, version, by):
        return earlier

    manifest_of = cache(lambda name: registry.verified(name, decisions))  # once: a version's files are large
    if obstacle := _obstacle(manifest_of(version), dataset):
        raise ConfigurationError(
            f"a version must be judged on the classes it was trained for. Received: {version}, which {obstacle}. "
            "Choose its data set."
        )
    images, labels = load_split(dataset, "test")
    pixels = hashes(images)

    @cache
    def candidate(name: str) -> Candidate:
        predictions = answers(registry.path(name), images).argmax(axis=-1).reshape(-1, len(images))  # (models, N)
        return Candidate(name, predictions, manifest_of(name).evaluation)

    while True:
        champions = list(dict.fromkeys(reversed(decisions.succession())))  # newest first, each once
        if champions[:1] == [version]:  # e.g. a run that was killed after it was promoted, and goes on
            sentence = f"kept {registry.name} {version}: it is the champion already"
            decision = Decision(verdict="kept", champion=version, challenger=version, sentence=sentence)
        else:
            look = next_look(decisions.entries, dataset.split("test"), gate.decisions)
            champion = champions[0] if champions else None
            case = Case(registry.name, labels, dataset.class_names, candidate(version), champion, look=look)
            case = without_seen(_against(champions, case, manifest_of, dataset, candidate), pixels, registry)
            if not champions:
                case.doubts.extend(_doubts_about_first(case, manifest_of(version), dataset))
            case.doubts.extend(doubts)
            decision = decide(gate, case)
        with suppress(ChampionChangedError):  # then compares again
            registry.record(decision, by)
            return decision
        decisions = registry.decisions()


def _decided_before(decisions: Decisions, version: str, by: str) -> Decision | None:
    """What the same run decided before it was killed: what a person did meanwhile stays."""
    for entry in reversed(decisions.entries):
        if (entry.version, entry.by) == (version, by) and entry.decision in get_args(Verdict):
            return Decision(
                verdict=entry.decision,
                champion=entry.champion_before,
                challenger=version,
                sentence=entry.reason,
                measurements=entry.measurements,
            )
    return None


def _against(
    champions: list[str],
    case: Case,
    manifest_of: Callable[[str], Manifest],
    dataset: DatasetRef,
    candidate: Callable[[str], Candidate],
) -> Case:
    """The case with the champion in it; if that cannot be used, with the newest champion before it that can."""
    remarks, doubts, compared_with = [] if champions else ["there was no champion"], list[str](), None
    for name in champions:
        if name == case.challenger.version:  # it was a champion before, and was rolled back
            continue
        try:
            manifest = manifest_of(name)
            if obstacle := _obstacle(manifest, dataset):
                doubts.append(f"{name} {obstacle}, so the two were not compared")
            else:
                compared_with = candidate(name)
                doubts += _doubts_about_data(manifest, dataset)
            break
        except (VersionError, RegistryError) as error:
            if name == case.champion:
                remarks.append(f"{name} cannot be used ({getattr(error, 'problem', 'it is missing')})")
    else:
        doubts += ["there is no champion that it could be compared with"] if champions else []
    doubts += _doubts_about_data(manifest_of(case.challenger.version), dataset)
    return replace(case, compared_with=compared_with, remarks=remarks, doubts=doubts)


def _obstacle(manifest: Manifest, dataset: DatasetRef) -> str | None:
    """Why the version cannot answer the examples, if it cannot."""
    if manifest.class_names != dataset.class_names:
        return f"has other classes ({', '.join(manifest.class_names)})"
    if manifest.dataset.image_shape != dataset.image_shape:
        return f"takes images of shape {manifest.dataset.image_shape}"
    return None


def _doubts_about_data(manifest: Manifest, dataset: DatasetRef) -> list[str]:
    """Of a version that does not say what it was trained on: early ones do not."""
    if manifest.fingerprint == dataset.fingerprint or SEEN in manifest.files:
        return []
    return [
        f"{manifest.version} was trained on other data (fingerprint {manifest.fingerprint[:8]}, now "
        f"{dataset.fingerprint[:8]}), so test examples may be among what it has seen"
    ]


def _doubts_about_first(case: Case, manifest: Manifest, dataset: DatasetRef) -> list[str]:
    (_, trained_on), _ = load_training(dataset, manifest.config.validation)
    return doubts_about_first(case, manifest, trained_on)
