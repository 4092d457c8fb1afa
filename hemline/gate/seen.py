"""Which test examples a version has seen, so that data may grow or be divided anew between two nights.

    case = without_seen(case, hashes(images), registry)     # 'left out ...' is among its remarks

A version has the hashes of what it was trained on and chosen by. A test example that either of the two has seen says
nothing about what they will do with new ones.
"""

from dataclasses import replace

import numpy as np

from hemline.gate.case import Candidate, Case
from hemline.registry.champion import Registry
from hemline.registry.versions import SEEN, seen

FEWEST = 100  # common examples that are left, below which nothing is left out and a person decides
SMALLEST_SHARE = 0.5  # of the test split, the same


def without_seen(case: Case, pixels: np.ndarray, registry: Registry) -> Case:
    """The case on those examples that neither of its versions has seen. pixels: (N,) hashes of the test images."""
    both = [candidate for candidate in (case.challenger, case.compared_with) if candidate]
    paths = [registry.path(each.version) for each in both]  # verified when they answered: no file but their own
    old = [np.isin(pixels, seen(path)) for path in paths if (path / SEEN).exists()]  # (N,) of each
    new = ~np.any([np.zeros(len(pixels), bool), *old], axis=0)
    examples, left = len(new), int(new.sum())
    if left == examples:
        return case
    whom = "one of the two was" if len(both) > 1 else "it was"
    if left < max(FEWEST, SMALLEST_SHARE * examples):
        doubt = f"{examples - left} of {examples} test examples are not new, since {whom} trained on them"
        return replace(case, doubts=[*case.doubts, f"{doubt}, and too few are left to do without these"])

    def on_new(candidate: Candidate) -> Candidate:
        return replace(candidate, predictions=candidate.predictions[:, new])

    number = examples - left
    remark = f"{number} test example{'s were' if number > 1 else ' was'} left out: {whom} trained on "
    return replace(
        case,
        labels=case.labels[new],
        challenger=on_new(case.challenger),
        compared_with=case.compared_with and on_new(case.compared_with),
        remarks=[*case.remarks, f"{remark}{'them' if number > 1 else 'it'}"],
    )
