"""The pictures of a run's report, beyond those that its version has.

    pictures = gallery(record, run_directory, decision, champion)       # SVG by name, as hemline.report.run calls them

champion: the epochs of the version that it was compared with, if there are any.
"""

from pathlib import Path

import pandas as pd

from hemline.records.run import Decision, Record, Rows
from hemline.report.curves import group_curves, groups_of, learning_curves, running_loss, some_iterations
from hemline.report.quality import class_changes, confusion_map, most_confused, reliability


def gallery(record: Record, run: Path, decision: Decision, champion: Rows) -> dict[str, str]:
    """Only those whose numbers there are: early versions and a first champion's run lack some."""
    epochs = pd.DataFrame(record.epochs)
    pictures = {
        "learning_curves": learning_curves(epochs, pd.DataFrame(champion) if champion else None),
        "running_loss": running_loss(some_iterations(run)),
        "confusion": confusion_map(most_confused(run / "confusion.csv")),
    }
    if decision.classes:
        pictures["classes"] = class_changes(decision.classes)
    if record.evaluation.calibration:
        pictures["calibration"] = reliability(record.evaluation.calibration)
    if groups_of(epochs):
        pictures["groups"] = group_curves(epochs)
    return pictures
