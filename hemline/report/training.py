"""Where a training is, for a person who looks at it while it runs.

    pace = Pace()
    sentence, text = training_markdown(rows, epochs=20, seeds=1, left=pace.left(len(rows), 20, now=monotonic()))
    sentence        # 'Epoch 12 of 20: accuracy 0.8871 on validation.'
    text            # a bar and the time left, the learning curves, and a table of the newest epochs

It is drawn again and again, so it stays small however long a training is.
"""

import pandas as pd

from hemline.records.run import Rows
from hemline.report.card import epochs_table
from hemline.report.curves import learning_curves
from hemline.report.figures import duration
from hemline.report.html import data_uri

POINTS = 100  # epochs in the picture at most
NEWEST = 20  # epochs in the table
CELLS = 25  # of the bar


class Pace:
    """How long the rest takes, if it goes on as since the first look: a run that is resumed had epochs before."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def left(self, done: int, of: int, now: float) -> float | None:
        """Seconds; None at the first look. now: seconds of any one clock."""
        first, since = self._first = self._first or (done, now)
        return (now - since) / (done - first) * (of - done) if done > first else None


def training_markdown(rows: Rows, epochs: int, seeds: int, left: float | None = None) -> tuple[str, str]:
    """A sentence, and a page to stand below it.

    rows: of the epochs so far, of all seeds; epochs: in all, of a seed; left: seconds, if they are known.
    """
    table = pd.DataFrame(rows).groupby("epoch", as_index=False).mean()
    last, share = table.iloc[-1], len(rows) / (epochs * seeds)
    sentence = f"Epoch {last['epoch']:.0f} of {epochs}: accuracy {last['val_accuracy']:.4f} on validation."
    full = round(CELLS * share)
    every = -(-len(table) // POINTS)  # the last one always
    newest = [{str(name): value for name, value in row.items()} for row in table.tail(NEWEST)[::-1].to_dict("records")]
    text = [f"`{'█' * full}{'░' * (CELLS - full)}` {share:.0%}" + (f", {duration(left)} left" if left else "")]
    if len(table) > 1:
        text.append(f"![loss and accuracy by epoch]({data_uri(learning_curves(table.iloc[::-every][::-1]))})")
    text.append(epochs_table(newest))
    if seeds > 1:
        text.append(f"Means over {seeds} models with a seed each, as far as they have come.")
    if len(table) > NEWEST:
        text.append(f"The newest {NEWEST} epochs; all are in epochs.csv of the run's directory.")
    return sentence, "\n\n".join(text)
