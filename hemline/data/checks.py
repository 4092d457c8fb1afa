"""The checks of the data before it is trained on, and what each of them found.

    findings = check(case, config.checks, name_of=lambda split, index: f"{split}[{index}]")
    findings[0].text        # 'test has 60 examples of 10,000 (0.6%) with the pixels of an example of ...'
    require(findings)       # raises DatasetError with the sentences of those that are refused

A check is a function of the case (the data, and the champion's beside it), and yields what it found: a sentence, a
size, and the examples. The size is a share or an effect, and no p-value: with enough examples every difference is
significant. Where a few examples could make one by accident, the size is the end of an interval that is nearer to none.
What is done about a size is the configuration's, in the field of the check's name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from hemline.config.checks import Checks, answer_to
from hemline.data.checks_case import Case
from hemline.data.checks_found import Example, Finding
from hemline.data.splitting import listed
from hemline.errors import DatasetError

CERTAINTY = 0.999  # of intervals and tests: a check is asked every night
Z = 3.09  # standard errors of that, one-sided
FLAT = 2.0  # standard deviation of the 256 shades, below which an image shows nothing
NAMED = 5  # examples that a finding names

WORDS = {
    "brightness": ("brighter", "darker"),
    "contrast": ("richer in contrast", "poorer in contrast"),
    "sharpness": ("sharper", "less sharp"),
}


@dataclass(frozen=True)
class Found:
    """What a check yields."""

    sentence: str
    size: float
    where: Mapping[str, np.ndarray] = field(default_factory=dict)  # by split, indices of the examples, worst first


def labels(case: Case) -> Iterator[Found]:
    """Labels are among the classes."""
    for split, table in case.splits.items():
        outside = ~table["label"].between(0, len(case.class_names) - 1)
        if outside.any():
            values = listed([str(value) for value in np.unique(table["label"][outside])])
            sentence = f"{split} has {_counted(outside, 'label')} outside 0 to {len(case.class_names) - 1} ({values})"
            yield Found(sentence, int(outside.sum()), {split: np.flatnonzero(outside)})


def missing_classes(case: Case) -> Iterator[Found]:
    """Every split has examples of every class."""
    for split, counts in case.counts.items():
        if missing := [name for name, count in counts.items() if not count]:
            yield Found(f"{split} has no example of {listed(missing)}", len(missing))


def classes(case: Case) -> Iterator[Found]:
    """The classes are the champion's."""
    if case.champion is None or case.class_names == case.champion.class_names:
        return
    now, then = case.class_names, case.champion.class_names
    new, gone = [name for name in now if name not in then], [name for name in then if name not in now]
    parts = [f"{listed(names)} {word}" for names, word in ((new, "came"), (gone, "went")) if names]
    changed = len(new) + len(gone)
    sentence = " and ".join(parts) or "they are in another order"
    yield Found(f"the classes are not those of champion {case.champion.version}: {sentence}", changed or len(now))


def balance(case: Case) -> Iterator[Found]:
    """The classes share a split as they share the champion's. Size: total variation, if a chi-squared test agrees."""
    if case.champion is None:
        return
    from scipy.stats import chi2_contingency

    for split, then in case.champion.counts.items():
        here = case.counts.get(split, {})
        names = [name for name in {**then, **here} if then.get(name) or here.get(name)]
        counts = np.array([[data.get(name, 0) for name in names] for data in (then, here)])  # (2, classes)
        if not counts.any(axis=1).all() or chi2_contingency(counts).pvalue > 1 - CERTAINTY:
            continue
        before, now = counts / counts.sum(axis=1, keepdims=True)  # (classes,) each
        most, variation = np.abs(now - before).argmax(), float(np.abs(now - before).sum() / 2)
        yield Found(
            f"{split} has other shares of the classes than the data of champion {case.champion.version}, by "
            f"{variation:.1%} in all: most of all {names[most]}, {now[most]:.1%} instead of {before[most]:.1%}",
            variation,
        )


def appearance(case: Case, measure: str) -> Iterator[Found]:
    """New images look like the champion's of the same class. Size: Cliff's delta, a mean over the new images."""
    if case.earlier is None or case.champion is None:
        return
    then = dict(iter(case.earlier.dropna(subset=measure).groupby("label")[measure]))
    new = case.examples[case.new & case.examples["label"].isin(then)].dropna(subset=measure)
    if not (images := len(new)):
        return
    total = variance = 0.0
    for label, values in new.groupby("label")[measure]:
        n, m = len(values), len(then[label])
        total += n * cliffs_delta(values.to_numpy(), then[label].to_numpy())
        variance += n * (n + m + 1) / (3 * m)  # that of n times delta, without a difference (Mann-Whitney's U)
    delta = total / images
    size = abs(delta) - Z * variance**0.5 / images
    if size > 0:
        word = WORDS[measure][delta < 0]
        extreme = new.sort_values(measure, ascending=delta < 0, kind="stable")
        yield Found(
            f"{images:,} new images are {word} than those of champion {case.champion.version}: in "
            f"{(1 + abs(delta)) / 2:.0%} of pairs of the same class (Cliff's delta {delta:.2f})",
            size,
            _by_split(extreme),
        )


def cliffs_delta(values: np.ndarray, others: np.ndarray) -> float:
    """The share of pairs in which the value is larger, less that in which it is smaller. (n,), (m,)"""
    others = np.sort(others)
    below, not_above = (np.searchsorted(others, values, side) for side in ("left", "right"))
    return float((below + not_above).mean() / len(others) - 1)


def duplicates(case: Case) -> Iterator[Found]:
    """No two examples of a split have the same pixels."""
    for split, table in case.splits.items():
        yield from _of_split(split, table["hash"].duplicated(), "with the pixels of an earlier one")


def leaks(case: Case) -> Iterator[Found]:
    """No example of the test split is one of train."""
    trained = case.splits["train"]["hash"]
    yield from _of_split("test", case.splits["test"]["hash"].isin(trained), "with the pixels of an example of train")


def conflicts(case: Case) -> Iterator[Found]:
    """The same pixels have the same label."""
    kinds = case.examples.groupby("hash")["label"].transform("nunique")
    if several := int((kinds > 1).sum()):
        share = several / len(kinds)
        sentence = f"{several:,} examples ({share:.1%}) have the pixels of another one, and another label"
        yield Found(sentence, share, _by_split(case.examples[kinds > 1].sort_values("hash", kind="stable")))


def flat_images(case: Case) -> Iterator[Found]:
    """Images show something."""
    for split, table in case.splits.items():
        yield from _of_split(split, table["contrast"].dropna() < FLAT, "of one colour, or nearly")


def relabelled(case: Case) -> Iterator[Found]:
    """Examples that the champion's data has too have the same label as there."""
    for split in case.splits if case.champion else ():
        assert case.champion
        of_split = (case.examples["split"] == split).to_numpy()
        kept = pd.Series(case.relabelled, case.examples.index)[of_split & ~case.new]
        yield from _of_split(split, kept, f"with another label than in the data of champion {case.champion.version}")


def contradicted(case: Case) -> Iterator[Found]:
    """The champion contradicts new labels no more often than it errs on its test split. Size: at least so much more."""
    if not case.told:
        return
    from scipy.stats import binomtest

    for split, told in case.told.items():
        assert case.champion
        against, asked = int(told.contradicts.sum()), len(told.where)
        interval = binomtest(against, asked).proportion_ci(CERTAINTY, method="wilson")
        size = interval.low - case.champion.error
        if size > 0:
            worst = np.argsort(-told.surprise, kind="stable")[:against]  # the label's own logit is lower in these alone
            yield Found(
                f"champion {case.champion.version} contradicts {against:,} of the labels of {asked:,} new examples of "
                f"{split} ({against / asked:.1%}), and got {case.champion.error:.1%} of its own test split wrong",
                float(size),
                {split: told.where[worst]},
            )


Check = Callable[[Case], Iterator[Found]]
CHECKS: dict[str, Check] = {  # each is a field of `hemline.config.checks.Checks`
    "labels": labels,
    "missing_classes": missing_classes,
    "classes": classes,
    "balance": balance,
    "brightness": partial(appearance, measure="brightness"),
    "contrast": partial(appearance, measure="contrast"),
    "sharpness": partial(appearance, measure="sharpness"),
    "duplicates": duplicates,
    "leaks": leaks,
    "conflicts": conflicts,
    "flat_images": flat_images,
    "relabelled": relabelled,
    "contradicted": contradicted,
}


def check(case: Case, answers: Checks, name_of: Callable[[str, int], str]) -> list[Finding]:
    """All that the checks find, but for ignored ones. name_of: an example's name, of its split and its index there."""
    findings = []
    for name, function in CHECKS.items():
        wanted = getattr(answers, name)
        for found in function(case) if wanted != "ignore" else ():
            places = [(split, int(index)) for split, where in found.where.items() for index in where[:NAMED]][:NAMED]
            findings.append(
                Finding(
                    check=name,
                    answer=answer_to(found.size, wanted),
                    sentence=found.sentence,
                    size=found.size,
                    examples=[Example(split=split, index=i, name=name_of(split, i)) for split, i in places],
                    more=sum(map(len, found.where.values())) - len(places),
                )
            )
    return findings


def require(findings: Sequence[Finding]) -> None:
    """Raises DatasetError if any is refused."""
    if refused := [finding for finding in findings if finding.answer == "refuse"]:
        fields = " and ".join(dict.fromkeys(f"checks.{finding.check}" for finding in refused))
        raise DatasetError(
            "data must pass its checks before it is trained on. Received: "
            f"{'; '.join(finding.text for finding in refused)}. Repair the data, or give {fields} another answer."
        )


def _counted(which: pd.Series, noun: str) -> str:
    number = int(which.sum())
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _by_split(examples: pd.DataFrame) -> dict[str, np.ndarray]:
    """Their places, in their order."""
    return {str(split): of_it.index.to_numpy() for split, of_it in examples.groupby("split", sort=False)}


def _of_split(split: str, found: pd.Series, what: str) -> Iterator[Found]:
    """The share of the examples that something holds for, if there are any. found: bool, with places as index."""
    if found.any():
        share = float(found.mean())
        sentence = f"{split} has {_counted(found, 'example')} of {len(found):,} ({share:.1%}) {what}"
        yield Found(sentence, share, {split: found.index[found].to_numpy()})
