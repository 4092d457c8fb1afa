"""Where the time of a run went: every attempt's rows, added one after the other."""

from pathlib import Path

import pandas as pd
import pytest

from hemline.errors import SupersededError
from hemline.storage.attempts import attempt
from hemline.storage.files import write_json
from hemline.storage.timing import by_phase, spent


def test_rows_of_all_attempts_stay_in_order(tmp_path: Path) -> None:
    with attempt(tmp_path, "a"):
        spent(tmp_path, {"start": 3.0})
        spent(tmp_path, {"steps": 0.25, "saving": 0.03}, epoch=1)
    with attempt(tmp_path, "a"):
        spent(tmp_path, {"start": 1.0})
        spent(tmp_path, {"train": 6.0})
    table = pd.read_csv(tmp_path / "timing.csv")
    assert list(table.columns) == ["attempt", "phase", "epoch", "seconds"]
    assert table["attempt"].tolist() == [1, 1, 1, 2, 2]
    assert table["phase"].tolist() == ["start", "steps", "saving", "start", "train"]
    assert table["epoch"].fillna(0).tolist() == [0, 1, 1, 0, 0]
    assert by_phase(tmp_path) == {"start": 4.0, "train": 6.0}


def test_an_attempt_that_was_taken_over_adds_nothing(tmp_path: Path) -> None:
    with attempt(tmp_path, "a"):
        spent(tmp_path, {"start": 3.0})
        newer = (tmp_path / "attempts" / "1.json").read_text()
        write_json(tmp_path / "config.json", {})
        (tmp_path / "attempts" / "2.json").write_text(newer)
        with pytest.raises(SupersededError):
            spent(tmp_path, {"train": 6.0})
    assert by_phase(tmp_path) == {"start": 3.0}
