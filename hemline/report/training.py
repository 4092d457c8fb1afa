"""Where a training is, for a person who looks at it while it runs.

    sentence, text = training_markdown(rows, epochs=20, seeds=1)
    sentence        # 'Epoch 12 of 20: accuracy 0.8871 on validation.'
    text            # a bar, the learning curves, and a table of the newest epochs

It is drawn again and again, so it stays small however long a training is.
"""

import pandas as pd

from hemline.records.run import Rows
from hemline.report.card import epochs_table
from hemline.report.curves import learning_curves
from hemline.report.html import data_uri

POINTS = 100  # epochs in the picture at most
NEWEST = 20  # epochs in the table
CELLS = 25  # of the bar


def training_markdown(rows: Rows, epochs: int, seeds: int) -> tuple[str, str]:
    """A sentence, and a page to stand below it. rows: of the epochs so far, of all seeds; epochs: in all, of a seed."""
    table = pd.DataFrame(rows).groupby("epoch", as_index=False).mean()
    last, share = table.iloc[-1], len(rows) / (epochs * seeds)
    sentence = f"Epoch {last['epoch']:.0f} of {epochs}: accuracy {last['val_accuracy']:.4f} on validation."
    full = round(CELLS * share)
    every = -(-len(table) // POINTS)  # the last one always
    newest = [{str(name): value for name, value in row.items()} for row in table.tail(NEWEST)[::-1].to_dict("records")]
    text = [f"`{'█' * full}{'░' * (CELLS - full)}` {share:.0%}"]
    if len(table) > 1:
        text.append(f"![loss and accuracy by epoch]({data_uri(learning_curves(table.iloc[::-every][::-1]))})")
    text.append(epochs_table(newest))
    if seeds > 1:
        text.append(f"Means over {seeds} models with a seed each, as far as they have come.")
    if len(table) > NEWEST:
        text.append(f"The newest {NEWEST} epochs; all are in epochs.csv of the run's directory.")
    return sentence, "\n\n".join(text)
