"""The judgement of a published version: loaded, compared with the champion, written down.

    decision = judge(Registry(artifacts), "0008", dataset, config.gate, by, device)
    decision.sentence
    'kept 0007: challenger 0008 is 0.12 points better, 95 % interval -0.20 to 0.44 includes 0'

Both models answer the present test split. 1 s for two networks of the default size on 2 cores, once TensorFlow
is imported.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np

from hemline.config.gate import Gate
from hemline.data.dataset import DatasetRef, load_split
from hemline.errors import BundleError, ChampionChangedError, ConfigurationError, RegistryError
from hemline.gate.rules import Contender, Opposition, decide
from hemline.records.decision import Decision, Verdict
from hemline.registry.registry import Registry
from hemline.registry.versions import Manifest
from hemline.runtime.devices import DeviceInfo


def judge(registry: Registry, version: str, dataset: DatasetRef, gate: Gate, by: str, device: DeviceInfo) -> Decision:
    """Compares a published version with the champion on the test split, and records the decision.

    If another champion was made meanwhile, compares again. Raises BundleError if the version does not verify.
    """
    if earlier := _decided(registry, version, by):
        return earlier
    images, labels = load_split(dataset, "test")

    @cache
    def meet(name: str) -> Contender:
        return _contender(registry, name, images, device)

    manifest = registry.verified(version)
    if strange := _strange(manifest, dataset):
        raise ConfigurationError(
            f"a version must be judged on the classes it was trained for. Received: {version}, which {strange}. "
            "Choose its data set."
        )
    while True:
        opposition = _opposition(registry, version, dataset, meet)
        if opposition.champion == version:  # e.g. a run that was killed after it was promoted, and goes on
            sentence = f"kept {version}: it is the champion already"
            decision = Decision(verdict="kept", champion=version, challenger=version, sentence=sentence, numbers={})
        else:
            if manifest.fingerprint != dataset.fingerprint:
                opposition.doubts.append(_other_data(version, manifest, dataset))
            decision = decide(gate, labels, dataset.class_names, meet(version), opposition)
        with suppress(ChampionChangedError):
            registry.record(decision, by)
            return decision


def _decided(registry: Registry, version: str, by: str) -> Decision | None:
    """What the same run decided before it was killed: what a person did meanwhile stays."""
    for entry in reversed(registry.entries()):
        if (entry.version, entry.by) == (version, by) and entry.decision in get_args(Verdict):
            return Decision(
                verdict=entry.decision,
                champion=entry.champion_before,
                challenger=version,
                sentence=entry.reason,
                numbers=entry.evidence,
            )
    return None


def _opposition(registry: Registry, version: str, dataset: DatasetRef, meet: Callable[[str], Contender]) -> Opposition:
    """The champion; if it cannot be used, the newest champion before it that can."""
    line = list(dict.fromkeys(reversed(registry.line())))  # newest first, each once
    if not line or line[0] == version:
        return Opposition(version if line else None, remarks=["there was no champion"])
    opposition = Opposition(champion=line[0])
    for name in line:
        if name == version:
            continue
        try:
            manifest = registry.verified(name)
            if strange := _strange(manifest, dataset):
                opposition.doubts.append(f"{name} {strange}, so the two were not compared")
                return opposition
            opponent = meet(name)
        except (BundleError, RegistryError) as error:
            if name == opposition.champion:
                opposition.remarks.append(f"{name} cannot be used ({getattr(error, 'problem', 'it is missing')})")
            continue
        if manifest.fingerprint != dataset.fingerprint:
            opposition.doubts.append(_other_data(name, manifest, dataset))
        return replace(opposition, opponent=opponent)
    return opposition


def _contender(registry: Registry, version: str, images: np.ndarray, device: DeviceInfo) -> Contender:
    import tensorflow as tf

    from hemline.evaluation.scores import compile_predict
    from hemline.registry.versions import load

    with tf.device(device.name):
        model, manifest = load(registry.path(version))
        logits = compile_predict(model)(images)
    latency, size = manifest.evaluation.latency, manifest.evaluation.size_bytes
    return Contender(
        version,
        logits,
        latency_ms=latency.single_ms if latency else None,
        size_mb=size / 1e6 if size is not None else None,
    )


def _strange(manifest: Manifest, dataset: DatasetRef) -> str | None:
    """Why the version cannot answer the examples, if it cannot."""
    if manifest.class_names != dataset.class_names:
        return f"has other classes ({', '.join(manifest.class_names)})"
    if manifest.dataset.image_shape != dataset.image_shape:
        return f"takes images of shape {manifest.dataset.image_shape}"
    return None


def _other_data(version: str, manifest: Manifest, dataset: DatasetRef) -> str:
    return (
        f"{version} was trained on other data (fingerprint {manifest.fingerprint[:8]}, now {dataset.fingerprint[:8]}), "
        "so test examples may be among what it has seen"
    )
