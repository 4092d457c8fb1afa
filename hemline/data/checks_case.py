"""What is checked: a data set's examples, each with its hash and measures, and those of the champion's data beside it.

    splits = {name: measured(*load_split(ref, name)) for name in ref.splits}
    case = Case(ref.class_names, splits, champion=Before("7", class_names, counts, earlier_splits, error=0.12))
    case.change                         # Change(new=120, gone=3, relabelled=5)
    case = case.answered(images, champions_logits)      # it is asked about a sample of the new examples

0.5 s for 70,000 images of 28 x 28 on 2 cores. Measures are of at most VALUES a split, evenly spread; hashes are of all,
at 1 GB/s: of what leaks, a sample finds next to nothing. A memory map is read a piece at a time.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from hemline.data.checks_found import Change
from hemline.data.dataset import hashes

MEASURES = ("brightness", "contrast", "sharpness")
VALUES = 100_000_000  # H x W x C of the images that are measured in a split
PIECE = 500_000  # of these at a time: what a processor's cache has room for
ASKED = 1000  # new examples of a split that the champion is asked about


def measured(images: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """A row for each example: label, hash, and its measures; NaN where it was not looked at. images: (N, H, W, C)."""
    size = images[0].size if len(images) else 1
    looked_at = np.unique(np.linspace(0, len(images) - 1, min(len(images), max(1, VALUES // size))).astype(int))
    values = np.full((len(images), len(MEASURES)), np.nan, np.float32)
    at_once = max(1, PIECE // size)
    pieces = [looked_at[start : start + at_once] for start in range(0, len(looked_at), at_once)]
    with ThreadPoolExecutor() as threads:  # NumPy leaves the interpreter to others while it computes
        for piece, found in zip(pieces, threads.map(lambda piece: measures(images[piece]), pieces), strict=True):
            values[piece] = found
    return pd.DataFrame({"label": labels, "hash": hashes(images), **dict(zip(MEASURES, values.T, strict=True))})


def measures(images: np.ndarray) -> np.ndarray:
    """Mean, standard deviation, and variance of the Laplacian, of grey images. (B, H, W, C) uint8 -> (B, 3)."""
    one_channel = images.shape[-1] == 1  # whose mean it is, and NumPy would take three times as long
    grey = images[..., 0].astype(np.float32) if one_channel else images.mean(axis=-1, dtype=np.float32)  # (B, H, W)
    inner = grey[:, 1:-1, 1:-1]
    sharpness = np.zeros(len(grey), np.float32)
    if inner.size:
        laplacian = -4 * inner
        for around in (grey[:, :-2, 1:-1], grey[:, 2:, 1:-1], grey[:, 1:-1, :-2], grey[:, 1:-1, 2:]):
            laplacian += around
        sharpness = laplacian.var(axis=(1, 2))
    return np.stack([grey.mean(axis=(1, 2)), grey.std(axis=(1, 2)), sharpness], axis=1)


@dataclass(frozen=True)
class Before:
    """The champion's data, or what is left of it."""

    version: str  # the champion
    class_names: list[str]
    counts: Mapping[str, Mapping[str, int]]  # examples by split and class
    splits: Mapping[str, pd.DataFrame] | None  # as of `measured`; None: its examples are gone
    error: float  # the share of its test split that the champion got wrong


class Told(NamedTuple):
    """What the champion answers to new examples of a split, of classes that it knows."""

    where: np.ndarray  # (n,) their indices in the split
    contradicts: np.ndarray  # (n,) bool
    surprise: np.ndarray  # (n,) how much surer it is of its own answer than of the label, in logits


@dataclass(frozen=True)
class Case:
    """The data of a run, and the champion's."""

    class_names: list[str]
    splits: Mapping[str, pd.DataFrame]  # as of `measured`
    champion: Before | None = None  # None: there is nothing to compare with
    told: Mapping[str, Told] = field(default_factory=dict)  # by split

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Examples by split and class; a label outside the classes does not count."""
        return {split: counted(table["label"], self.class_names) for split, table in self.splits.items()}

    @cached_property
    def examples(self) -> pd.DataFrame:
        """Those of all splits, with `split`, and their place in it as the index."""
        return pd.concat([table.assign(split=split) for split, table in self.splits.items()])

    @cached_property
    def earlier(self) -> pd.DataFrame | None:
        """The champion's, likewise; a label is that of the same class here, -1 if there is none."""
        if self.champion is None or self.champion.splits is None:
            return None
        examples = pd.concat([table.assign(split=split) for split, table in self.champion.splits.items()])
        return examples.assign(label=_translated(examples["label"], self.champion.class_names, self.class_names))

    @cached_property
    def new(self) -> np.ndarray:
        """Which of `examples` have pixels that none of the champion's has; none do without its examples. (N,) bool"""
        if self.earlier is None:
            return np.zeros(len(self.examples), bool)
        return ~self.examples["hash"].isin(self.earlier["hash"]).to_numpy()

    @cached_property
    def relabelled(self) -> np.ndarray:
        """Which of `examples` the champion's data has with other labels alone. (N,) bool"""
        if self.earlier is None:
            return self.new
        return ~self.new & ~np.isin(_pairs(self.examples), _pairs(self.earlier))

    @property
    def change(self) -> Change | None:
        """None without the champion's examples."""
        if self.earlier is None:
            return None
        gone = ~self.earlier["hash"].isin(self.examples["hash"])
        return Change(new=int(self.new.sum()), gone=int(gone.sum()), relabelled=int(self.relabelled.sum()))

    def label_of(self, split: str, index: int) -> str:
        """The name of an example's class."""
        label = int(self.splits[split]["label"].iloc[index])
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)

    def answered(
        self, images: Mapping[str, np.ndarray], answers: Callable[[np.ndarray], np.ndarray], seed: int = 0
    ) -> "Case":
        """The case with the champion's answers to a sample of the new examples of each split.

        answers: of images (n, H, W, C) to logits (n, the champion's classes).
        """
        if self.champion is None:
            return self
        theirs = _translated(self.examples["label"], self.class_names, self.champion.class_names)
        rng, chosen = np.random.default_rng(seed), {}
        for split in self.splits:
            of_split = (self.examples["split"] == split).to_numpy()
            known = np.flatnonzero((self.new & (theirs >= 0))[of_split])
            if len(known):
                where = np.sort(rng.choice(known, min(len(known), ASKED), replace=False))
                chosen[split] = where, theirs[of_split][where]
        if not chosen:
            return self
        logits = answers(np.concatenate([images[split][where] for split, (where, _) in chosen.items()]))
        told = {}
        for split, (where, labels) in chosen.items():
            of_these, logits = logits[: len(where)], logits[len(where) :]
            surprise = of_these.max(axis=1) - of_these[np.arange(len(labels)), labels]
            told[split] = Told(where, of_these.argmax(axis=1) != labels, surprise)
        return replace(self, told=told)


def counted(labels: pd.Series, class_names: list[str]) -> dict[str, int]:
    """Examples of each class."""
    inside = labels[labels.between(0, len(class_names) - 1)]
    return dict(zip(class_names, np.bincount(inside, minlength=len(class_names)).tolist(), strict=True))


def _translated(labels: pd.Series, names: list[str], others: list[str]) -> np.ndarray:
    """The same classes' labels among other names, (N,) int; -1 where there is none."""
    places = {name: place for place, name in enumerate(others)}
    table = np.array([*(places.get(name, -1) for name in names), -1])
    return table[labels.where(labels.between(0, len(names) - 1), len(names)).to_numpy()]


def _pairs(examples: pd.DataFrame) -> np.ndarray:
    """(N,) uint64, equal for equal pixels with equal labels."""
    return examples["hash"].to_numpy() + examples["label"].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
