"""What a first champion must show, since there is none that it could be compared with.

    doubts_about_first(case, manifest, labels)      # []: it becomes the champion; or sentences that a person reads

1. It is proven better than guessing. 2. It does on the test split what it did on the validation examples. 3. Every
class was there to learn from and to be tested on.
"""

from collections.abc import Iterator

import numpy as np

from hemline.data.splitting import listed
from hemline.gate.case import Case
from hemline.records.run import published_epoch
from hemline.registry.versions import Manifest

# Below it, test and validation accuracy are two things. Fashion-MNIST's own two differ by 1.5 points (p = 0.008).
COMPATIBLE = 1e-4


def doubts_about_first(case: Case, manifest: Manifest, trained_on: np.ndarray) -> list[str]:
    """trained_on: (N,) labels of the training examples."""
    right = round(case.accuracy(case.challenger) * len(case.labels))
    return [*_guessing(case, right), *_validation(case, right, manifest), *_classes(case, trained_on)]


def _guessing(case: Case, right: int) -> Iterator[str]:
    from scipy.stats import binomtest

    counts, examples, level = np.bincount(case.labels), len(case.labels), case.look.level
    share = counts.max() / examples
    p = binomtest(right, examples, share, alternative="greater").pvalue
    if p > level:
        always = f"always answering {case.class_names[int(counts.argmax())]}, which is right for {share:.2%}"
        yield f"it is not proven better than {always}: p {p:.2g} is above the level {level:.2g}"


def _validation(case: Case, right: int, manifest: Manifest) -> Iterator[str]:
    from scipy.stats import fisher_exact

    config = manifest.config
    if config.validation == "test":
        return
    accuracy = published_epoch(config, manifest.epochs)["val_accuracy"]
    before = round(accuracy * config.validation)
    wrong = (len(case.labels) - right, config.validation - before)
    p = fisher_exact([(right, before), wrong]).pvalue
    if p < COMPATIBLE:
        yield (
            f"its validation accuracy {accuracy:.2%} is not that of the test split: p {p:.2g} is below "
            f"{COMPATIBLE:g}, so the two hold different examples"
        )


def _classes(case: Case, trained_on: np.ndarray) -> Iterator[str]:
    for kind, labels in (("training", trained_on), ("test", case.labels)):
        counts = np.bincount(labels, minlength=len(case.class_names))
        if missing := [name for name, count in zip(case.class_names, counts, strict=True) if not count]:
            yield f"there is no {kind} example of {listed(missing)}"
