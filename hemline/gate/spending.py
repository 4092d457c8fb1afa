"""How certain a decision must be, so that a test split can be looked at for a year: each look spends an equal share.

    look = next_look(registry.entries(), dataset.split("test"), decisions=365)
    look.level      # 0.00014: what p must not exceed
    look.left       # 364 more decisions on this test split

Whoever looks at the same examples every night finds, sooner or later, a challenger that is better by chance. So of a
chance of 5 % each of the decisions that a test split is for gets an equal share (Bonferroni), and the chance that any
of them promotes a version that is no better is at most their sum, however alike the challengers are.

Equal, because the power of a test grows ever more slowly with its level: where a better challenger may come on any
night, no other division finds as many. Of those of `bench.gate` that are 0.5 points better it finds 7.0 % on a night of
the year; shares that fall as 1/n find 5.2 %, as 1/n² 1.6 %. And since the level does not depend on the night, a test
split that grows, and so begins anew, does not make decisions less certain.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hemline.data.dataset import Split
from hemline.registry.decisions import Entry

CHANCE = 0.05  # that any of the decisions on a test split promotes a version that is no better


@dataclass(frozen=True)
class Look:
    """One comparison on a test split; by default the only one that there will be."""

    test_split: str = ""  # SHA-256 of those of its images and labels
    level: float = CHANCE  # what p must not exceed
    decision_number: int = 1
    left: int = 0  # decisions after this one; negative if there was no share left for this one

    @property
    def doubt(self) -> list[str]:
        """Why a person must decide, if the test split was looked at too often."""
        used = "this test split has been used for as many decisions as gate.decisions allows: bring new test examples"
        return [used] if self.left < 0 else []


def next_look(entries: Sequence[Entry], split: Split, decisions: int) -> Look:
    """After those in the ledger. decisions: how many the split is for."""
    digest = hashlib.sha256((split.images + split.labels).encode()).hexdigest()
    spent = {  # an approval has the measurements of the question that it answers
        (entry.version, entry.measurements["decision_number"]): float(entry.measurements["level"])
        for entry in entries
        if entry.measurements.get("test_split") == digest
    }
    level = level_of(decisions)
    left = int((CHANCE - sum(spent.values())) / level + 1e-6) - 1  # levels may differ: `decisions` can change
    return Look(digest, level, decision_number=len(spent) + 1, left=left)


def level_of(decisions: int) -> float:
    """What p must not exceed, on a test split that is for so many decisions."""
    return CHANCE / decisions
